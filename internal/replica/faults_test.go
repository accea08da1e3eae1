package replica_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/freshness"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/sqlitestore"
	"github.com/sluice-authz/sluice/internal/testsize"
)

const documents = `use expiration

definition user {}

definition document {
	relation reader: user | user with expiration

	permission read = reader
}`

func reader(document, user string) authz.Relationship {
	return authz.Relationship{
		Resource: authz.Object{Type: "document", ID: authz.ID(document)}, Relation: "reader",
		Subject: authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(user)}},
	}
}

func write(t *testing.T, engine authz.Engine, action authz.Action, relationships ...authz.Relationship) authz.Token {
	t.Helper()
	var updates []authz.Update
	for _, r := range relationships {
		updates = append(updates, authz.Update{Action: action, Relationship: r})
	}
	token, err := engine.Write(t.Context(), authz.Write{Updates: updates})
	require.NoError(t, err)
	return token
}

// reads asks an engine whether a user may read a document.
func reads(t *testing.T, engine authz.Engine, document, user string, at authz.Consistency) bool {
	t.Helper()
	r := reader(document, user)
	decision, token, err := engine.Check(
		t.Context(), authz.Check{Subject: r.Subject, Permission: "read", Resource: r.Resource}, at,
	)
	require.NoError(t, err)
	require.NotEmpty(t, token)
	return decision.Allowed()
}

func reached(t *testing.T, r *replica.Replica, token authz.Token) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	require.NoError(t, r.Reached(ctx, token))
}

// breakable is a source whose Watch can be cut.
type breakable struct {
	replica.Source

	mu    sync.Mutex
	isCut bool
	cut   context.CancelFunc
}

var errCut = errors.New("the line is cut")

func (b *breakable) WatchStored(ctx context.Context, after authz.Token, take func(*v1.WatchResponse) error) error {
	b.mu.Lock()
	if b.isCut {
		b.mu.Unlock()
		return errCut
	}
	ctx, b.cut = context.WithCancel(ctx)
	b.mu.Unlock()
	return b.Source.WatchStored(ctx, after, take)
}

func (b *breakable) set(isCut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isCut = isCut; isCut && b.cut != nil {
		b.cut()
	}
}

// eventually waits for an effect that another goroutine causes and that no token announces.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 5*time.Minute, 5*time.Millisecond)
}

// TestWatchCut interrupts Watch while everything changes. No answer may be wrong. When Watch continues, the replica
// must answer again.
func TestWatchCut(t *testing.T) {
	t.Parallel()
	var told answers
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), documents))
	line := &breakable{Source: engine.Client}
	r := followed(t, engine.Client, line, replica.Options{Observe: told.observe, Verify: 1})
	front := freshness.ReadYourWrites(r)
	reached(t, r, write(t, front, authz.Touch, reader("a", "uma")))
	require.True(t, reads(t, front, "a", "uma", authz.Consistency{}))
	require.Positive(t, told.of(replica.FromReplica))

	line.set(true)
	eventually(t, func() bool { // until the replica has noticed that Watch is cut
		reads(t, front, "a", "uma", authz.Consistency{Freshness: authz.MinimizeLatency})
		return told.of("watch_lost") > 0
	})
	var last authz.Token
	before := told.of(replica.FromReplica)
	for i, begun := 0, time.Now(); time.Since(begun) < testsize.Of(15*time.Second, time.Minute); i++ {
		document := fmt.Sprintf("d%d", i)
		write(t, front, authz.Touch, reader(document, "uma"))
		require.True(t, reads(t, front, document, "uma", authz.Consistency{}))
		require.True(t, reads(t, front, document, "uma", authz.Consistency{Freshness: authz.MinimizeLatency}))
		last = write(t, front, authz.Delete, reader(document, "uma"))
		require.False(t, reads(t, front, document, "uma", authz.Consistency{Freshness: authz.MinimizeLatency}))
		time.Sleep(500 * time.Millisecond)
	}
	require.Equal(t, before, told.of(replica.FromReplica), "the replica must not answer while Watch is cut")
	require.Positive(t, told.of("watch_lost"))

	line.set(false)
	reached(t, r, last)
	eventually(t, func() bool {
		require.True(t, reads(t, front, "a", "uma", authz.Consistency{}))
		require.False(t, reads(t, front, "d0", "uma", authz.Consistency{}))
		return told.of(replica.FromReplica) > before
	})
	require.Zero(t, r.Stats().Differences)
}

// TestHistoryLost interrupts Watch until SpiceDB no longer has the changes after the replica's state.
func TestHistoryLost(t *testing.T) {
	t.Parallel()
	var told answers
	store, err := sqlitestore.Open(
		t.TempDir(), sqlitestore.Options{GCWindow: time.Second, GCInterval: 50 * time.Millisecond},
	)
	require.NoError(t, err)
	engine := embedded(t, spicedb.EmbeddedConfig{Store: store})
	require.NoError(t, engine.ApplySchema(t.Context(), documents))
	line := &breakable{Source: engine.Client}
	r := followed(t, engine.Client, line, replica.Options{Observe: told.observe})
	held := write(t, r, authz.Touch, reader("a", "uma"), reader("b", "uma"))
	reached(t, r, held)

	line.set(true)
	write(t, r, authz.Delete, reader("a", "uma"))
	last := write(t, r, authz.Touch, reader("c", "uma"))
	eventually(t, func() bool {
		last = write(t, r, authz.Touch, reader("d", "uma"), reader("d", fmt.Sprint("u", rand.Int())))
		_, _, err := engine.Check(
			t.Context(),
			authz.Check{Subject: reader("a", "uma").Subject, Permission: "read", Resource: reader("a", "uma").Resource},
			authz.AtSnapshot(held),
		)
		return err != nil
	})
	line.set(false)
	reached(t, r, last)
	// If the machine pauses, the replica's state may become too old, so SpiceDB gives some answers. The loop repeats
	// until the replica gives all four.
	eventually(t, func() bool {
		before := told.of(replica.FromReplica)
		for document, want := range map[string]bool{"a": false, "b": true, "c": true, "d": true} {
			require.Equal(t, want, reads(t, r, document, "uma", authz.AsFreshAs(last)), document)
		}
		return told.of(replica.FromReplica) == before+4
	})
}

// TestRestart stops SpiceDB and starts it again with the same store.
func TestRestart(t *testing.T) {
	t.Parallel()
	directory, key := t.TempDir(), "a-preshared-key"
	config := spicedb.EmbeddedConfig{Datastore: spicedb.SQLite, DataDir: directory, GRPCListen: "127.0.0.1:0", Key: key}
	first, err := spicedb.Embedded(t.Context(), config)
	require.NoError(t, err)
	require.NoError(t, first.ApplySchema(t.Context(), documents))
	client, err := spicedb.Remote(
		t.Context(), spicedb.RemoteConfig{Endpoint: first.GRPCAddress, Token: key, Insecure: true},
	)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	r := followed(t, client, client, replica.Options{})
	front := freshness.ReadYourWrites(r)
	reached(t, r, write(t, front, authz.Touch, reader("a", "uma")))

	require.NoError(t, first.Close())
	check := authz.Check{Subject: reader("a", "uma").Subject, Permission: "read", Resource: reader("a", "uma").Resource}
	eventually(t, func() bool {
		_, _, err := r.Check(t.Context(), check, authz.Consistency{Freshness: authz.MinimizeLatency})
		return errors.Is(err, authz.CodeUnavailable)
	})
	config.GRPCListen = first.GRPCAddress
	second := embedded(t, config)
	write(t, second, authz.Delete, reader("a", "uma")) // without the replica
	last := write(t, second, authz.Touch, reader("b", "uma"))
	reached(t, r, last)
	require.False(t, reads(t, front, "a", "uma", authz.AsFreshAs(last)))
	require.True(t, reads(t, front, "b", "uma", authz.AsFreshAs(last)))
}

// TestTwoServers checks that a write through one server is visible through another server: immediately in a request
// with its token, and within Bound in any other request.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), documents))
	one := freshness.ReadYourWrites(followed(t, engine.Client, engine.Client, replica.Options{}))
	slow := &slowed{Source: engine.Client, delay: 300 * time.Millisecond}
	other := freshness.ReadYourWrites(followed(t, engine.Client, slow, replica.Options{}))
	for i := range 20 {
		document := fmt.Sprintf("d%d", i)
		token := write(t, one, authz.Touch, reader(document, "uma"))
		written := time.Now()
		require.True(t, reads(t, one, document, "uma", authz.Consistency{}), "its own writes")
		require.True(t, reads(t, other, document, "uma", authz.AsFreshAs(token)), "with the token")
		if i%5 == 0 {
			for asked := time.Now(); !reads(
				t, other, document, "uma", authz.Consistency{Freshness: authz.MinimizeLatency},
			); asked = time.Now() {
				require.LessOrEqual(t, asked.Sub(written), replica.Bound)
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

// TestSilentWatch uses a Watch that does not send the writes of another server. The writes must be visible within
// Bound, and immediately in a request with their token.
func TestSilentWatch(t *testing.T) {
	t.Parallel()
	var told answers
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), documents))
	token := write(t, engine, authz.Touch, reader("a", "uma"))
	r := followed(
		t, engine.Client, &slowed{Source: engine.Client, delay: time.Hour}, replica.Options{Observe: told.observe},
	)
	reached(t, r, token)
	latest := authz.Consistency{Freshness: authz.MinimizeLatency}
	require.True(t, reads(t, r, "a", "uma", latest))
	require.Equal(t, 1, told.of(replica.FromReplica))

	token = write(t, engine, authz.Delete, reader("a", "uma"))
	written := time.Now()
	require.False(t, reads(t, r, "a", "uma", authz.AsFreshAs(token)))
	for asked := time.Now(); reads(t, r, "a", "uma", latest); asked = time.Now() {
		require.LessOrEqual(t, asked.Sub(written), replica.Bound)
		time.Sleep(10 * time.Millisecond)
	}
	require.Positive(t, told.of("stale"))
}

// slowed is a source whose Watch starts at once and then sends late.
type slowed struct {
	replica.Source
	delay time.Duration
}

func (s *slowed) WatchStored(ctx context.Context, after authz.Token, take func(*v1.WatchResponse) error) error {
	begun := false
	return s.Source.WatchStored(ctx, after, func(m *v1.WatchResponse) error {
		if begun {
			select {
			case <-time.After(s.delay):
			case <-ctx.Done():
			}
		}
		begun = true
		return take(m)
	})
}
