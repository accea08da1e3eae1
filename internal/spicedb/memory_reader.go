package spicedb

import (
	"context"
	"sync"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/tuple"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// memoryReader reads relationships from an index, and everything else from SpiceDB's in-memory datastore.
type memoryReader struct {
	datastore.Reader
	index *index
	now   time.Time
	err   error // error of opening the reader
}

func (r *memoryReader) QueryRelationships(
	ctx context.Context, filter datastore.RelationshipsFilter, opts ...options.QueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	if r.err != nil {
		return nil, r.err
	}
	if keyspan.IsForSets(filter) {
		definition, _, err := r.LegacyReadNamespaceByName(ctx, filter.OptionalResourceType)
		if err == nil { // the filter works without the definition too
			types := keyspan.TypesOfSets(definition)[filter.OptionalResourceRelation]
			filter = keyspan.WithTypesOfSets(filter, types)
		}
	}
	return forward(r.index, r.now, filter, opts)
}

func (r *memoryReader) ReverseQueryRelationships(
	_ context.Context, filter datastore.SubjectsFilter, opts ...options.ReverseQueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	if r.err != nil {
		return nil, r.err
	}
	return reverse(r.index, r.now, filter, opts), nil
}

func forward(
	x *index, now time.Time, filter datastore.RelationshipsFilter, opts []options.QueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	o := options.NewQueryOptionsWithOptions(opts...)
	if o.After != nil && o.Sort == options.Unsorted {
		return nil, datastore.ErrCursorsWithoutSorting
	}
	return x.run(query{
		filter: filter, sort: o.Sort,
		after: options.ToRelationship(o.After), before: options.ToRelationship(o.BeforeOrEqual), limit: o.Limit,
		skipCaveats: o.SkipCaveats, expired: o.SkipExpiration, now: now,
	}), nil
}

func reverse(
	x *index, now time.Time, filter datastore.SubjectsFilter, opts []options.ReverseQueryOptionsOption,
) datastore.RelationshipIterator {
	o := options.NewReverseQueryOptionsWithOptions(opts...)
	q := query{
		filter: datastore.RelationshipsFilter{OptionalSubjectsSelectors: []datastore.SubjectsSelector{filter.AsSelector()}},
		sort:   o.SortForReverse, limit: o.LimitForReverse,
		skipCaveats: o.SkipCaveatsForReverse, expired: o.SkipExpirationForReverse, now: now,
	}
	if o.SortForReverse != options.Unsorted {
		q.after = options.ToRelationship(o.AfterForReverse)
	}
	if o.ResRelation != nil {
		q.filter.OptionalResourceType, q.filter.OptionalResourceRelation = o.ResRelation.Namespace, o.ResRelation.Relation
	}
	return x.run(q)
}

// memoryTx is a running write. It has an index of its own, which becomes the index of the new revision.
type memoryTx struct {
	datastore.ReadWriteTransaction
	now time.Time

	mu          sync.Mutex
	index       *index
	definitions *definitions
	err         error // error of a write that may have been applied in part
}

// view returns a copy of the current index, which later writes of the transaction do not change.
func (t *memoryTx) view() *index {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.index.clone()
}

func (t *memoryTx) QueryRelationships(
	_ context.Context, filter datastore.RelationshipsFilter, opts ...options.QueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	return forward(t.view(), t.now, filter, opts)
}

func (t *memoryTx) ReverseQueryRelationships(
	_ context.Context, filter datastore.SubjectsFilter, opts ...options.ReverseQueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	return reverse(t.view(), t.now, filter, opts), nil
}

func (t *memoryTx) WriteRelationships(ctx context.Context, mutations []tuple.RelationshipUpdate) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.ReadWriteTransaction.WriteRelationships(ctx, mutations); err != nil {
		t.err = err
		return err
	}
	for _, m := range mutations {
		if m.Operation == tuple.UpdateOperationDelete {
			t.index.remove(m.Relationship)
		} else {
			t.index.set(m.Relationship)
		}
	}
	return nil
}

func (t *memoryTx) DeleteRelationships(
	ctx context.Context, filter *v1.RelationshipFilter, opts ...options.DeleteOptionsOption,
) (uint64, bool, error) {
	converted, err := datastore.RelationshipsFilterFromPublicFilter(filter)
	if err != nil {
		return 0, false, err
	}
	limit := options.NewDeleteOptionsWithOptionsAndDefaults(opts...).DeleteLimit
	if limit != nil && *limit == 0 {
		limit = nil
	}
	var deletes []tuple.RelationshipUpdate
	for r, err := range t.view().run(query{filter: converted, limit: limit, expired: true}) {
		if err != nil {
			return 0, false, err
		}
		deletes = append(deletes, tuple.Delete(r))
	}
	count := uint64(len(deletes))
	return count, limit != nil && count == *limit, t.WriteRelationships(ctx, deletes)
}

func (t *memoryTx) BulkLoad(ctx context.Context, source datastore.BulkWriteRelationshipSource) (uint64, error) {
	var count uint64
	for {
		next, err := source.Next(ctx)
		if err != nil || next == nil {
			return count, err
		}
		if err := t.WriteRelationships(ctx, []tuple.RelationshipUpdate{tuple.Create(*next)}); err != nil {
			return 0, err
		}
		count++
	}
}
