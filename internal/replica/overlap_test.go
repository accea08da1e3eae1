package replica_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestOverlapOnPostgres overlaps transactions on PostgreSQL. SpiceDB v1.56.0's Watch sends some of them twice and out
// of order. Relationships deleted meanwhile must not reappear.
func TestOverlapOnPostgres(t *testing.T) {
	t.Parallel()
	var told answers
	uri := enginetest.Postgres(t)
	engine := embedded(t, spicedb.EmbeddedConfig{Datastore: spicedb.Postgres, URI: uri})
	require.NoError(t, engine.ApplySchema(t.Context(), documents))
	other, err := pgx.Connect(t.Context(), uri)
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close(t.Context()) })
	r := followed(t, engine.Client, engine.Client, replica.Options{Observe: told.observe, Verify: 1})
	for trial := range 10 {
		document := fmt.Sprint("d", trial)
		long, err := other.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.Serializable})
		require.NoError(t, err)
		_, err = long.Exec(t.Context(), "INSERT INTO relation_tuple_transaction (metadata) VALUES ('{}')")
		require.NoError(t, err)
		reached(t, r, write(t, engine, authz.Touch, reader(document, "uma")))
		write(t, engine, authz.Delete, reader(document, "uma"))
		require.NoError(t, long.Commit(t.Context()))
		for i := range 4 {
			token := write(t, engine, authz.Touch, reader(fmt.Sprintf("%s-%d", document, i), "uma"))
			reached(t, r, token)
			require.False(t, reads(t, r, document, "uma", authz.AsFreshAs(token)), "trial %d", trial)
			require.True(t, reads(t, r, fmt.Sprintf("%s-%d", document, i), "uma", authz.AsFreshAs(token)))
			time.Sleep(time.Duration(2*trial) * time.Millisecond) // varies the moment at which Watch reads
		}
	}
	require.Positive(t, told.of(replica.FromReplica))
	require.Zero(t, r.Stats().Differences)
}
