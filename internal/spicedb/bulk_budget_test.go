package spicedb_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestExpensiveChecksLeaveOthersOfBulk checks bulks in which some checks need too many steps. The other checks must
// have the answers of single checks. The steps of failing repetitions must be bounded for a bulk of any size.
func TestExpensiveChecksLeaveOthersOfBulk(t *testing.T) {
	done := make(chan spicedb.Work, 10_000)
	config := spicedb.EmbeddedConfig{}.WithLimitsDividedBy(10)
	engine := embedded(t, config.WithWork(func(w spicedb.Work) { done <- w }))
	writeEndless(t, engine)
	expensive := func(i int) authz.Check {
		user := endlessSubject("", fmt.Sprint("@nobody", i))
		return question{user, authz.Object{Type: "doc", ID: "steps0"}, "above"}.check()
	}
	cheap := question{endlessSubject("", "@ring"), authz.Object{Type: "doc", ID: "ring1"}, "above"}.check()
	for _, expensives := range []int{1, 4, 20, 200} {
		var checks []authz.Check
		for i := range expensives {
			checks = append(checks, expensive(i))
		}
		name := fmt.Sprint(expensives, " expensive checks")
		for _, checks := range [][]authz.Check{checks, append(checks, cheap)} {
			results, _, err := engine.CheckBulk(t.Context(), checks, authz.Fully())
			require.Len(t, results, len(checks), name)
			for i := range expensives {
				require.ErrorIs(t, results[i].Err, authz.CodeTooLarge, name)
			}
			if len(checks) > expensives {
				require.NoError(t, err, name)
				require.NoError(t, results[expensives].Err, name)
				require.True(t, results[expensives].Decision.Allowed(), name)
			}
			called, steps := make(map[string]int), int64(0)
			for _, w := range drain(done) {
				called[w.Method]++
				if w.Method == "CheckPermission" {
					steps += w.Steps
				}
			}
			require.Equal(t, 1, called["CheckBulkPermissions"], name)
			// One tenth of the limits, plus a tenth for evaluations that exceed a limit slightly before they end.
			require.LessOrEqual(t, steps, int64((200*64+100_000+10_000)/10*11/10), name)
		}
	}
}

const foldersSchema = `definition user {}

definition folder {
	relation parent: folder
	relation viewer: user
	permission view = viewer + parent->view
}`

// writeFolders writes a chain of 70 folders, c0 to c69, and the folder flat outside of it. The user low may view c5
// and flat.
func writeFolders(t *testing.T, engine *spicedb.EmbeddedEngine) {
	t.Helper()
	require.NoError(t, engine.ApplySchema(t.Context(), foldersSchema))
	var write authz.Write
	add := func(folder string, relation authz.Relation, subject authz.Object) {
		write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
			Resource: authz.Object{Type: "folder", ID: authz.ID(folder)}, Relation: relation,
			Subject: authz.Subject{Object: subject},
		}})
	}
	for i := range 70 {
		add(fmt.Sprint("c", i), "parent", authz.Object{Type: "folder", ID: authz.ID(fmt.Sprint("c", i+1))})
	}
	add("c5", "viewer", authz.Object{Type: "user", ID: "low"})
	add("flat", "viewer", authz.Object{Type: "user", ID: "low"})
	_, err := engine.Write(t.Context(), write)
	require.NoError(t, err)
}

func viewOf(user, folder string) authz.Check {
	return question{endlessSubject("", "@"+user), authz.Object{Type: "folder", ID: authz.ID(folder)}, "view"}.check()
}

// TestManyTooLargeChecksLeaveOthersOfBulk makes bulks in which many checks are nested too deeply. They must not
// change the answers of the other checks, whether the checks have one subject or several, and at every position in
// the bulk.
func TestManyTooLargeChecksLeaveOthersOfBulk(t *testing.T) {
	done := make(chan spicedb.Work, 10_000)
	engine := embedded(t, spicedb.EmbeddedConfig{}.WithWork(func(w spicedb.Work) { done <- w }))
	writeFolders(t, engine)
	good := []authz.Check{viewOf("low", "c5"), viewOf("low", "flat"), viewOf("low", "c0"), viewOf("low", "c3")}
	for name, user := range map[string]func(i int) string{
		"of several people": func(i int) string { return fmt.Sprint("x", i) },
		"of one person":     func(int) string { return "low" },
	} {
		var tooDeep []authz.Check
		for i := range 110 {
			tooDeep = append(tooDeep, viewOf(user(i), fmt.Sprint("c", 6+i%10)))
		}
		for _, checks := range [][]authz.Check{append(tooDeep[:110:110], good...), append(good[:4:4], tooDeep...)} {
			drain(done)
			results, _, err := engine.CheckBulk(t.Context(), checks, authz.Fully())
			require.NoError(t, err, name)
			for i, check := range checks {
				if slices.Contains([]authz.ID{"c5", "flat", "c0", "c3"}, check.Resource.ID) {
					require.NoError(t, results[i].Err, "%s: %v", name, check)
					require.True(t, results[i].Decision.Allowed(), "%s: %v", name, check)
				} else {
					require.ErrorIs(t, results[i].Err, authz.CodeTooLarge, "%s: %v", name, check)
				}
			}
			if name == "of several people" {
				require.LessOrEqual(t, len(drain(done)), 1+len(good), "only the checks of one person are repeated")
			}
		}
	}
}

// TestChecksDoNotGetErrorsOfOthers checks that a check within its limits has an answer, while other calls evaluate the
// same check with a lower limit.
func TestChecksDoNotGetErrorsOfOthers(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{})
	writeFolders(t, engine)
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			limited := metadata.AppendToOutgoingContext(ctx, "sluice-max-steps", "20")
			for ctx.Err() == nil {
				_, _, _ = engine.Check(limited, viewOf("nobody", "c30"), authz.Fully())
			}
		})
	}
	for range 25 {
		_, _, err := engine.Check(t.Context(), viewOf("nobody", "c30"), authz.Fully())
		require.NoError(t, err)
	}
	stop()
	others.Wait()
}
