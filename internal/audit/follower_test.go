package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

func TestMain(m *testing.M) {
	// SpiceDB imports go.opencensus.io, which starts this goroutine.
	goleak.VerifyTestMain(
		enginetest.Main{M: m}, goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
	)
}

// engineSchema is the schema of these tests: accounts contain folders.
const engineSchema = `use expiration

definition user {}

definition account {
	relation owner: user
	relation guest: user with expiration
	permission view = owner + guest
}

definition folder {
	relation account: account
	relation reader: user | user:* | user with expiration
	permission view = reader + account->view
}`

func place(t authz.Type) authz.Relation {
	if t == "folder" {
		return "account"
	}
	return ""
}

// logs returns, for each supported database, a function that opens a log in it. Most tests run with all of them.
var logs = map[string]func(t *testing.T) func() (*audit.Log, error){
	"memory": func(t *testing.T) func() (*audit.Log, error) {
		return func() (*audit.Log, error) { return audit.OpenMemory(t.Context()) }
	},
	"file": func(t *testing.T) func() (*audit.Log, error) {
		directory := t.TempDir()
		return func() (*audit.Log, error) { return audit.OpenFile(t.Context(), directory) }
	},
	"postgres": func(t *testing.T) func() (*audit.Log, error) {
		uri := enginetest.Postgres(t)
		return func() (*audit.Log, error) { return audit.OpenPostgres(t.Context(), uri) }
	},
}

func onEveryLog(t *testing.T, run func(t *testing.T, open func() (*audit.Log, error))) {
	for name, log := range logs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, log(t))
		})
	}
}

func openLog(t *testing.T, open func() (*audit.Log, error)) *audit.Log {
	t.Helper()
	log, err := open()
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func embedded(t *testing.T) *spicedb.EmbeddedEngine {
	t.Helper()
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	require.NoError(t, engine.ApplySchema(t.Context(), engineSchema))
	return engine
}

// follow runs a follower on the engine until stop is called or the test ends.
func follow(t *testing.T, log *audit.Log, engine *spicedb.Client) (stop func()) {
	t.Helper()
	_, stop = followFrom(t, log, engine, engine)
	return stop
}

// followFrom runs a follower that reads the changes of a source. It returns the follower's statistics.
func followFrom(
	t *testing.T, log *audit.Log, source authz.Source, engine authz.Engine,
) (stats *audit.Stats, stop func()) {
	t.Helper()
	follower := audit.NewFollower(audit.Config{
		Log: log, Source: source, Reader: engine, Place: place, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	stop = run(t, follower)
	t.Cleanup(stop)
	require.NoError(t, follower.WaitForStart(t.Context()))
	return follower.Stats(), stop
}

// run runs a follower until stop is called. stop returns when the follower has ended.
func run(t testing.TB, follower *audit.Follower) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		follower.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

func relationship(t *testing.T, resource, relation, subject string) authz.Relationship {
	t.Helper()
	object, err := authz.ParseObject(resource)
	require.NoError(t, err)
	if subject == "user:*" {
		return authz.Relationship{
			Resource: object, Relation: authz.Relation(relation), Subject: authz.Everybody("user"),
		}
	}
	who, err := authz.ParseSubject(subject)
	require.NoError(t, err)
	return authz.Relationship{Resource: object, Relation: authz.Relation(relation), Subject: who}
}

func write(
	t *testing.T, engine authz.Engine, by string, action authz.Action, relationships ...authz.Relationship,
) authz.Token {
	t.Helper()
	w := authz.Write{}
	if by != "" {
		w.Metadata = map[string]any{"actor": by, "key": "backend", "operation": "change_things", "request_id": "r1"}
	}
	for _, r := range relationships {
		w.Updates = append(w.Updates, authz.Update{Action: action, Relationship: r})
	}
	token, err := engine.Write(t.Context(), w)
	require.NoError(t, err)
	return token
}

// wait waits until a query selects n entries and returns them, the oldest first.
func wait(t *testing.T, log *audit.Log, n int, query audit.Query) []audit.Stored {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	query.After, query.Limit = new(int64(0)), 1000
	for {
		changed := log.Changed()
		found, err := log.Find(ctx, query)
		require.NoError(t, err)
		if len(found) >= n {
			require.Len(t, found, n, "%q", lines(found))
			return found
		}
		require.NoError(t, log.Wait(ctx, changed), "there are %d entries instead of %d", len(found), n)
	}
}

// inTime calls run, which must finish before an expiration that is left in the future. If run returns false, it was
// too slow. Then inTime calls it again, with twice as much time.
func inTime(t *testing.T, left time.Duration, run func(left time.Duration) bool) {
	t.Helper()
	for ; !run(left); left *= 2 {
		require.Less(t, left, time.Minute, "the machine is too slow for this test")
	}
}

func lines(found []audit.Stored) []string {
	var out []string
	for _, e := range found {
		for _, u := range e.Updates {
			out = append(out, string(e.Kind)+" "+e.Actor+" "+u.Action+" "+u.Relationship().String())
		}
		if len(e.Updates) == 0 {
			out = append(out, string(e.Kind))
		}
	}
	return out
}

func TestFollowerWritesEachTransaction(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		engine := embedded(t)
		write(t, engine, "olga", authz.Touch, relationship(t, "account:a", "owner", "user:olga"), relationship(
			t, "folder:f", "account", "account:a",
		))
		log := openLog(t, open)
		follow(t, log, engine.Client)
		require.Equal(t, []string{
			"snapshot",
			"snapshot  touch account:a#owner@user:olga",
			"snapshot  touch folder:f#account@account:a",
		}, lines(wait(t, log, 3, audit.Query{})))

		write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:peter"))
		write(t, engine, "", authz.Delete, relationship(t, "folder:f", "reader", "user:peter"))
		write(t, engine, "eve", authz.Touch, relationship(t, "folder:g", "reader", "user:*"))
		require.NoError(t, engine.ApplySchema(t.Context(), engineSchema+"\ndefinition other {}"))

		all := wait(t, log, 7, audit.Query{})
		require.Equal(t, []string{
			"change olga touch folder:f#reader@user:peter",
			"change  delete folder:f#reader@user:peter",
			"change eve touch folder:g#reader@user:*",
			"schema",
		}, lines(all[3:]))
		require.Contains(t, all[6].Schema, "definition other")
		require.Equal(
			t, audit.Origin{Actor: "olga", Key: "backend", Operation: "change_things", RequestID: "r1"}, all[3].Origin,
		)
		require.WithinDuration(t, time.Now(), all[3].Time.Time, time.Minute)

		wait(t, log, 2, audit.Query{Object: authz.Object{Type: "user", ID: "peter"}})
		wait(t, log, 1, audit.Query{Actor: "eve"})
		wait(t, log, 4, audit.Query{Account: "a"})
		wait(t, log, 2, audit.Query{Operation: "change_things"})
		wait(t, log, 1, audit.Query{Operation: "change_things", Account: "a"})
		wait(t, log, 0, audit.Query{Until: all[0].Time.Time})
		wait(t, log, 7, audit.Query{Since: all[0].Time.Time})
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	for name, log := range logs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, 2*time.Second, func(left time.Duration) bool { return expires(t, openLog(t, log(t)), left) })
		})
	}
}

// expires writes relationships that expire after the time left. It renews one of them and deletes another one before
// that. Only the third one may get an entry of an expiry. expires returns false if the relationships expired too
// early.
func expires(t *testing.T, log *audit.Log, left time.Duration) bool {
	t.Helper()
	engine := embedded(t)
	stop := follow(t, log, engine.Client)
	ends := time.Now().Add(left)
	until := func(id string) authz.Relationship {
		r := relationship(t, "folder:f", "reader", "user:"+id)
		r.ExpiresAt = ends
		return r
	}
	short, renewed, removed := until("short"), until("renewed"), until("removed")
	write(t, engine, "olga", authz.Touch, short, renewed, removed)
	renewed.ExpiresAt = time.Now().Add(time.Hour)
	write(t, engine, "olga", authz.Touch, renewed)
	write(t, engine, "olga", authz.Delete, relationship(t, "folder:f", "reader", "user:removed"))
	if !time.Now().Before(ends) {
		return false
	}

	all := wait(t, log, 5, audit.Query{})
	require.Equal(t, []string{"expiry  delete folder:f#reader@user:short"}, lines(all[4:]))
	require.WithinDuration(t, ends, all[4].Time.Time, time.Millisecond)

	stop()
	follow(t, log, engine.Client) // the second follower does not write the expiry again
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:last"))
	wait(t, log, 6, audit.Query{})
	return true
}

// TestExpiryKeepsItsDate checks that the entry of an expiry has the exact expiration of the relationship, even if
// this is before 1970.
func TestExpiryKeepsItsDate(t *testing.T) {
	t.Parallel()
	engine := embedded(t)
	log := openLog(t, logs["file"](t))
	follow(t, log, engine.Client)
	for i, year := range []int{1, 1677, 1969} {
		r := relationship(t, "folder:f", "reader", fmt.Sprint("user:of", year))
		r.ExpiresAt = time.Date(year, 3, 4, 5, 6, 7, 0, time.UTC)
		write(t, engine, "olga", authz.Touch, r)
		all := wait(t, log, 3+2*i, audit.Query{})
		for _, e := range all[1+2*i:] {
			require.True(t, r.ExpiresAt.Equal(e.Updates[0].ExpiresAt.Time), "%s", e.Body)
		}
		require.Equal(t, audit.Expiry, all[2+2*i].Kind)
	}
	report, err := log.Verify(t.Context(), "", expected)
	require.NoError(t, err)
	require.Empty(t, report.Faults)
}

func TestExpiryWithoutFollower(t *testing.T) {
	t.Parallel()
	inTime(t, 500*time.Millisecond, func(left time.Duration) bool { return expiresUnfollowed(t, left) })
}

// expiresUnfollowed tests a relationship that expires after the follower has stopped. It returns false if the
// relationship expired earlier.
func expiresUnfollowed(t *testing.T, left time.Duration) bool {
	t.Helper()
	engine := embedded(t)
	open := logs["file"](t)
	log := openLog(t, open)
	stop := follow(t, log, engine.Client)
	again := relationship(t, "folder:f", "reader", "user:again")
	again.ExpiresAt = time.Now().Add(left)
	write(t, engine, "olga", authz.Touch, again)
	wait(t, log, 1, audit.Query{Actor: "olga"})
	stop()
	if !time.Now().Before(again.ExpiresAt) {
		return false
	}
	require.NoError(t, log.Close())

	for _, err := range engine.LookupSubjects(
		t.Context(), authz.SubjectQuery{Resource: again.Resource, Permission: "view", Type: "user"}, authz.Fully(),
	) {
		require.NoError(t, err)
	}
	time.Sleep(time.Until(again.ExpiresAt.Add(10 * time.Millisecond))) // the test needs the expiration to pass
	write(t, engine, "peter", authz.Touch, relationship(t, "folder:f", "reader", "user:again"))

	log = openLog(t, open)
	follow(t, log, engine.Client)
	require.Equal(t, []string{
		"change olga touch folder:f#reader@user:again",
		"expiry  delete folder:f#reader@user:again",
		"change peter touch folder:f#reader@user:again",
	}, lines(wait(t, log, 4, audit.Query{}))[1:])
	return true
}
