package replica_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/freshness"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(enginetest.Main{M: m}, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// followed returns a replica that runs until the end of the test.
func followed(t testing.TB, engine authz.Engine, source replica.Source, options replica.Options) *replica.Replica {
	t.Helper()
	r := replica.New(engine, source, options)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return r
}

func embedded(t testing.TB, config spicedb.EmbeddedConfig) *spicedb.EmbeddedEngine {
	t.Helper()
	engine, err := spicedb.Embedded(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return engine
}

// answers counts the answers of the replica, and the answers of SpiceDB by reason.
type answers struct {
	mu     sync.Mutex
	counts map[string]int
}

func (a *answers) observe(_, source, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = make(map[string]int)
	}
	a.counts[source]++
	if reason != "" {
		a.counts[reason]++
	}
}

func (a *answers) of(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[name]
}

func (a *answers) all() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counts)
}

// caughtUp is a replica whose Write returns only when the replica has the write.
type caughtUp struct{ *replica.Replica }

func (c caughtUp) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	token, err := c.Replica.Write(ctx, write)
	c.wait(ctx, token, err)
	return token, err
}

func (c caughtUp) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
) (authz.Token, error) {
	token, err := c.Replica.DeleteAll(ctx, filter, preconditions, metadata)
	c.wait(ctx, token, err)
	return token, err
}

func (c caughtUp) wait(ctx context.Context, token authz.Token, err error) {
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
	defer cancel()
	if err := c.Reached(ctx, token); err != nil {
		panic(err) // the suite writes from its own goroutines
	}
}

// stores are the datastores of SpiceDB with which the replica is tested.
var stores = map[string]func(t *testing.T) spicedb.EmbeddedConfig{
	"memory": func(*testing.T) spicedb.EmbeddedConfig { return spicedb.EmbeddedConfig{} },
	"sqlite": func(t *testing.T) spicedb.EmbeddedConfig {
		return spicedb.EmbeddedConfig{Datastore: spicedb.SQLite, DataDir: t.TempDir()}
	},
	"postgres": func(t *testing.T) spicedb.EmbeddedConfig {
		return spicedb.EmbeddedConfig{Datastore: spicedb.Postgres, URI: enginetest.Postgres(t)}
	},
}

// TestEngine runs the engine suite twice: with a replica that lags behind SpiceDB as usual (most on PostgreSQL), and
// with one that catches up after every write.
func TestEngine(t *testing.T) {
	for _, name := range []string{"memory", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told answers
			engine := embedded(t, stores[name](t))
			r := followed(t, engine.Client, engine.Client, replica.Options{Observe: told.observe, Verify: 1})
			front := freshness.ReadYourWrites(r)
			if name != "postgres" {
				front = freshness.ReadYourWrites(caughtUp{r})
			}
			enginetest.Run(t, func(*testing.T) authz.Engine { return front })
			require.Positive(t, told.of(replica.FromSpiceDB))
			require.Positive(t, told.of(replica.FromReplica))
			require.Positive(t, r.Stats().Verified)
			require.Zero(t, r.Stats().Differences)
		})
	}
}
