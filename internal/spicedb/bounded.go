package spicedb

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/authzed/spicedb/pkg/datalayer"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/tuple"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// limits are the most that an embedded SpiceDB reads to answer one call. SpiceDB v1.56.0 follows each way to an object separately,
// so that a circle, or a chain in which each object leads to the next one in two ways, takes it exponential time and memory.
type limits struct {
	queries int64 // of the schema, and of relationships
	rows    int64 // relationships read
}

// limitsOf are those of the calls that evaluate permissions, by the beginning of their names. Other calls read or write
// relationships as they come. A look-up of subjects holds in memory what it has read.
var limitsOf = []struct {
	prefix string
	limits limits
}{
	{"CheckBulk", limits{queries: 200_000, rows: 20_000_000}}, // as Check: a check is too large in a bulk if it is too large alone
	{"BulkCheck", limits{queries: 200_000, rows: 20_000_000}},
	{"Check", limits{queries: 200_000, rows: 20_000_000}},
	{"Expand", limits{queries: 20_000, rows: 2_000_000}},
	{"LookupResources", limits{queries: 1_000_000, rows: 20_000_000}},
	{"LookupSubjects", limits{queries: 20_000, rows: 2_000_000}},
}

const boundMessage = "the answer needs too many steps: relationships form a circle, or lead to the same objects in many ways"

// bounded is what one call may still read. A read fails when the call has ended or has read too much, which ends every part of
// SpiceDB's evaluation: without it, the evaluation goes on after the call has ended.
type bounded struct {
	datalayer.DataLayer
	queries, rows atomic.Int64
	unlimited     bool
}

// newBounded bounds one call of a method of SpiceDB's API.
func newBounded(layer datalayer.DataLayer, method string) *bounded {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, one := range limitsOf {
		if strings.HasPrefix(name, one.prefix) {
			b := &bounded{DataLayer: layer}
			b.queries.Store(one.limits.queries)
			b.rows.Store(one.limits.rows)
			return b
		}
	}
	return &bounded{DataLayer: layer, unlimited: true}
}

func (b *bounded) take(ctx context.Context, left *atomic.Int64) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !b.unlimited && left.Add(-1) < 0:
		return status.Error(codes.ResourceExhausted, boundMessage)
	default:
		return nil
	}
}

// SnapshotReader implements datalayer.DataLayer.
func (b *bounded) SnapshotReader(revision datastore.Revision, schema datalayer.SchemaHash) datalayer.RevisionedReader {
	return boundedReader{b.DataLayer.SnapshotReader(revision, schema), b}
}

type boundedReader struct {
	datalayer.RevisionedReader
	bound *bounded
}

func (r boundedReader) ReadSchema(ctx context.Context) (datalayer.SchemaReader, error) {
	if err := r.bound.take(ctx, &r.bound.queries); err != nil {
		return nil, err
	}
	return r.RevisionedReader.ReadSchema(ctx)
}

func (r boundedReader) QueryRelationships(
	ctx context.Context, filter datastore.RelationshipsFilter, opts ...options.QueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	if err := r.bound.take(ctx, &r.bound.queries); err != nil {
		return nil, err
	}
	found, err := r.RevisionedReader.QueryRelationships(ctx, filter, opts...)
	return r.counted(ctx, found), err
}

func (r boundedReader) ReverseQueryRelationships(
	ctx context.Context, filter datastore.SubjectsFilter, opts ...options.ReverseQueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	if err := r.bound.take(ctx, &r.bound.queries); err != nil {
		return nil, err
	}
	found, err := r.RevisionedReader.ReverseQueryRelationships(ctx, filter, opts...)
	return r.counted(ctx, found), err
}

func (r boundedReader) counted(ctx context.Context, found datastore.RelationshipIterator) datastore.RelationshipIterator {
	return func(yield func(tuple.Relationship, error) bool) {
		for one, err := range found {
			if err == nil {
				err = r.bound.take(ctx, &r.bound.rows)
			}
			if !yield(one, err) || err != nil {
				return
			}
		}
	}
}
