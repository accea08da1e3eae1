package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
)

// TestFindReadsALimitedAmount queries entries that are together larger than one answer of Find may be. No answer
// before the last one may be empty, and the answers together must have every entry once.
func TestFindReadsALimitedAmount(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		log := openLog(t, open)
		const n = 20
		var changes []authz.Change
		for i := range n {
			subjects := make([]string, 900)
			for j := range subjects {
				subjects[j] = fmt.Sprintf("user:%0240d", j)
			}
			changes = append(changes, touched(t, fmt.Sprint(i), time.Now(), subjects...))
		}
		changes = append(changes, touched(t, "last", time.Now(), "user:last"))
		follower := audit.NewFollower(
			audit.Config{Log: log, Source: script{changes}, Reader: everything{}, Place: place},
		)
		stop := run(t, follower)
		wait(t, log, 1, audit.Query{Object: authz.Object{Type: "user", ID: "last"}})
		stop()

		var after int64
		total, largest, answers, entries := 0, 0, 0, 0
		for {
			found, err := log.Find(t.Context(), audit.Query{After: &after, Limit: 1000})
			require.NoError(t, err)
			if len(found) == 0 {
				break
			}
			size := 0
			for _, entry := range found {
				require.Equal(t, after+1, entry.Seq)
				after = entry.Seq
				size += len(entry.Body)
			}
			total, largest, answers, entries = total+size, max(largest, size), answers+1, entries+len(found)
		}
		require.Greater(t, total, 5<<20, "the entries are too small for this test")
		require.Less(t, largest, 5<<20)
		require.Greater(t, answers, 1)
		require.GreaterOrEqual(t, entries, n+2)
	})
}
