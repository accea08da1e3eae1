package spicedb_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/testsize"
)

var randomSchemas = testsize.Of(6, 12)

const (
	randomPermissions = 4
	randomObjects     = 5
)

// randomSchema returns a schema whose permissions are random expressions, which may refer to each other.
func randomSchema(random *rand.Rand) string {
	may := func(i int) string { return fmt.Sprint("may", i) }
	var expression func(own, depth int) string
	expression = func(own, depth int) string {
		if depth > 0 {
			operator := []string{"+", "&", "-"}[random.IntN(3)]
			return fmt.Sprintf("(%s %s %s)", expression(own, depth-1), operator, expression(own, random.IntN(depth)))
		}
		to := may(random.IntN(randomPermissions))
		terms := []string{
			"member", "member", "banned", "everybody", "parent->" + to, "other->" + to, "parent.all(" + to + ")",
		}
		if own > 0 {
			terms = append(terms, may(random.IntN(own)))
		}
		return terms[random.IntN(len(terms))]
	}
	var b strings.Builder
	b.WriteString("definition user {}\n\ndefinition node {\n\trelation parent: node\n\trelation other: node\n")
	b.WriteString("\trelation everybody: user:*\n\trelation banned: user | node#member\n")
	b.WriteString("\trelation member: user | node#member")
	for i := range randomPermissions {
		b.WriteString(" | node#" + may(i))
	}
	b.WriteByte('\n')
	for i := range randomPermissions {
		fmt.Fprintf(&b, "\tpermission %s = %s\n", may(i), expression(i, 1+random.IntN(2)))
	}
	b.WriteString("}")
	return b.String()
}

// randomNodes returns relationships between few objects, most of which form circles.
func randomNodes(random *rand.Rand) (updates []authz.Update) {
	added := make(map[authz.Relationship]bool)
	add := func(i int, relation authz.Relation, subject authz.Subject) {
		one := authz.Relationship{
			Resource: authz.Object{Type: "node", ID: authz.ID(fmt.Sprint("n", i))}, Relation: relation, Subject: subject,
		}
		if !added[one] {
			updates = append(updates, authz.Update{Action: authz.Touch, Relationship: one})
		}
		added[one] = true
	}
	node := func(of int) string { // a later object is more likely, so that some questions have an answer
		return fmt.Sprint("n", min(of+random.IntN(randomObjects), randomObjects))
	}
	for i := range randomObjects {
		for range random.IntN(4) {
			relation := []string{"#member", fmt.Sprint("#may", random.IntN(randomPermissions))}[random.IntN(2)]
			add(i, "member", endlessSubject("node", node(i)+relation))
			add(i, []authz.Relation{"parent", "other"}[random.IntN(2)], endlessSubject("node", node(i)))
		}
		if random.IntN(3) == 0 {
			add(i, "everybody", authz.Everybody("user"))
			add(i, "banned", endlessSubject("node", node(i)+"#member"))
		}
	}
	add(randomObjects, "member", endlessSubject("", "@last"))
	return updates
}

// randomLevels returns levels of two nodes each. Each node contains both nodes of the next level. So the number of
// paths doubles at each level, unless a random permission between the levels merges the subjects.
func randomLevels(random *rand.Rand) (updates []authz.Update) {
	for i := range 20 {
		for n := range 4 {
			relation := "#member"
			if random.IntN(20) == 0 {
				relation = fmt.Sprint("#may", random.IntN(randomPermissions))
			}
			level := authz.Relationship{
				Resource: authz.Object{Type: "node", ID: authz.ID(fmt.Sprintf("n%d", 2*i+n/2))}, Relation: "member",
				Subject: endlessSubject("node", fmt.Sprintf("n%d%s", 2*i+2+n%2, relation)),
			}
			updates = append(updates, authz.Update{Action: authz.Touch, Relationship: level})
		}
	}
	last := authz.Relationship{
		Resource: authz.Object{Type: "node", ID: "n40"}, Relation: "member", Subject: endlessSubject("", "@last"),
	}
	return append(updates, authz.Update{Action: authz.Touch, Relationship: last})
}

// allocated returns how much memory the process has allocated since its start.
func allocated() uint64 {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.TotalAlloc
}

// TestQuestionsOfRandomSchemasEnd makes every kind of call about random permissions, over cycles and over many paths.
// Each call must be answered, or rejected as too large, after a bounded number of steps and with bounded memory.
// Afterwards no work may continue.
func TestQuestionsOfRandomSchemasEnd(t *testing.T) {
	done := make(chan spicedb.Work, 1000)
	config := spicedb.EmbeddedConfig{}.WithLimitsDividedBy(100).WithStalledAfter(50 * time.Millisecond)
	most := uint64(0)
	for n := range randomSchemas {
		seed := rand.Uint64()
		if n < randomSchemas/2 {
			seed = uint64(n) // the seeds are the same in each run
		}
		random := rand.New(rand.NewPCG(seed, 0))
		engine := embedded(t, config.WithWork(func(w spicedb.Work) { done <- w }))
		schema := randomSchema(random)
		require.NoError(t, engine.ApplySchema(t.Context(), schema), schema)
		updates := randomNodes(random)
		if n%2 == 1 {
			updates = randomLevels(random)
		}
		_, err := engine.Write(t.Context(), authz.Write{Updates: updates})
		require.NoError(t, err)
		ended := endedQuestions(t)
		for i := range 2 * randomPermissions {
			object := authz.Object{Type: "node", ID: authz.ID(fmt.Sprint("n", i/randomPermissions))}
			asked := question{endlessSubject("", "@last"), object, authz.Permission(fmt.Sprint("may", i%randomPermissions))}
			for kind, ask := range ask {
				name := fmt.Sprintf("seed %d: %s of %s %s\n%s", seed, kind, object, asked.permission, schema)
				before := allocated()
				if err := ask(t.Context(), engine, asked); err != nil {
					require.ErrorIs(t, err, authz.CodeTooLarge, name)
				}
				most = max(most, allocated()-before)
				require.Less(t, allocated()-before, uint64(64<<20), name)
				for _, w := range drain(done) {
					limit := mostWork(w.Method)
					require.LessOrEqual(t, w.Steps, limit.Steps, "%s: %+v", name, w)
					require.LessOrEqual(t, w.Queries, limit.Queries, "%s: %+v", name, w)
					require.LessOrEqual(t, w.Rows, limit.Rows, "%s: %+v", name, w)
				}
			}
		}
		ended(fmt.Sprint("seed ", seed))
		require.NoError(t, engine.Close())
	}
	t.Logf("one question allocated up to %d MiB", most>>20)
}
