package audit_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestReplicasWriteEachTransactionOnce lets several servers follow one SpiceDB on PostgreSQL and share one log, while
// clients write, and servers start and stop. The log must have every transaction once.
func TestReplicasWriteEachTransactionOnce(t *testing.T) {
	t.Parallel()
	store := enginetest.Postgres(t)
	uri := enginetest.Postgres(t)
	open := func() (*audit.Log, error) { return audit.OpenPostgres(t.Context(), uri) }
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{Datastore: spicedb.Postgres, URI: store})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	require.NoError(t, engine.ApplySchema(t.Context(), engineSchema))

	var stops []func()
	for range 3 {
		stops = append(stops, follow(t, openLog(t, open), engine.Client))
	}
	const writers, writes = 8, 25
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			for n := range writes {
				write(t, engine, fmt.Sprintf("writer%d", i), authz.Touch, relationship(
					t, fmt.Sprintf("folder:f%d-%d", i, n), "reader", "user:olga",
				))
				if i == 0 && n == writes/2 {
					stops[0]()
				}
			}
		})
	}
	writing.Wait()
	stops[1]()
	log := openLog(t, open)
	follow(t, log, engine.Client)
	write(t, engine, "last", authz.Touch, relationship(t, "folder:last", "reader", "user:olga"))
	all := wait(t, log, 1+writers*writes+1, audit.Query{})
	seen := make(map[string]int)
	for _, line := range lines(all[1:]) {
		seen[line]++
	}
	for i := range writers {
		for n := range writes {
			require.Equal(
				t, 1, seen[fmt.Sprintf("change writer%[1]d touch folder:f%[1]d-%[2]d#reader@user:olga", i, n)],
			)
		}
	}
	report, err := log.Verify(t.Context(), "", expected)
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	require.EqualValues(t, len(all), report.Entries)
}
