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
)

// limits bound the work of an embedded SpiceDB for one call, or for one check within a call. Without them, some calls
// take exponential time and memory, since SpiceDB v1.56.0 follows each path to an object separately. Examples are
// cycles, and chains in which each object leads to the next object in two ways. Zero means no limit.
type limits struct {
	steps   int64 // evaluated parts of permissions
	open    int64 // parts evaluated at the same time: SpiceDB evaluates the parts of an exclusion concurrently
	queries int64 // queries of the schema and of relationships
	rows    int64 // relationships read
	same    int64 // repetitions of one query from resources to subjects
	reverse int64 // repetitions of one query from subjects to resources
	found   int64 // cost of the subjects that a look-up of subjects keeps in memory, see subjectSimulation
}

// checkLimits are the limits of one check. They also hold for a check within a bulk or within a look-up of resources.
var checkLimits = limits{steps: 10_000, open: 1_000, queries: 50_000, rows: 2_000_000, same: 1_000}

// tracedLimits are the limits of a check with a trace. For such a check, SpiceDB evaluates each object in a separate
// step.
var tracedLimits = limits{steps: 20_000, open: 1_000, queries: 100_000, rows: 2_000_000, same: 1_000}

// bulkCheckLimits are the limits of one check within a bulk. If a check exceeds them, CheckBulk repeats it in a
// separate call.
var bulkCheckLimits = limits{steps: 2_000, open: 1_000, queries: 10_000, rows: 400_000, same: 200}

// callLimits are the limits of the calls whose names start with prefix.
type callLimits struct {
	prefix string
	limits limits
}

// limitsOf has the limits of calls that evaluate permissions. Other calls stream relationships and need no limit. A
// look-up keeps a result in memory for each path to it. A look-up of resources reads from subjects to resources, in
// chunks of 100 subjects, and repeats the query of a chunk once for each path to its subjects. Then it checks the found
// resources in chunks of 100.
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

// evaluates reports whether a method of SpiceDB only evaluates permissions.
func evaluates(method string) bool {
	name := nameOf(method)
	return slices.ContainsFunc(limitsOf, func(one callLimits) bool { return strings.HasPrefix(name, one.prefix) })
}

func nameOf(method string) string { return method[strings.LastIndexByte(method, '/')+1:] }

const boundMessage = "the answer needs too many steps: " +
	"relationships form a cycle, or many paths lead to the same objects"

// bounded limits the work of one call. After the call has ended or exceeded a limit, every read of the call fails,
// which ends all parts of the evaluation. Without this, SpiceDB would continue the evaluation after the end of the
// call.
type bounded struct {
	datalayer.DataLayer

	call  *work  // work of the call; nil if the call is not limited
	check limits // limits of each check within the call

	waiting atomic.Int64 // pending reads of the datastore and messages to the caller

	refused atomic.Bool // a read of this call failed because the call exceeded a limit

	// simulate simulates a look-up of subjects before its first query. It is nil for other calls.
	simulate func(datalayer.RevisionedReader) error

	together *allowance // shared by the look-ups of subjects of several calls; nil means no limit

	// alone is set for calls that only make checks. Unless cached is set, these checks share no part with other
	// checks. The parts of an exclusion are evaluated one after the other.
	alone, cached bool

	// request is the context of the call, or nil if the call is not limited. Each read checks it, because SpiceDB
	// evaluates some steps under contexts that do not end with the call: most of a look-up of resources, and steps
	// whose result other steps may need.
	request context.Context //nolint:containedctx // a bounded belongs to one call
}

// newBounded returns the limits of one call of a SpiceDB method. ctx is the context of the call. limited.divisor
// divides the limits.
func newBounded(
	ctx context.Context, layer datalayer.DataLayer, method string, request any, limited limited,
) *bounded {
	divisor := limited.divisor
	b := &bounded{DataLayer: layer, check: checkLimits.divided(divisor), together: limited.together}
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
		if steps := maxStepsOf(ctx); steps > 0 {
			steps = max(steps/divisor, 1)
			most, b.check = most.lowered(steps), b.check.lowered(steps)
		}
		b.call, b.request = newWork(most), ctx
		b.alone, b.cached = strings.Contains(name, "Check"), limited.cached
		if stream, ok := request.(*replayed); ok && most.found > 0 {
			b.simulate = b.simulateOnce(stream, most)
		}
		return b
	}
	return b
}

// simulateOnce returns a function that simulates the look-up of subjects whose request the stream has received, and
// returns the error of the simulation. Only the first call simulates; later calls return the same error.
func (b *bounded) simulateOnce(stream *replayed, most limits) func(datalayer.RevisionedReader) error {
	var once sync.Once
	var err error
	return func(reader datalayer.RevisionedReader) error {
		once.Do(func() {
			b.waiting.Add(1)
			defer b.waiting.Add(-1)
			if request, ok := stream.request.(*v1.LookupSubjectsRequest); ok {
				err = simulateSubjects(b.request, reader, request, most, b.together)
			}
		})
		return err
	}
}

// take counts one unit of work, and returns an error if the call has ended or has exceeded a limit.
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
		b.refused.Store(true)
		return tooManySteps()
	}
	return nil
}

// query counts a query. Two queries are the same if their ids and parts are equal.
func (b *bounded) query(ctx context.Context, what counted, ids []string, parts ...string) error {
	if err := b.take(ctx, countQueries); err != nil || b.call == nil {
		return err
	}
	enough := b.call.takeSame(what, ids, parts)
	if check := checkOf(ctx); check != nil {
		enough = check.takeSame(what, ids, parts) && enough
	}
	if !enough {
		b.refused.Store(true)
		return tooManySteps()
	}
	return nil
}

// checkOf returns the work of the check to which a context belongs, or nil if it belongs to no check.
func checkOf(ctx context.Context) *work {
	if span, counted := trace.SpanFromContext(ctx).(*stepSpan); counted {
		return span.check
	}
	return nil
}

// under returns the context for calls of the datastore: the context of the limited call, or ctx if the call is not
// limited.
func (b *bounded) under(ctx context.Context) context.Context {
	if b.request != nil {
		return b.request
	}
	return ctx
}

// untilEnd returns a context for a step, which ends with ctx or with the call, and a function that releases it.
// SpiceDB itself stops a step only when no other step waits for its result. So without this context, steps that wait
// for each other would never end.
func (b *bounded) untilEnd(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.request, cancel)
	return ctx, func() { stop(); cancel() }
}

// SnapshotReader implements datalayer.DataLayer.
func (b *bounded) SnapshotReader(revision datastore.Revision, schema datalayer.SchemaHash) datalayer.RevisionedReader {
	return boundedReader{b.DataLayer.SnapshotReader(plain(revision), schema), b}
}

// HeadRevision implements datalayer.DataLayer.
func (b *bounded) HeadRevision(ctx context.Context) (datastore.Revision, datalayer.SchemaHash, error) {
	revision, schema, err := b.DataLayer.HeadRevision(ctx)
	return b.unshared(revision, err), schema, err
}

// OptimizedRevision implements datalayer.DataLayer.
func (b *bounded) OptimizedRevision(ctx context.Context) (datastore.Revision, datalayer.SchemaHash, error) {
	revision, schema, err := b.DataLayer.OptimizedRevision(ctx)
	return b.unshared(revision, err), schema, err
}

// RevisionFromString implements datalayer.DataLayer.
func (b *bounded) RevisionFromString(text string) (datastore.Revision, error) {
	revision, err := b.DataLayer.RevisionFromString(plainText(text))
	return b.unshared(revision, err), err
}

// CheckRevision implements datalayer.DataLayer.
func (b *bounded) CheckRevision(ctx context.Context, revision datastore.Revision) error {
	return b.DataLayer.CheckRevision(ctx, plain(revision))
}

func (b *bounded) unshared(revision datastore.Revision, err error) datastore.Revision {
	if err != nil || !b.alone || b.cached {
		return revision
	}
	return unshared{revision}
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
	schema, err := r.RevisionedReader.ReadSchema(r.bound.under(ctx))
	if err != nil || !r.bound.alone {
		return schema, err
	}
	return orderedSchema{schema}, nil
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
			r.bound.waiting.Add(-1) // while the row is used, the consumer may wait for another step
			more := yield(one, err)
			r.bound.waiting.Add(1)
			if !more || err != nil {
				return
			}
		}
	}
}
