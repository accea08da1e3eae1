package spicedb_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// shapesSchema has recursive permissions over two relations, in every combination that a schema allows.
const shapesSchema = `definition user {}

definition knot {
	relation ppp: knot
	relation qqq: knot
	relation viewer: user
	relation everybody: user:*
	relation banned: user
	permission plus = viewer + ppp->plus + qqq->plus
	permission both = viewer + (ppp->both & qqq->both)
	permission minus = viewer + (ppp->minus - qqq->minus)
	permission within = viewer + ppp->joined
	permission joined = ppp->within & qqq->within
	permission nested = viewer + ((ppp->nested & qqq->nested) - (qqq->nested - ppp->nested))
	permission every = viewer + ppp.all(every) + qqq.all(every)
	permission anybody = everybody + (ppp->anybody - qqq->anybody)
	permission except = (everybody + ppp->except + qqq->except) - banned
}

definition nest {
	relation aaa: user | nest#union | nest#inter | nest#minus
	relation bbb: user | nest#union | nest#inter | nest#minus
	permission union = aaa + bbb
	permission inter = aaa & bbb
	permission minus = aaa - bbb
}`

var shapePermissions = map[authz.Type][]authz.Permission{
	"knot": {"plus", "both", "minus", "within", "nested", "every", "anybody", "except"},
	"nest": {"union", "inter", "minus"},
}

// shapes are graphs of objects: each object leads, in both relations, to the objects that next returns.
var shapes = []struct {
	name string
	size int
	next func(i int) []int
}{
	{"alone", 1, func(int) []int { return []int{0} }},
	{"circle", 3, func(i int) []int { return []int{(i + 1) % 3} }},
	{"mesh", 12, func(int) []int { return []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11} }},
	{"ladder", 26, func(i int) []int { return []int{i + 1} }},
	{"layers", 36, func(i int) []int { return []int{3*(i/3) + 3, 3*(i/3) + 4, 3*(i/3) + 5} }},
	{"deep", 60, func(i int) []int { return []int{i + 1} }},
	{"tree", 300, func(i int) []int { return []int{2*i + 1, 2*i + 2} }},
}

// viewersOf selects, for each user, the objects of a shape on which the user is a viewer: none, the last one, each
// third one, or all.
var viewersOf = map[string]func(i, size int) bool{
	"none":  func(int, int) bool { return false },
	"last":  func(i, size int) bool { return i == size },
	"third": func(i, _ int) bool { return i%3 == 2 },
	"all":   func(int, int) bool { return true },
}

func writeShapes(t *testing.T, engine *spicedb.EmbeddedEngine) {
	t.Helper()
	require.NoError(t, engine.ApplySchema(t.Context(), shapesSchema))
	var updates []authz.Update
	add := func(typ authz.Type, id string, relation authz.Relation, subject authz.Subject) {
		updates = append(updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
			Resource: authz.Object{Type: typ, ID: authz.ID(id)}, Relation: relation, Subject: subject,
		}})
	}
	for _, shape := range shapes {
		for i := range shape.size + 3 {
			id := fmt.Sprint(shape.name, i)
			for name, views := range viewersOf {
				if user := endlessSubject("", "@"+name); views(i, shape.size) {
					add("knot", id, "viewer", user)
					add("nest", id, "aaa", user)
				}
			}
			if i == shape.size {
				add("knot", id, "everybody", authz.Everybody("user"))
			}
			add("knot", id, "banned", endlessSubject("", "@third"))
			for _, next := range shape.next(i) {
				if i >= shape.size {
					continue
				}
				to := fmt.Sprint(shape.name, next)
				add("knot", id, "ppp", endlessSubject("knot", to))
				add("knot", id, "qqq", endlessSubject("knot", to))
				for _, permission := range shapePermissions["nest"] {
					add("nest", id, "aaa", endlessSubject("nest", fmt.Sprintf("%s#%s", to, permission)))
					add("nest", id, "bbb", endlessSubject("nest", fmt.Sprintf("%s#%s", to, permission)))
				}
			}
		}
	}
	for batch := range slices.Chunk(updates, authz.MaxUpdates) {
		_, err := engine.Write(t.Context(), authz.Write{Updates: batch})
		require.NoError(t, err)
	}
}

// mostWork returns the largest allowed work of one call of a method, if the limits are divided by 100. It is higher
// than the limits, since steps may start at the same time as the step that exceeds a limit.
func mostWork(method string) spicedb.Work {
	switch method {
	case "CheckBulkPermissions":
		return spicedb.Work{Steps: 2_000, Queries: 4_000, Rows: 400_000}
	case "LookupResources":
		return spicedb.Work{Steps: 1_000, Queries: 4_000, Rows: 100_000}
	default:
		return spicedb.Work{Steps: 400, Queries: 2_000, Rows: 40_000}
	}
}

// TestEveryShapeIsAnsweredInBoundedSteps makes every kind of call about every shape and permission. Each call must be
// answered, or rejected as too large, after a bounded number of steps. Afterwards no work may continue.
func TestEveryShapeIsAnsweredInBoundedSteps(t *testing.T) {
	done := make(chan spicedb.Work, 1000)
	config := spicedb.EmbeddedConfig{}.WithLimitsDividedBy(100).WithStalledAfter(50 * time.Millisecond)
	engine := embedded(t, config.WithWork(func(w spicedb.Work) { done <- w }))
	writeShapes(t, engine)
	ended := endedQuestions(t)
	answered, tooLarge := 0, make(map[string]int)
	for _, shape := range shapes {
		for typ, permissions := range shapePermissions {
			for _, permission := range permissions {
				for _, user := range []string{"last", "third"} {
					for kind, ask := range ask {
						object := authz.Object{Type: typ, ID: authz.ID(shape.name + "0")}
						asked := question{endlessSubject("", "@"+user), object, permission}
						name := fmt.Sprintf("%s of %s %s for %s", kind, asked.resource, permission, user)
						if err := ask(t.Context(), engine, asked); err != nil {
							require.ErrorIs(t, err, authz.CodeTooLarge, name)
							tooLarge[kind]++
						} else {
							answered++
						}
						for len(done) > 0 {
							w := <-done
							most := mostWork(w.Method)
							require.LessOrEqual(t, w.Steps, most.Steps, "%s: %+v", name, w)
							require.LessOrEqual(t, w.Queries, most.Queries, "%s: %+v", name, w)
							require.LessOrEqual(t, w.Rows, most.Rows, "%s: %+v", name, w)
						}
					}
				}
			}
		}
		ended(shape.name)
	}
	require.Greater(t, answered, 40)
	for kind := range ask {
		require.Greater(t, tooLarge[kind], 10, kind)
	}
}

// TestExclusionsInMeshAreTooLarge checks exclusions, whose parts SpiceDB evaluates concurrently. With the default
// limits, only a few steps may be open at the same time.
func TestExclusionsInMeshAreTooLarge(t *testing.T) {
	done := make(chan spicedb.Work, 10)
	engine := embedded(t, spicedb.EmbeddedConfig{}.WithWork(func(w spicedb.Work) { done <- w }))
	writeShapes(t, engine)
	for _, kind := range []string{"check", "explanation", "bulk", "subjects"} {
		asked := question{endlessSubject("", "@none"), authz.Object{Type: "knot", ID: "mesh0"}, "minus"}
		err := ask[kind](t.Context(), engine, asked)
		require.ErrorIs(t, err, authz.CodeTooLarge, kind)
		for len(done) > 0 {
			w := <-done
			mostOpen := int64(1_000 + 10*runtime.GOMAXPROCS(0)) // steps that begin at the same time are counted as well
			if kind == "subjects" {
				mostOpen = 5_000
			}
			require.LessOrEqual(t, w.Open, mostOpen, "%s: %+v", kind, w)
			require.LessOrEqual(t, w.Steps, int64(20_000), "%s: %+v", kind, w)
			require.LessOrEqual(t, w.Rows, int64(2_500_000), "%s: %+v", kind, w)
		}
	}
}
