package replica_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// logged collects log output.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestIdle checks that the replica still answers when nothing has been written for longer than Bound. On a busy
// machine, SpiceDB may report its revision too late, and must give an answer itself. Then the test restarts.
func TestIdle(t *testing.T) {
	t.Parallel()
	for name, config := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told answers
			engine := embedded(t, config(t))
			require.NoError(t, engine.ApplySchema(t.Context(), documents))
			r := followed(t, engine.Client, engine.Client, replica.Options{Observe: told.observe})
			reached(t, r, write(t, r, authz.Touch, reader("a", "uma")))
			answersAlone := func() bool {
				before := told.of(replica.FromSpiceDB)
				for begun := time.Now(); time.Since(begun) < replica.Bound+4*time.Second; {
					require.True(t, reads(t, r, "a", "uma", authz.Consistency{Freshness: authz.MinimizeLatency}))
					if told.of(replica.FromSpiceDB) > before {
						return false
					}
					time.Sleep(200 * time.Millisecond)
				}
				return true
			}
			for tries := 1; !answersAlone(); tries++ {
				require.Less(t, tries, 10, "the replica never answers for so long: %v", told.counts)
				time.Sleep(200 * time.Millisecond)
			}
		})
	}
}

// TestExpiration checks that checks and look-ups ignore a relationship from its expiration on.
func TestExpiration(t *testing.T) {
	t.Parallel()
	var told answers
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), documents))
	r := followed(t, engine.Client, engine.Client, replica.Options{Observe: told.observe})
	limited := reader("a", "uma")
	limited.ExpiresAt = time.Now().Add(2 * time.Second).Truncate(time.Second)
	reached(t, r, write(t, r, authz.Touch, limited))
	latest := authz.Consistency{Freshness: authz.MinimizeLatency}
	for {
		asked := time.Now()
		allowed := reads(t, r, "a", "uma", latest)
		answered := time.Now()
		if answered.Before(limited.ExpiresAt) {
			require.True(t, allowed)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if asked.After(limited.ExpiresAt) {
			require.False(t, allowed)
			break
		}
	}
	for found, err := range r.LookupResources(
		t.Context(), authz.ResourceQuery{Subject: limited.Subject, Permission: "read", Type: "document"}, latest,
		authz.Page{},
	) {
		t.Errorf("%s is still found: %v", found.ID, err)
	}
	require.Zero(t, told.of("stale"))
	require.Positive(t, told.of(replica.FromReplica))
}

// TestTooMany checks that the replica turns itself off and logs this, if there are too many relationships. It tests
// this while the replica loads, and while it follows Watch.
func TestTooMany(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]int{"loading": 11, "following": 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told answers
			var log logged
			engine := embedded(t, spicedb.EmbeddedConfig{})
			require.NoError(t, engine.ApplySchema(t.Context(), documents))
			var before []authz.Relationship
			for i := range at {
				before = append(before, reader("a", string(rune('a'+i))))
			}
			token := write(t, engine, authz.Touch, before...)
			r := followed(t, engine.Client, engine.Client, replica.Options{
				MaxRelationships: 10, Observe: told.observe, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if at == 10 {
				reached(t, r, token)
				write(t, r, authz.Touch, reader("b", "uma"))
			}
			eventually(t, func() bool { return strings.Contains(log.String(), "--replica-max-relationships") })
			require.True(t, reads(t, r, "a", "a", authz.Consistency{Freshness: authz.MinimizeLatency}))
			require.Equal(t, 1, told.of("too_many"))
			require.False(t, r.Stats().Answering)
		})
	}
}

// lying is an engine that inverts decisions.
type lying struct{ authz.Engine }

func (l lying) Check(
	ctx context.Context, check authz.Check, at authz.Consistency,
) (authz.Decision, authz.Token, error) {
	decision, token, err := l.Engine.Check(ctx, check, at)
	if decision.State == authz.Allowed {
		return authz.Decision{}, token, err
	}
	return authz.Decision{State: authz.Allowed}, token, err
}

// TestDifference checks that a wrong answer turns the replica off, and that the log has everything that an
// investigation needs.
func TestDifference(t *testing.T) {
	t.Parallel()
	var told answers
	var log logged
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), documents))
	token := write(t, engine, authz.Touch, reader("a", "uma"))
	r := followed(t, lying{engine.Client}, engine.Client, replica.Options{
		Verify: 1, Observe: told.observe, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	reached(t, r, token)
	require.True(t, reads(t, r, "a", "uma", authz.AsFreshAs(token)), "the answer must not wait for the verification")
	eventually(t, func() bool { return r.Stats().Differences == 1 })
	require.False(t, reads(t, r, "a", "uma", authz.AsFreshAs(token)), "the engine behind must answer now")
	require.Equal(t, 1, told.of("differs"))
	for _, said := range []string{"document", "uma", "permission read", string(token[:20])} {
		require.Contains(t, log.String(), said)
	}
}
