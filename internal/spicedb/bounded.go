package spicedb

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
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
	repeats int64 // of one query from subjects to resources; unlimited if zero
}

// callLimits are the limits of the calls whose names begin with a prefix.
type callLimits struct {
	prefix string
	limits limits
}

// limitsOf are those of the calls that evaluate permissions, by the beginning of their names. Other calls read or write
// relationships as they come. Look-ups hold in memory what they have found, once for each way to it. A look-up of resources
// repeats a query from subjects to resources once for each way to those subjects, in parts of 100 subjects.
var limitsOf = []callLimits{
	{"CheckBulk", limits{queries: 200_000, rows: 20_000_000}}, // as Check: a check is too large in a bulk if it is too large alone
	{"BulkCheck", limits{queries: 200_000, rows: 20_000_000}},
	{"Check", limits{queries: 200_000, rows: 20_000_000}},
	{"Expand", limits{queries: 20_000, rows: 2_000_000}},
	{"LookupResources", limits{queries: 1_000_000, rows: 20_000_000, repeats: 2_000}},
	{"LookupSubjects", limits{queries: 20_000, rows: 2_000_000}},
}

// evaluates reports whether a method of SpiceDB's API evaluates permissions, and does nothing else.
func evaluates(method string) bool {
	name := method[strings.LastIndexByte(method, '/')+1:]
	return slices.ContainsFunc(limitsOf, func(one callLimits) bool { return strings.HasPrefix(name, one.prefix) })
}

const boundMessage = "the answer needs too many steps: relationships form a circle, or lead to the same objects in many ways"

// bounded is what one call may still read. A read fails when the call has ended or has read too much, which ends every part of
// SpiceDB's evaluation: without it, the evaluation goes on after the call has ended.
type bounded struct {
	datalayer.DataLayer
	queries, rows atomic.Int64
	unlimited     bool

	// request is the context of a look-up of resources, most of which SpiceDB evaluates under contexts that do not end with it;
	// nil for other calls.
	request context.Context //nolint:containedctx // it is that of the call whose reads are bounded

	mu      sync.Mutex
	seed    maphash.Seed
	repeats map[uint64]int64 // how often each query from subjects to resources came; nil if unlimited
	most    int64
}

// newBounded bounds one call of a method of SpiceDB's API. ctx is that of the call; divisor divides the limits.
func newBounded(ctx context.Context, layer datalayer.DataLayer, method string, divisor int64) *bounded {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, one := range limitsOf {
		if strings.HasPrefix(name, one.prefix) {
			b := &bounded{DataLayer: layer}
			b.queries.Store(one.limits.queries / divisor)
			b.rows.Store(one.limits.rows / divisor)
			if one.limits.repeats > 0 {
				b.request = ctx
				b.most, b.repeats, b.seed = one.limits.repeats/divisor, make(map[uint64]int64), maphash.MakeSeed()
			}
			return b
		}
	}
	return &bounded{DataLayer: layer, unlimited: true}
}

func (b *bounded) take(ctx context.Context, left *atomic.Int64) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case b.request != nil && b.request.Err() != nil:
		return b.request.Err()
	case !b.unlimited && left.Add(-1) < 0:
		return status.Error(codes.ResourceExhausted, boundMessage)
	default:
		return nil
	}
}

// repeat notes a query from subjects to resources. It fails if the same one was repeated too often.
func (b *bounded) repeat(filter datastore.SubjectsFilter, opts []options.ReverseQueryOptionsOption) error {
	if b.repeats == nil {
		return nil
	}
	query := options.NewReverseQueryOptionsWithOptions(opts...)
	var hash maphash.Hash
	hash.SetSeed(b.seed)
	add := func(parts ...string) {
		for _, part := range parts {
			_, _ = hash.WriteString(part)
			_ = hash.WriteByte(0) // which no name and no id holds
		}
	}
	if query.ResRelation != nil {
		add(query.ResRelation.Namespace, query.ResRelation.Relation)
	}
	add(filter.SubjectType, filter.RelationFilter.NonEllipsisRelation)
	add(filter.OptionalSubjectIds...)
	key := hash.Sum64()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.repeats[key]++; b.repeats[key] > b.most {
		return status.Error(codes.ResourceExhausted, boundMessage)
	}
	return nil
}

// under is the context for the datastore: that of the call.
func (b *bounded) under(ctx context.Context) context.Context {
	if b.request != nil {
		return b.request
	}
	return ctx
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
	if err := checkDepth(ctx); err != nil {
		return nil, err
	}
	if err := r.bound.take(ctx, &r.bound.queries); err != nil {
		return nil, err
	}
	return r.RevisionedReader.ReadSchema(r.bound.under(ctx))
}

func (r boundedReader) QueryRelationships(
	ctx context.Context, filter datastore.RelationshipsFilter, opts ...options.QueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	if err := r.bound.take(ctx, &r.bound.queries); err != nil {
		return nil, err
	}
	found, err := r.RevisionedReader.QueryRelationships(r.bound.under(ctx), filter, opts...)
	return r.counted(ctx, found), err
}

func (r boundedReader) ReverseQueryRelationships(
	ctx context.Context, filter datastore.SubjectsFilter, opts ...options.ReverseQueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	if err := r.bound.take(ctx, &r.bound.queries); err != nil {
		return nil, err
	}
	if err := r.bound.repeat(filter, opts); err != nil {
		return nil, err
	}
	found, err := r.RevisionedReader.ReverseQueryRelationships(r.bound.under(ctx), filter, opts...)
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
