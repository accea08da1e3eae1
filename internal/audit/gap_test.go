package audit_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/sqlitestore"
)

// gap requires that the entry with index from is a gap with this reason, that the gap begins at the time of the
// previous entry, and that a snapshot follows. It verifies the log, and requires that past access is unknown for a
// time in the gap.
func gap(t *testing.T, log *audit.Log, all []audit.Stored, from int, reason audit.Reason, then ...string) {
	t.Helper()
	require.Equal(t, append([]string{"gap", "snapshot"}, then...), lines(all[from:]))
	require.Equal(t, reason, all[from].Reason)
	require.Equal(t, all[from-1].Time, *all[from].Since)
	require.NotEmpty(t, all[from+1].Schema)
	report, err := log.Verify(t.Context(), all[0].Hash, expected)
	require.NoError(t, err)
	require.Empty(t, report.Faults)

	folder := authz.Object{Type: "folder", ID: "f"}
	_, err = log.Past(t.Context(), folder, all[from].Time.Add(-time.Microsecond))
	require.ErrorIs(t, err, authz.CodeNotFound)
	require.ErrorContains(t, err, "the audit log has a gap from ")
}

// readers returns the readers of folder:f at a time, according to the log.
func readers(t *testing.T, log *audit.Log, at time.Time) (names []string) {
	t.Helper()
	past, err := log.Past(t.Context(), authz.Object{Type: "folder", ID: "f"}, at)
	require.NoError(t, err)
	for _, r := range past.Relationships {
		names = append(names, string(r.Subject.ID))
	}
	return names
}

// TestGapAfterLostHistory lets a log continue with another SpiceDB, which does not know the log's position.
func TestGapAfterLostHistory(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		before, after := embedded(t), embedded(t)
		write(t, before, "olga", authz.Touch, relationship(
			t, "folder:f", "account", "account:a",
		), relationship(t, "folder:f", "reader", "user:gone"))
		log := openLog(t, open)
		stop := follow(t, log, before.Client)
		wait(t, log, 2, audit.Query{})
		stop()

		write(t, after, "peter", authz.Touch, relationship(
			t, "folder:f", "account", "account:a",
		), relationship(t, "folder:f", "reader", "user:new"))
		follow(t, log, after.Client)
		wait(t, log, 6, audit.Query{})
		write(t, after, "peter", authz.Touch, relationship(t, "folder:f", "reader", "user:later"))
		gap(t, log, wait(t, log, 7, audit.Query{}), 2, audit.OtherStore,
			"snapshot  touch folder:f#reader@user:new",
			"snapshot  delete folder:f#reader@user:gone",
			"change peter touch folder:f#reader@user:later")
		require.ElementsMatch(t, []string{"a", "new", "later"}, readers(t, log, time.Now()))
	})
}

// onSQLite runs an engine on the store of a directory, until stop is called or the test ends.
func onSQLite(t *testing.T, config spicedb.EmbeddedConfig) (engine *spicedb.EmbeddedEngine, stop func()) {
	t.Helper()
	config.Datastore = spicedb.SQLite
	engine, err := spicedb.Embedded(t.Context(), config)
	require.NoError(t, err)
	stop = func() { require.NoError(t, engine.Close()) }
	t.Cleanup(stop)
	require.NoError(t, engine.ApplySchema(t.Context(), engineSchema))
	return engine, stop
}

// TestRestoreCausesGap restores the store from a backup that is older than the log's last entry.
func TestRestoreCausesGap(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		restore func(t *testing.T, file, directory string)
		reason  audit.Reason
		past    bool // a write follows the restore, before the log restarts
	}{
		"by the command":                    {restore, audit.OtherStore, false},
		"by the command, and written to":    {restore, audit.OtherStore, true},
		"by copying a file":                 {putBack, audit.WentBack, false},
		"by copying a file, and written to": {putBack, audit.WentBack, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := t.TempDir()
			file := filepath.Join(t.TempDir(), "backup.db")
			engine, stop := onSQLite(t, spicedb.EmbeddedConfig{DataDir: directory})
			write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:early"))
			log := openLog(t, logs["file"](t))
			stopFollowing := follow(t, log, engine.Client)
			wait(t, log, 2, audit.Query{})
			_, err := sqlitestore.Backup(t.Context(), directory, file)
			require.NoError(t, err)
			write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:late"))
			write(t, engine, "olga", authz.Delete, relationship(t, "folder:f", "reader", "user:early"))
			before := wait(t, log, 4, audit.Query{})
			stopFollowing()
			stop()

			test.restore(t, file, directory)
			engine, _ = onSQLite(t, spicedb.EmbeddedConfig{DataDir: directory})
			want := []string{
				"snapshot  touch folder:f#reader@user:early",
				"snapshot  delete folder:f#reader@user:late",
				"change peter touch folder:f#reader@user:new",
			}
			if test.past {
				write(t, engine, "", authz.Touch, relationship(t, "folder:g", "reader", "user:*"))
				want = append([]string{want[0], "snapshot  touch folder:g#reader@user:*"}, want[1:]...)
			}
			follow(t, log, engine.Client) // follow returns after the log has an entry of the kind Gap
			last, err := log.Head(t.Context())
			require.NoError(t, err)
			require.Equal(t, audit.Snapshot, last.Kind)
			write(t, engine, "peter", authz.Touch, relationship(t, "folder:f", "reader", "user:new"))
			all := wait(t, log, 4+2+len(want), audit.Query{})
			gap(t, log, all, 4, test.reason, want...)

			require.Equal(t, []string{"early"}, readers(t, log, before[1].Time.Time))
			require.ElementsMatch(t, []string{"early", "late"}, readers(t, log, before[2].Time.Time))
			require.Equal(t, []string{"early"}, readers(t, log, all[4].Time.Time))
			require.ElementsMatch(t, []string{"early", "new"}, readers(t, log, time.Now()))
		})
	}
}

func restore(t *testing.T, file, directory string) {
	t.Helper()
	_, _, err := sqlitestore.Restore(t.Context(), file, directory, sqlitestore.RestoreOptions{Replace: true})
	require.NoError(t, err)
}

// putBack copies a backup over the store's file, although the documentation forbids this. Unlike restore, it keeps the
// id of the store.
func putBack(t *testing.T, file, directory string) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(directory, "sluice.db"), content, 0o600))
	for _, suffix := range []string{"-wal", "-shm"} {
		require.NoError(t, os.RemoveAll(filepath.Join(directory, "sluice.db"+suffix)))
	}
}

// TestRestoreOfPostgresCausesGap restores SpiceDB's database to an earlier state. The restored store has the same id,
// and PostgreSQL may have reached the log's position again. So SpiceDB accepts the position, and only confirmHistory
// can detect the restore.
func TestRestoreOfPostgresCausesGap(t *testing.T) {
	t.Parallel()
	uri := enginetest.Postgres(t)
	database, err := pgx.ParseConfig(uri)
	require.NoError(t, err)
	name := database.Database
	database.Database = "postgres"
	execute := func(statements ...string) {
		connection, err := pgx.ConnectConfig(t.Context(), database)
		require.NoError(t, err)
		defer func() { require.NoError(t, connection.Close(t.Context())) }()
		for _, statement := range statements {
			_, err = connection.Exec(t.Context(), statement)
			require.NoError(t, err)
		}
	}
	run := func() (*spicedb.EmbeddedEngine, func()) {
		engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{Datastore: spicedb.Postgres, URI: uri})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, engine.Close()) })
		return engine, func() { require.NoError(t, engine.Close()) }
	}
	log := openLog(t, logs["file"](t))
	engine, stop := run()
	require.NoError(t, engine.ApplySchema(t.Context(), engineSchema))
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:early"))
	stopFollowing := follow(t, log, engine.Client)
	wait(t, log, 2, audit.Query{})
	stopFollowing()
	stop()
	execute("CREATE DATABASE " + name + "_backup TEMPLATE " + name)

	engine, stop = run()
	stopFollowing = follow(t, log, engine.Client)
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:late"))
	wait(t, log, 3, audit.Query{})
	stopFollowing()
	stop()
	execute("DROP DATABASE "+name+" WITH (FORCE)", "CREATE DATABASE "+name+" TEMPLATE "+name+"_backup")

	engine, _ = run()
	write(t, engine, "", authz.Touch, relationship(t, "folder:g", "reader", "user:*"))
	follow(t, log, engine.Client)
	write(t, engine, "peter", authz.Touch, relationship(t, "folder:f", "reader", "user:new"))
	gap(t, log, wait(t, log, 8, audit.Query{}), 3, audit.WentBack,
		"snapshot  touch folder:g#reader@user:*",
		"snapshot  delete folder:f#reader@user:late",
		"change peter touch folder:f#reader@user:new")
}

// TestCutOffCausesGap deletes the last entries of a log.
func TestCutOffCausesGap(t *testing.T) {
	t.Parallel()
	engine := embedded(t)
	directory := t.TempDir()
	log, err := audit.OpenFile(t.Context(), directory)
	require.NoError(t, err)
	stop := follow(t, log, engine.Client)
	for _, who := range []string{"a", "b", "c"} {
		write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:"+who))
	}
	wait(t, log, 4, audit.Query{})
	stop()
	require.NoError(t, log.Close())
	db, err := sql.Open("sqlite", filepath.Join(directory, audit.FileName))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "DELETE FROM sluice_audit_entries WHERE seq > 2")
	require.NoError(t, err)
	require.NoError(t, db.Close())

	log, err = audit.OpenFile(t.Context(), directory)
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	report, err := log.Verify(t.Context(), "", expected)
	require.NoError(t, err)
	require.Equal(t, "the log ends with entry 2, and entry 4 was written last: the end was cut off", report.Faults[0])
	require.Contains(t, report.Faults, "entry 3: its search terms do not match its text")
	require.Contains(
		t, report.Faults, "the relationship folder:f reader user:b is in sluice_audit_present, but no entry adds it",
	)

	stop = follow(t, log, engine.Client)
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:d"))
	all := wait(t, log, 6, audit.Query{})
	gap(
		t,
		log,
		all,
		2,
		audit.CutOff,
		"snapshot  touch folder:f#reader@user:b",
		"snapshot  touch folder:f#reader@user:c",
		"change olga touch folder:f#reader@user:d",
	)
	require.ElementsMatch(t, []string{"a", "b", "c", "d"}, readers(t, log, time.Now()))
	wait(t, log, 1, audit.Query{Object: authz.Object{Type: "user", ID: "d"}})
	wait(t, log, 1, audit.Query{Object: authz.Object{Type: "user", ID: "c"}})
	stop()
	follow(t, log, engine.Client) // the second follower does not write the gap again
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:e"))
	wait(t, log, 7, audit.Query{})
}

// TestExpiredOrDeletedRelationshipsCauseNoGap lets a log continue that has missed no change. While it was stopped,
// the last relationships of the log expired or were deleted, which must not cause a gap.
func TestExpiredOrDeletedRelationshipsCauseNoGap(t *testing.T) {
	t.Parallel()
	inTime(t, time.Second, func(left time.Duration) bool { return hasNoGap(t, left) })
}

// hasNoGap stops the follower before a relationship expires, and checks that the log then has no gap. It returns
// false if the relationship expired before the follower stopped.
func hasNoGap(t *testing.T, left time.Duration) bool {
	t.Helper()
	engine, _ := onSQLite(t, spicedb.EmbeddedConfig{DataDir: t.TempDir()})
	log := openLog(t, logs["file"](t))
	stop := follow(t, log, engine.Client)
	short := relationship(t, "folder:f", "reader", "user:short")
	short.ExpiresAt = time.Now().Add(left)
	write(t, engine, "olga", authz.Touch, short, relationship(t, "folder:f", "reader", "user:other"))
	wait(t, log, 1, audit.Query{Actor: "olga"})
	stop()
	if !time.Now().Before(short.ExpiresAt) {
		return false
	}
	write(t, engine, "olga", authz.Delete, relationship(t, "folder:f", "reader", "user:other"))
	time.Sleep(time.Until(short.ExpiresAt.Add(10 * time.Millisecond))) // the test needs the expiration to pass
	follow(t, log, engine.Client)
	all := wait(t, log, 4, audit.Query{})
	require.Equal(t, []string{
		"change olga delete folder:f#reader@user:other", "expiry  delete folder:f#reader@user:short",
	}, lines(all[2:]))
	return true
}

// TestGarbageCollectionCausesGap lets SpiceDB delete its history while no follower runs.
func TestGarbageCollectionCausesGap(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T, window time.Duration) *spicedb.EmbeddedEngine{
		"sqlite": func(t *testing.T, window time.Duration) *spicedb.EmbeddedEngine {
			t.Helper()
			engine, _ := onSQLite(
				t, spicedb.EmbeddedConfig{DataDir: t.TempDir(), GCWindow: window, GCInterval: time.Second},
			)
			return engine
		},
		"postgres": func(t *testing.T, window time.Duration) *spicedb.EmbeddedEngine {
			t.Helper()
			engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{
				Datastore: spicedb.Postgres, URI: enginetest.Postgres(t), GCWindow: window, GCInterval: time.Second,
			})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, engine.Close()) })
			require.NoError(t, engine.ApplySchema(t.Context(), engineSchema))
			return engine
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// SpiceDB's window on PostgreSQL must be longer than the quantization of revisions.
			inTime(t, 6*time.Second, func(window time.Duration) bool { return hasCollectedGap(t, open, window) })
		})
	}
}

// hasCollectedGap returns false if SpiceDB kept its history for so short a time that the follower may have missed a
// change before it stopped.
func hasCollectedGap(
	t *testing.T, open func(t *testing.T, window time.Duration) *spicedb.EmbeddedEngine, window time.Duration,
) bool {
	t.Helper()
	engine := open(t, window)
	log := openLog(t, logs["file"](t))
	stop := follow(t, log, engine.Client)
	begun := time.Now()
	short := relationship(t, "folder:f", "reader", "user:short")
	short.ExpiresAt = time.Now().Add(window)
	write(t, engine, "olga", authz.Touch, short)
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:gone"))
	wait(t, log, 2, audit.Query{Actor: "olga"})
	stop()
	if time.Since(begun) > window/2 {
		return false
	}

	unseen := write(t, engine, "eve", authz.Touch, relationship(t, "folder:f", "reader", "user:secret"))
	write(
		t, engine, "eve", authz.Delete,
		relationship(t, "folder:f", "reader", "user:secret"), relationship(t, "folder:f", "reader", "user:gone"),
	)
	collected := func() bool {
		for _, err := range engine.Read(
			t.Context(), authz.Filter{Type: "folder"}, authz.AtSnapshot(unseen), authz.Page{Limit: 1},
		) {
			return err != nil
		}
		return false
	}
	require.Eventually(t, collected, window+5*time.Minute, 100*time.Millisecond)
	write(t, engine, "eve", authz.Touch, relationship(t, "folder:f", "reader", "user:new"))
	stop = follow(t, log, engine.Client)
	write(t, engine, "peter", authz.Touch, relationship(t, "folder:f", "reader", "user:later"))
	gap(t, log, wait(t, log, 8, audit.Query{}), 3, audit.NotKept,
		"snapshot  touch folder:f#reader@user:new",
		"snapshot  delete folder:f#reader@user:gone",
		"snapshot  delete folder:f#reader@user:short",
		"change peter touch folder:f#reader@user:later")
	stop()
	follow(t, log, engine.Client) // the second follower writes no gap
	write(t, engine, "peter", authz.Delete, relationship(t, "folder:f", "reader", "user:later"))
	wait(t, log, 9, audit.Query{})
	return true
}
