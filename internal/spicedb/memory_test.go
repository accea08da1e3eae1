package spicedb

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	storecmd "github.com/authzed/spicedb/pkg/cmd/datastore"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/datastore/test"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// retryable matches the serialization error of SpiceDB's in-memory datastore, which does not export it.
type retryable struct{}

func (retryable) Error() string        { return "serialization error" }
func (retryable) Is(target error) bool { return target.Error() == "serialization error" }

// TestMemoryConformance runs SpiceDB's own test suite. It omits the tests with two open write transactions, as SpiceDB
// does for its in-memory datastore.
func TestMemoryConformance(t *testing.T) {
	open := test.DatastoreTesterFunc(func(
		tb testing.TB, quantization, gcInterval, gcWindow time.Duration, watchBuffer uint16,
	) (datastore.Datastore, error) {
		config := storecmd.DefaultDatastoreConfig()
		config.RevisionQuantization = quantization
		config.GCInterval, config.GCWindow = gcInterval, gcWindow
		config.WatchBufferLength = watchBuffer
		return newMemoryWith(tb.Context(), config)
	})
	tester := test.NewTesterFactory(retryable{}).NewTester(open)
	test.AllWithExceptions(t, tester, test.WithCategories(test.ConcurrentWriteCategory))
}

// TestIndexAgainstScan compares the results of random queries of the index with those of a full scan.
func TestIndexAgainstScan(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	some := func(from ...string) []string {
		var out []string
		for range random.IntN(3) {
			out = append(out, pick(from...))
		}
		return out
	}
	now := time.Now()
	past, future := now.Add(-time.Hour), now.Add(time.Hour)
	types, ids, relations := []string{"aaa", "bbb"}, []string{"1", "10", "2", "x"}, []string{"rel", "relx", "zzz"}
	subjectRelations := []string{datastore.Ellipsis, "member", "other"}

	x := newIndex()
	all := map[keyspan.Key]tuple.Relationship{}
	for range 400 {
		r := tuple.Relationship{RelationshipReference: tuple.RelationshipReference{
			Resource: tuple.ONR(pick(types...), pick(ids...), pick(relations...)),
			Subject:  tuple.ONR(pick(types...), pick(ids...), pick(subjectRelations...)),
		}}
		switch random.IntN(6) {
		case 0:
			r.OptionalExpiration = &past
		case 1:
			r.OptionalExpiration = &future
		case 2:
			x.remove(r)
			delete(all, keyspan.ByResource(&r))
			continue
		}
		x.set(r)
		all[keyspan.ByResource(&r)] = r
	}

	found, empty := 0, 0
	for round := range 4_000 {
		q := query{now: now, expired: random.IntN(4) == 0, sort: options.SortOrder(random.IntN(4))}
		f := &q.filter
		if random.IntN(3) > 0 {
			f.OptionalResourceType = pick(types...)
		}
		switch random.IntN(4) {
		case 0:
			f.OptionalResourceIds = some(ids...)
		case 1:
			f.OptionalResourceIDPrefix = pick("1", "x", "9")
		}
		if random.IntN(2) == 0 {
			f.OptionalResourceRelation = pick(relations...)
		}
		for range random.IntN(3) {
			s := datastore.SubjectsSelector{OptionalSubjectIds: some(ids...)}
			if random.IntN(4) > 0 {
				s.OptionalSubjectType = pick(types...)
			}
			switch random.IntN(4) {
			case 0:
				s.RelationFilter = s.RelationFilter.WithEllipsisRelation()
			case 1:
				s.RelationFilter = s.RelationFilter.WithNonEllipsisRelation("member")
			case 2:
				s.RelationFilter = s.RelationFilter.WithOnlyNonEllipsisRelations()
			}
			f.OptionalSubjectsSelectors = append(f.OptionalSubjectsSelectors, s)
		}

		subjectOrder := q.sort == options.BySubject || q.sort != options.ByResource && keyspan.PlanFor(q.filter).BySubject
		order := orderOf(subjectOrder)
		var want []keyspan.Key
		for _, r := range all {
			if q.matches(&r) {
				want = append(want, order(&r))
			}
		}
		slices.SortFunc(want, keyspan.Key.Compare)
		if len(want) > 0 && random.IntN(2) == 0 {
			cut := random.IntN(len(want))
			q.after = pivot(want[cut], subjectOrder)
			want = want[cut+1:]
		}
		if len(want) > 0 && random.IntN(4) == 0 {
			cut := random.IntN(len(want))
			q.before = pivot(want[cut], subjectOrder)
			want = want[:cut+1]
		}
		if random.IntN(3) == 0 {
			limit := uint64(random.IntN(5))
			q.limit = &limit
			want = want[:min(len(want), int(limit))]
		}
		var got []keyspan.Key
		for r, err := range x.run(q) {
			require.NoError(t, err)
			got = append(got, order(&r))
		}
		require.Truef(t, slices.Equal(want, got), "round %d: %+v: want %v, got %v", round, q, want, got)
		if len(want) > 0 {
			found++
		} else {
			empty++
		}
	}
	require.Greater(t, found, 1000)
	require.Greater(t, empty, 200)
}

// TestIndexReadsFewRows checks that a query with one result does not take much longer if the index has many
// relationships.
func TestIndexReadsFewRows(t *testing.T) {
	relationship := func(account, relation, user string) tuple.Relationship {
		return tuple.Relationship{RelationshipReference: tuple.RelationshipReference{
			Resource: tuple.ONR("account", account, relation), Subject: tuple.ONR("user", user, datastore.Ellipsis),
		}}
	}
	indexOf := func(members int) *index {
		x := newIndex()
		for i := range members {
			x.set(relationship("large", "member", fmt.Sprint(i)))
			x.set(relationship(fmt.Sprint("small", i), "member", "everywhere"))
		}
		return x
	}
	few, many := indexOf(100), indexOf(20_000)
	selector := func(ids ...string) []datastore.SubjectsSelector {
		return []datastore.SubjectsSelector{{
			OptionalSubjectType: "user", OptionalSubjectIds: ids,
			RelationFilter: datastore.SubjectRelationFilter{}.WithEllipsisRelation(),
		}}
	}
	after := relationship("large", "member", "5")
	for name, q := range map[string]query{
		"check": {filter: datastore.RelationshipsFilter{
			OptionalResourceType: "account", OptionalResourceIds: []string{"large"}, OptionalResourceRelation: "member",
			OptionalSubjectsSelectors: selector("77"),
		}},
		"any role": {filter: datastore.RelationshipsFilter{
			OptionalResourceType: "account", OptionalResourceIds: []string{"large"}, OptionalSubjectsSelectors: selector("77"),
		}},
		"any role, elsewhere": {filter: datastore.RelationshipsFilter{
			OptionalResourceType: "account", OptionalResourceIds: []string{"small5"},
			OptionalSubjectsSelectors: selector("everywhere"),
		}},
		"of a subject": {filter: datastore.RelationshipsFilter{OptionalSubjectsSelectors: selector("77")}},
		"of a type": {filter: datastore.RelationshipsFilter{
			OptionalResourceType: "account", OptionalResourceRelation: "member", OptionalSubjectsSelectors: selector("77"),
		}},
		"page": {
			filter: datastore.RelationshipsFilter{
				OptionalResourceType: "account", OptionalResourceIds: []string{"large"}, OptionalResourceRelation: "member",
			},
			sort: options.ByResource, after: &after, limit: options.LimitOne,
		},
	} {
		run := func(x *index) time.Duration {
			const times = 100
			count := 0
			start := time.Now()
			for range times {
				for _, err := range x.run(q) {
					require.NoError(t, err)
					count++
				}
			}
			require.Equal(t, times, count, name)
			return time.Since(start)
		}
		// A scan of 20,000 relationships takes 200 times as long as a scan of 100. Other processes use the CPU too, so
		// the test repeats until one comparison is undisturbed.
		const tries, walks = 20, 20
		ratio := math.Inf(1)
		for try := 0; try < tries && ratio > walks; try++ {
			ratio = float64(run(many)) / float64(run(few))
		}
		require.LessOrEqual(t, ratio, float64(walks), "%s: ratio of the times with 20,000 and with 100 rows", name)
	}
}
