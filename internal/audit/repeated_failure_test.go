package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// attempts calls FollowOnce again after each failure, with a test clock that advances by a minute each time.
type attempts struct {
	t     *testing.T
	log   *audit.Log
	db    *sql.DB
	stats *audit.Stats

	mu     sync.Mutex
	later  time.Duration
	failed chan error // the error of each attempt; the next attempt starts when it is received
}

func (a *attempts) now() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Add(a.later)
}

func (a *attempts) advance(by time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.later += by
}

// attemptFirst starts an engine, and a follower that writes to a log in PostgreSQL. It returns when the log has its
// first entry.
func attemptFirst(t *testing.T) (*spicedb.EmbeddedEngine, *attempts) {
	t.Helper()
	engine := embedded(t)
	a := attempt(t, enginetest.Postgres(t), engine, engine)
	a.entries(1)
	return engine, a
}

// attempt runs a follower that reads from a source and writes to a log in PostgreSQL.
func attempt(t *testing.T, uri string, source authz.Source, engine authz.Engine) *attempts {
	t.Helper()
	db, err := sql.Open("pgx", uri)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	log := openLog(t, func() (*audit.Log, error) { return audit.OpenPostgres(t.Context(), uri) })
	a := &attempts{t: t, log: log, db: db, failed: make(chan error)}
	follower := audit.NewFollower(audit.Config{
		Log: log, Source: source, Reader: engine, Place: place, Now: a.now, Logger: slog.New(
			slog.NewTextHandler(t.Output(), nil),
		),
	})
	a.stats = follower.Stats()
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		for ctx.Err() == nil {
			err := follower.FollowOnce(ctx)
			a.advance(time.Minute)
			select {
			case a.failed <- err:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		following.Wait()
	})
	return a
}

// exec executes a statement in the log's database.
func (a *attempts) exec(statement string) {
	a.t.Helper()
	_, err := a.db.ExecContext(a.t.Context(), statement)
	require.NoError(a.t, err)
}

// fail waits until FollowOnce has failed the given number of times.
func (a *attempts) fail(times int) {
	a.t.Helper()
	for range times {
		select {
		case err := <-a.failed:
			require.Error(a.t, err)
		case <-a.t.Context().Done():
			a.t.Fatal("FollowOnce does not fail")
		}
	}
}

// entries waits until the log has n entries, and returns them. Until then, FollowOnce may fail.
func (a *attempts) entries(n int) []audit.Stored {
	a.t.Helper()
	for {
		changed := a.log.Changed()
		found, err := a.log.Find(a.t.Context(), audit.Query{After: new(int64(0)), Limit: 1000})
		require.NoError(a.t, err)
		if len(found) >= n {
			require.Len(a.t, found, n, "%q", lines(found))
			return found
		}
		select {
		case <-changed:
		case err := <-a.failed:
			a.t.Log("FollowOnce failed:", err)
		}
	}
}

// refuseBodies makes the log's database execute the statement do for each new entry that matches the condition.
func (a *attempts) refuseBodies(condition, do string) {
	a.t.Helper()
	a.exec(`CREATE OR REPLACE FUNCTION refuse_body() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN IF ` + condition + ` THEN ` + do + ` END IF; RETURN NEW; END $$`)
	a.exec(
		`CREATE OR REPLACE TRIGGER refuse_body BEFORE INSERT ON sluice_audit_entries FOR EACH ROW EXECUTE FUNCTION refuse_body()`,
	)
}

func (a *attempts) refuseNothing() {
	a.t.Helper()
	a.exec(`DROP TRIGGER refuse_body ON sluice_audit_entries`)
}

func raise(code string) string { return `RAISE EXCEPTION 'refused' USING ERRCODE = ` + code + `;` }

// TestNoTransientErrorStopsTheLog writes entries that always fail with a transient error. A placeholder must replace
// each of them, once the database has stored other entries.
func TestNoTransientErrorStopsTheLog(t *testing.T) {
	t.Parallel()
	engine, a := attemptFirst(t)
	a.refuseBodies("NEW.body LIKE '%refused-%'", raise("substring(NEW.body FROM 'refused-(.{5})')"))
	a.exec(`CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN IF NEW.body LIKE '%late%' THEN ` + raise("'40001'") + ` END IF; RETURN NULL; END $$`)
	a.exec(`CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON sluice_audit_entries DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION refuse_late()`)

	folders := []string{
		"late", "refused-40001", "refused-40P01", "refused-08006", "refused-25006", "refused-28000", "refused-53000",
		"refused-53100",
		"refused-53200", "refused-55P03", "refused-57014", "refused-57P01", "refused-58030", "refused-XX000",
		"refused-23514",
	}
	for i, folder := range folders { // several of these changes may be in one batch
		write(t, engine, "olga", authz.Touch, relationship(t, "folder:"+folder, "reader", "user:peter"))
		write(t, engine, "olga", authz.Touch, relationship(t, "folder:good", "reader", fmt.Sprint("user:u", i)))
	}
	all := a.entries(1 + 2*len(folders))
	for i, e := range all[1:] {
		if i%2 == 0 {
			require.Equal(t, audit.Unstored, e.Kind, "%s", e.Body)
			require.NotEmpty(t, e.Reason)
			require.NotEmpty(t, e.Revision)
		} else {
			require.Equal(t, audit.Changed, e.Kind, "%s", e.Body)
		}
	}
	require.EqualValues(t, len(folders), a.stats.Unstored())
	report, err := a.log.Verify(t.Context(), "", expected)
	require.NoError(t, err)
	for _, fault := range report.Faults { // Sluice does not create the triggers of this test
		require.Contains(t, fault, "the database's schema has a part that Sluice does not create")
	}
}

// TestEntryThatEndsTheConnectionHasAPlaceholder writes an entry that makes the database close the connection.
func TestEntryThatEndsTheConnectionHasAPlaceholder(t *testing.T) {
	t.Parallel()
	engine, a := attemptFirst(t)
	a.refuseBodies("NEW.body LIKE '%disconnects%'", "PERFORM pg_terminate_backend(pg_backend_pid());")
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:disconnects", "reader", "user:peter"))
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:good", "reader", "user:peter"))
	all := a.entries(3)
	require.Equal(t, audit.Unstored, all[1].Kind)
	require.Equal(t, audit.Changed, all[2].Kind)
}

// TestPlaceholderKeepsOriginAndObjects checks that a placeholder has the origin and the changed objects of an entry
// if the database rejects only the updates.
func TestPlaceholderKeepsOriginAndObjects(t *testing.T) {
	t.Parallel()
	engine, a := attemptFirst(t)
	a.refuseBodies("NEW.body LIKE '%updates%refused%'", raise("'40001'"))
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:refused", "reader", "user:peter"))
	e := a.entries(2)[1]
	require.Equal(t, audit.Unstored, e.Kind)
	require.Equal(t, "olga", e.Actor)
	require.Len(t, e.Objects, 1)
	require.Contains(t, e.Reason, "40001")
}

// TestSnapshotContinuesAfterTransientErrors starts a log with a snapshot. The database rejects many relationships of
// the snapshot with a transient error. A placeholder must replace each of them.
func TestSnapshotContinuesAfterTransientErrors(t *testing.T) {
	t.Parallel()
	uri := enginetest.Postgres(t)
	openLog(t, func() (*audit.Log, error) { return audit.OpenPostgres(t.Context(), uri) }) // creates the tables
	engine := embedded(t)
	const refused = 20
	for i := range refused {
		write(t, engine, "olga", authz.Touch, relationship(t, fmt.Sprint("folder:refused", i), "reader", "user:peter"))
	}
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:good", "reader", "user:peter"))
	db, err := sql.Open("pgx", uri)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, statement := range []string{
		`CREATE FUNCTION refuse_found() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN IF NEW.resource LIKE '%refused%' THEN ` + raise("'55P03'") + ` END IF; RETURN NEW; END $$`,
		`CREATE TRIGGER refuse_found BEFORE INSERT ON sluice_audit_found FOR EACH ROW EXECUTE FUNCTION refuse_found()`,
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	a := attempt(t, uri, engine, engine)
	a.entries(refused + 2)
	require.EqualValues(t, refused, a.stats.Unstored())
}

// TestNothingIsLostWhileTheDatabaseFails checks that entries wait while the database stores nothing, and while it
// stores no entry of their size because the disk is full.
func TestNothingIsLostWhileTheDatabaseFails(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]string{
		"nothing is stored": `TRUE`,
		"the disk is full":  `length(NEW.body) > 600`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, code := range []string{"40001", "53100", "57014"} {
				if code != "53100" && condition != "TRUE" {
					continue
				}
				engine, a := attemptFirst(t)
				a.refuseBodies(condition, raise("'"+code+"'"))
				write(t, engine, strings.Repeat("olga", 200), authz.Touch, relationship(
					t, "folder:f", "reader", "user:peter",
				))
				a.fail(80) // after each failure, the test clock advances by a minute
				require.GreaterOrEqual(t, a.stats.Lag(), 70*time.Minute)
				a.refuseNothing()
				require.Equal(t, audit.Changed, a.entries(2)[1].Kind)
				require.Zero(t, a.stats.Unstored())
			}
		})
	}
}

// TestErrorThatPassesLosesNothing checks that the log stores an entry unchanged after it has failed a few times.
func TestErrorThatPassesLosesNothing(t *testing.T) {
	t.Parallel()
	engine, a := attemptFirst(t)
	a.refuseBodies("NEW.body LIKE '%refused%'", raise("'40001'"))
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:refused", "reader", "user:peter"))
	a.fail(6)
	a.refuseNothing()
	require.Equal(t, audit.Changed, a.entries(2)[1].Kind)
}

// TestEntryTooLargeForTheDatabaseHasAPlaceholder writes an entry that fails because of its size, although the disk is
// not full. A placeholder must replace it after about an hour.
func TestEntryTooLargeForTheDatabaseHasAPlaceholder(t *testing.T) {
	t.Parallel()
	engine, a := attemptFirst(t)
	a.refuseBodies("length(NEW.body) > 600", raise("'53200'"))
	write(t, engine, strings.Repeat("olga", 200), authz.Touch, relationship(t, "folder:f", "reader", "user:peter"))
	a.fail(50)
	require.Zero(t, a.stats.Unstored())
	require.Equal(t, audit.Unstored, a.entries(2)[1].Kind)
}

// TestExpiryThatCannotBeStoredIsWrittenOnce tests an expired relationship that remains in the log's tables, because
// the database rejects its deletion there. Only one placeholder may be written for the expiry.
func TestExpiryThatCannotBeStoredIsWrittenOnce(t *testing.T) {
	t.Parallel()
	engine, a := attemptFirst(t)
	a.exec(`CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ` + raise("'23514'") + ` END $$`)
	a.exec(`CREATE TRIGGER keep BEFORE DELETE ON sluice_audit_present FOR EACH ROW EXECUTE FUNCTION keep()`)
	short := relationship(t, "folder:f", "reader", "user:short")
	short.ExpiresAt = time.Now().Add(500 * time.Millisecond)
	write(t, engine, "olga", authz.Touch, short)
	require.Equal(t, audit.Unstored, a.entries(3)[2].Kind)
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:good", "reader", "user:peter"))
	require.Equal(t, audit.Changed, a.entries(4)[3].Kind)
}

// away is a source that a test can make unavailable.
type away struct {
	authz.Source
	mu  sync.Mutex
	yes bool
}

func (a *away) set(yes bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.yes = yes
}

func (a *away) Watch(ctx context.Context, after authz.Token) iter.Seq2[authz.Change, error] {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.yes {
		return func(yield func(authz.Change, error) bool) { yield(authz.Change{}, authz.CodeUnavailable) }
	}
	return a.Source.Watch(ctx, after)
}

// TestLagGrowsWhileTheLogDoesNotFollow checks that the lag grows with time while Watch is unavailable, and while an
// entry cannot be stored.
func TestLagGrowsWhileTheLogDoesNotFollow(t *testing.T) {
	t.Parallel()
	engine := embedded(t)
	source := &away{Source: engine, yes: true}
	a := attempt(t, enginetest.Postgres(t), source, engine)
	a.fail(5)
	first := a.stats.Lag()
	require.GreaterOrEqual(t, first, 4*time.Minute)
	// The lag must grow by 5 minutes in 6 failures: before the test read the clock, it may have advanced for the
	// first one.
	a.fail(6)
	require.GreaterOrEqual(t, a.stats.Lag(), first+5*time.Minute)
	source.set(false)
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:one"))
	a.entries(2)

	a.refuseBodies("NEW.body LIKE '%refused%'", raise("'40001'"))
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:refused", "reader", "user:one"))
	a.fail(3)
	blocked := a.stats.Lag()
	a.fail(6)
	require.GreaterOrEqual(t, a.stats.Lag(), blocked+5*time.Minute)
}
