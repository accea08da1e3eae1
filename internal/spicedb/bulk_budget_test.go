package spicedb_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestExpensiveChecksLeaveOthersOfBulk checks bulks in which some checks need too many steps. The other checks have the
// answers of single checks. CheckBulk repeats only few checks, however many the bulk has.
func TestExpensiveChecksLeaveOthersOfBulk(t *testing.T) {
	done := make(chan spicedb.Work, 1000)
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
			if len(checks) > expensives && expensives <= 20 {
				require.NoError(t, err, name)
				require.NoError(t, results[expensives].Err, name)
				require.True(t, results[expensives].Decision.Allowed(), name)
			}
			called := make(map[string]int)
			for _, w := range drain(done) {
				called[w.Method]++
			}
			require.LessOrEqual(t, called["CheckPermission"], min(expensives, 5), name)
			require.LessOrEqual(t, called["CheckBulkPermissions"], 26, name)
		}
	}
}
