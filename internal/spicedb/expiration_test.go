package spicedb_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestExpirationBehindACache checks the delays that docs/membership.md states. Here SpiceDB on PostgreSQL caches
// answers, so an answer can be outdated after an expiration. The test measures for how long, with continuous checks
// and no writes.
func TestExpirationBehindACache(t *testing.T) {
	t.Parallel()
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{
		Datastore: spicedb.Postgres, URI: enginetest.Postgres(t), DispatchCache: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	require.NoError(t, engine.ApplySchema(t.Context(), enginetest.Schema))

	const people, apart = 4, 1200 * time.Millisecond
	doc := authz.Object{Type: "document", ID: "d"}
	person := func(i int) authz.Subject {
		return authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(fmt.Sprint("u", i))}}
	}
	first := time.Now().Add(2 * time.Second)
	ends := func(i int) time.Time { return first.Add(time.Duration(i) * apart) }
	var write authz.Write
	for i := range people {
		write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
			Resource: doc, Relation: "owner", Subject: person(i), ExpiresAt: ends(i),
		}})
	}
	token, err := engine.Write(t.Context(), write)
	require.NoError(t, err)

	const longest = 11 * time.Second
	bounds := map[authz.Consistency]time.Duration{authz.Fully(): 5 * time.Second, authz.AsFreshAs(token): longest}
	const slack = 3 * time.Second
	var slowest time.Duration // duration of the slowest check: the bound below allows five times as much
	for time.Since(ends(people-1)) < longest+2*slack {
		for i := range people {
			for at, bound := range bounds {
				asked := time.Now()
				decision, _, err := engine.Check(
					t.Context(), authz.Check{Subject: person(i), Permission: "edit", Resource: doc}, at,
				)
				require.NoError(t, err)
				slowest = max(slowest, time.Since(asked))
				require.False(
					t, decision.Allowed() && asked.After(ends(i).Add(bound+slack+5*slowest)),
					"allowed %s after the expiration", asked.Sub(ends(i)),
				)
				require.False(
					t, !decision.Allowed() && time.Now().Before(ends(i)),
					"denied %s before the expiration", time.Until(ends(i)),
				)
			}
		}
		time.Sleep(250 * time.Millisecond)
	}
}
