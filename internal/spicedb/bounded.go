package spicedb

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/datalayer"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/tuple"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// limits are the most that an embedded SpiceDB does to answer one call, or for one check within a call. SpiceDB
// v1.56.0 follows each way to an object separately, so that a circle, or a chain in which each object leads to the
// next one in two ways, takes it exponential time and memory. Zero is no limit.
type limits struct {
	steps   int64 // parts that SpiceDB evaluates
	open    int64 // of these, at the same time: the parts of an exclusion are evaluated side by side
	queries int64 // of the schema, and of relationships
	rows    int64 // relationships read
	same    int64 // queries from the same resources to subjects
	reverse int64 // queries from the same subjects to resources
	found   int64 // what a look-up of subjects holds of subjects, in units of subjectSimulation
}

// checkLimits are those of one check, also of one within a bulk or within a look-up of resources.
var checkLimits = limits{steps: 10_000, open: 1_000, queries: 50_000, rows: 2_000_000, same: 1_000}

// tracedLimits are those of a check with a trace, for which SpiceDB evaluates each object in a step of its own.
var tracedLimits = limits{steps: 20_000, open: 1_000, queries: 100_000, rows: 2_000_000, same: 1_000}

// bulkCheckLimits are those of one check within a bulk. A check that needs more is repeated alone.
var bulkCheckLimits = limits{steps: 2_000, open: 1_000, queries: 10_000, rows: 400_000, same: 200}

// callLimits are the limits of the calls whose names begin with a prefix.
type callLimits struct {
	prefix string
	limits limits
}

// limitsOf are those of the calls that evaluate permissions, by the beginning of their names. Other calls read or
// write relationships as they come. Look-ups hold in memory what they have found, once for each way to it. A
// look-up of resources repeats a query from subjects to resources once for each way to those subjects, in parts of
// 100 subjects, and checks what it finds in parts of 100 resources.
var limitsOf = []callLimits{
	{"CheckBulk", limits{steps: 100_000, open: 10_000, queries: 200_000, rows: 20_000_000}},
	{"BulkCheck", limits{steps: 100_000, open: 10_000, queries: 200_000, rows: 20_000_000}},
	{"Check", limits{steps: 10_000, open: 1_000, queries: 50_000, rows: 2_000_000}},
	{"Expand", limits{steps: 10_000, open: 10_000, queries: 20_000, rows: 2_000_000, same: 1_000}},
	{"LookupResources", limits{steps: 50_000, open: 10_000, queries: 200_000, rows: 5_000_000, reverse: 2_000}},
	{
		"LookupSubjects",
		limits{steps: 10_000, open: 10_000, queries: 20_000, rows: 2_000_000, same: 1_000, found: 10_000_000},
	},
}

func (l limits) divided(by int64) limits {
	few := func(limit int64) int64 {
		if limit == 0 {
			return 0
		}
		return max(limit/by, 1)
	}
	return limits{few(l.steps), few(l.open), few(l.queries), few(l.rows), few(l.same), few(l.reverse), few(l.found)}
}

// evaluates reports whether a method of SpiceDB's API evaluates permissions, and does nothing else.
func evaluates(method string) bool {
	name := nameOf(method)
	return slices.ContainsFunc(limitsOf, func(one callLimits) bool { return strings.HasPrefix(name, one.prefix) })
}

func nameOf(method string) string { return method[strings.LastIndexByte(method, '/')+1:] }

const boundMessage = "the answer needs too many steps: " +
	"relationships form a circle, or lead to the same objects in many ways"

// bounded is what one call may still do. A read fails when the call has ended or has done too much, which ends
// every part of SpiceDB's evaluation: without it, the evaluation goes on after the call has ended.
type bounded struct {
	datalayer.DataLayer

	call  *work  // nil if the call is not limited
	check limits // of each check within the call

	waiting atomic.Int64 // reads that the datastore has not answered yet, and messages that the caller has not taken yet

	// simulate simulates a look-up of subjects, before its first query; nil for other calls.
	simulate func(datalayer.RevisionedReader) error

	// request is the context of the call. SpiceDB evaluates most of a look-up of resources, and each step that other
	// steps may wait for, under contexts that do not end with it; nil if the call is not limited.
	request context.Context //nolint:containedctx // it is that of the call whose reads are bounded
}

// newBounded bounds one call of a method of SpiceDB's API. ctx is that of the call; divisor divides the limits.
func newBounded(ctx context.Context, layer datalayer.DataLayer, method string, request any, divisor int64) *bounded {
	b := &bounded{DataLayer: layer, check: checkLimits.divided(divisor)}
	name := nameOf(method)
	for _, one := range limitsOf {
		if !strings.HasPrefix(name, one.prefix) {
			continue
		}
		most := one.limits.divided(divisor)
		if check, ok := request.(*v1.CheckPermissionRequest); ok && check.GetWithTracing() {
			b.check = tracedLimits.divided(divisor)
			most = b.check
			most.same = 0
		}
		if strings.Contains(name, "Bulk") {
			b.check = bulkCheckLimits.divided(divisor)
		}
		b.call, b.request = newWork(most), ctx
		if stream, ok := request.(*replayed); ok && most.found > 0 {
			b.simulate = b.simulateOnce(stream, most)
		}
		return b
	}
	return b
}

// simulateOnce returns a function that simulates the look-up of subjects that a stream has received, when it is
// called for the first time.
func (b *bounded) simulateOnce(stream *replayed, most limits) func(datalayer.RevisionedReader) error {
	var once sync.Once
	var err error
	return func(reader datalayer.RevisionedReader) error {
		once.Do(func() {
			b.waiting.Add(1)
			defer b.waiting.Add(-1)
			if request, ok := stream.request.(*v1.LookupSubjectsRequest); ok {
				err = simulateSubjects(b.request, reader, request, most)
			}
		})
		return err
	}
}

// take counts one of something that a read does. It fails if the call has ended, or has done too much.
func (b *bounded) take(ctx context.Context, what counted) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case b.request != nil && b.request.Err() != nil:
		return b.request.Err()
	case b.call == nil:
		return nil
	}
	enough := b.call.take(what)
	if check := checkOf(ctx); check != nil {
		enough = check.take(what) && enough
	}
	if !enough {
		return status.Error(codes.ResourceExhausted, boundMessage)
	}
	return nil
}

// query counts a query, which ids and parts tell from others.
func (b *bounded) query(ctx context.Context, what counted, ids []string, parts ...string) error {
	if err := b.take(ctx, countQueries); err != nil || b.call == nil {
		return err
	}
	enough := b.call.takeSame(what, ids, parts)
	if check := checkOf(ctx); check != nil {
		enough = check.takeSame(what, ids, parts) && enough
	}
	if !enough {
		return status.Error(codes.ResourceExhausted, boundMessage)
	}
	return nil
}

// checkOf is the check within a call that a context belongs to; nil if it belongs to none.
func checkOf(ctx context.Context) *work {
	if span, counted := trace.SpanFromContext(ctx).(*stepSpan); counted {
		return span.check
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

// untilEnd is a context for a step that ends with the call too, and the function that releases it. Without it, steps
// that wait for each other would wait without end: SpiceDB gives up a step when nothing waits for it any more.
func (b *bounded) untilEnd(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.request, cancel)
	return ctx, func() { stop(); cancel() }
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
	if err := r.bound.take(ctx, countQueries); err != nil {
		return nil, err
	}
	r.bound.waiting.Add(1)
	defer r.bound.waiting.Add(-1)
	return r.RevisionedReader.ReadSchema(r.bound.under(ctx))
}

func (r boundedReader) QueryRelationships(
	ctx context.Context, filter datastore.RelationshipsFilter, opts ...options.QueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	parts := []string{filter.OptionalResourceType, filter.OptionalResourceRelation}
	for _, selector := range filter.OptionalSubjectsSelectors {
		parts = append(parts, selector.OptionalSubjectType, selector.RelationFilter.NonEllipsisRelation)
		parts = append(parts, selector.OptionalSubjectIds...)
	}
	if r.bound.simulate != nil {
		if err := r.bound.simulate(r.RevisionedReader); err != nil {
			return nil, err
		}
	}
	if err := r.bound.query(ctx, countSame, filter.OptionalResourceIds, parts...); err != nil {
		return nil, err
	}
	r.bound.waiting.Add(1)
	defer r.bound.waiting.Add(-1)
	found, err := r.RevisionedReader.QueryRelationships(r.bound.under(ctx), filter, opts...)
	return r.counted(ctx, found), err
}

func (r boundedReader) ReverseQueryRelationships(
	ctx context.Context, filter datastore.SubjectsFilter, opts ...options.ReverseQueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	parts := []string{filter.SubjectType, filter.RelationFilter.NonEllipsisRelation}
	if query := options.NewReverseQueryOptionsWithOptions(opts...); query.ResRelation != nil {
		parts = append(parts, query.ResRelation.Namespace, query.ResRelation.Relation)
	}
	if err := r.bound.query(ctx, countReverse, filter.OptionalSubjectIds, parts...); err != nil {
		return nil, err
	}
	r.bound.waiting.Add(1)
	defer r.bound.waiting.Add(-1)
	found, err := r.RevisionedReader.ReverseQueryRelationships(r.bound.under(ctx), filter, opts...)
	return r.counted(ctx, found), err
}

func (r boundedReader) counted(
	ctx context.Context, found datastore.RelationshipIterator,
) datastore.RelationshipIterator {
	return func(yield func(tuple.Relationship, error) bool) {
		r.bound.waiting.Add(1)
		defer r.bound.waiting.Add(-1)
		for one, err := range found {
			if err == nil {
				err = r.bound.take(ctx, countRows)
			}
			r.bound.waiting.Add(-1) // what is done with it may wait for another step
			more := yield(one, err)
			r.bound.waiting.Add(1)
			if !more || err != nil {
				return
			}
		}
	}
}
