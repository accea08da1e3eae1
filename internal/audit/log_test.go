package audit_test

import (
	"context"
	"database/sql"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/ownfile"
)

// script is a source that delivers given changes, in place of SpiceDB's Watch.
type script struct {
	changes []authz.Change
}

func (s script) Head(context.Context) (string, authz.Token, error) { return "a schema", "begin", nil }

func (s script) Export(context.Context, authz.Token) iter.Seq2[authz.Relationship, error] {
	return func(func(authz.Relationship, error) bool) {}
}

func (s script) Watch(ctx context.Context, after authz.Token) iter.Seq2[authz.Change, error] {
	return func(yield func(authz.Change, error) bool) {
		if !yield(authz.Change{Token: after}, nil) {
			return
		}
		for _, change := range s.changes {
			if !yield(change, nil) {
				return
			}
		}
		<-ctx.Done()
		yield(authz.Change{}, ctx.Err())
	}
}

// everything is an engine that has every relationship.
type everything struct{ authz.Engine }

func (everything) Read(context.Context, authz.Filter, authz.Consistency, authz.Page) iter.Seq2[authz.ReadItem, error] {
	return func(yield func(authz.ReadItem, error) bool) { yield(authz.ReadItem{}, nil) }
}

// record follows a script that delivers the changes, until the log has n entries.
func record(t *testing.T, log *audit.Log, n int, changes ...authz.Change) []audit.Stored {
	t.Helper()
	follower := audit.NewFollower(audit.Config{Log: log, Source: script{changes}, Reader: everything{}, Place: place})
	defer run(t, follower)()
	return wait(t, log, n, audit.Query{})
}

func touched(t *testing.T, revision string, at time.Time, subjects ...string) authz.Change {
	t.Helper()
	change := authz.Change{Revision: revision, At: at, Token: authz.Token("token " + revision)}
	for _, subject := range subjects {
		change.Updates = append(change.Updates, authz.Update{
			Action: authz.Touch, Relationship: relationship(t, "folder:f", "reader", subject),
		})
	}
	return change
}

func TestRepeatedChangesAreStoredOnce(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		log := openLog(t, open)
		now := time.Now()
		one, two, three := touched(
			t, "1", now, "user:a",
		), touched(t, "2", now, "user:b"), touched(t, "3", now, "user:c")
		schema := authz.Change{Revision: "2", At: now, Schema: true, Token: "token 2"}
		record(t, log, 5, one, two, schema, one, two, schema, three)
		all := record(t, log, 6, two, schema, three, touched(t, "4", now, "user:d"))
		require.Equal(t, []string{
			"snapshot",
			"change  touch folder:f#reader@user:a",
			"change  touch folder:f#reader@user:b",
			"schema",
			"change  touch folder:f#reader@user:c",
			"change  touch folder:f#reader@user:d",
		}, lines(all))
	})
}

func TestEntriesHaveOriginAndHash(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		log := openLog(t, open)
		now := time.Now()
		sluices := func(actor string) map[string]any {
			return map[string]any{"actor": actor, "key": "k", "operation": "o", "request_id": "r"}
		}
		one := touched(t, "1", now.Add(time.Hour), "user:*")
		one.Updates = append(one.Updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
			Resource: authz.Object{Type: "folder", ID: "*"}, Relation: "reader",
			Subject: authz.Subject{Object: authz.Object{Type: "user", ID: "a#b \u2028<&>\x00\""}},
			Caveat:  "on_day", CaveatContext: `{"allowed":"x"}`, ExpiresAt: now.Add(time.Hour),
		}})
		backend := sluices("")
		backend["reason"] = "the owner is lost"
		one.Metadata = []map[string]any{sluices("olga"), backend}
		two := touched(t, "2", now.Add(-time.Hour), "user:b")
		two.Metadata = []map[string]any{{"actor": "eve", "of": "another tool"}}
		all := record(t, log, 3, one, two)

		require.Equal(t, []audit.Origin{
			{Actor: "olga", Key: "k", Operation: "o", RequestID: "r"}, {
				Key: "k", Operation: "o", RequestID: "r", StatedReason: "the owner is lost",
			},
		}, all[1].Overlapping)
		wait(t, log, 1, audit.Query{Actor: "olga"})
		require.Empty(t, all[2].Origins(), "metadata that another tool wrote must give no origin")
		require.False(t, all[1].Time.After(time.Now()), "the time of an entry must not be in the future")
		require.False(t, all[2].Time.Before(all[1].Time.Time), "the times of entries must not decrease")
		require.True(t, all[1].Updates[0].Relationship().Subject.Wildcard)
		got, want := all[1].Updates[1].Relationship(), one.Updates[1].Relationship
		require.WithinDuration(t, want.ExpiresAt, got.ExpiresAt, time.Microsecond)
		got.ExpiresAt = want.ExpiresAt
		require.Equal(t, want, got)
		wait(t, log, 1, audit.Query{Object: want.Subject.Object})
		wait(t, log, 1, audit.Query{Object: want.Resource})

		report, err := log.Verify(t.Context(), all[1].Hash, audit.Expected{Place: place})
		require.NoError(t, err)
		require.Equal(t, audit.Report{Entries: 3, Head: all[2].Hash, Kept: 2}, report)
	})
}

func TestLargeTransaction(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		log := openLog(t, open)
		var subjects []string
		for i := range 2500 {
			subjects = append(subjects, "user:u"+strings.Repeat("x", i%7)+time.Duration(i).String())
		}
		all := record(t, log, 4, touched(t, "1", time.Now(), subjects...))
		for i, n := range []int{1000, 1000, 500} {
			require.Equal(t, i+1, all[i+1].Part)
			require.Len(t, all[i+1].Updates, n)
		}
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ damage, fault string }{
		"changed text": {
			`UPDATE sluice_audit_entries SET body = replace(body, 'user:b', 'user:x') WHERE seq = 3`,
			"entry 3 was changed: its text does not have its hash",
		},
		"changed hash": {
			`UPDATE sluice_audit_entries SET hash = 'x' WHERE seq = 3`,
			"entry 3 was changed: its text does not have its hash",
		},
		"from elsewhere": {
			`ATTACH 'ELSEWHERE' AS o; DELETE FROM main.sluice_audit_entries WHERE seq = 3; INSERT INTO main.sluice_audit_entries SELECT * FROM o.sluice_audit_entries WHERE seq = 3`,
			"entry 3 does not follow the one before it",
		},
		"broken": {
			`UPDATE sluice_audit_entries SET body = 'x' WHERE seq = 3`, "entry 3 was changed: it is no longer JSON",
		},
		"one is missing": {`DELETE FROM sluice_audit_entries WHERE seq = 3`, "entry 3 is missing"},
		"the first":      {`DELETE FROM sluice_audit_entries WHERE seq = 1`, "entry 1 is missing"},
		"several":        {`DELETE FROM sluice_audit_entries WHERE seq IN (2, 3)`, "entries 2 to 3 are missing"},
		"moved up": {
			`DELETE FROM sluice_audit_entries WHERE seq = 3; UPDATE sluice_audit_entries SET seq = 3 WHERE seq = 4`,
			"entry 3 was moved: its text says 4",
		},
		"cut off": {
			`DELETE FROM sluice_audit_entries WHERE seq >= 3`,
			"that was kept: the log was cut off before it, or rewritten",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory, elsewhere := t.TempDir(), t.TempDir()
			var all []audit.Stored
			for _, at := range []string{elsewhere, directory} {
				log, err := audit.OpenFile(t.Context(), at)
				require.NoError(t, err)
				now := time.Now()
				all = record(t, log, 4, touched(
					t, "1", now, "user:a",
				), touched(t, "2", now, "user:b"), touched(t, "3", now, "user:c"))
				require.NoError(t, log.Close())
			}
			db, err := sql.Open("sqlite", filepath.Join(directory, audit.FileName))
			require.NoError(t, err)
			_, err = db.ExecContext(
				t.Context(), strings.Replace(test.damage, "ELSEWHERE", filepath.Join(elsewhere, audit.FileName), 1),
			)
			require.NoError(t, err)
			require.NoError(t, db.Close())

			log, err := audit.ReadFile(t.Context(), directory)
			require.NoError(t, err)
			defer func() { require.NoError(t, log.Close()) }()
			report, err := log.Verify(t.Context(), all[2].Hash, audit.Expected{Place: place})
			require.NoError(t, err)
			require.Contains(t, strings.Join(report.Faults, "\n"), test.fault)
		})
	}
}

func TestOneProcessPerFile(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	log, err := audit.OpenFile(t.Context(), directory)
	require.NoError(t, err)
	_, err = audit.OpenFile(t.Context(), directory)
	require.ErrorContains(t, err, "is in use by another process")

	record(t, log, 2, touched(t, "1", time.Now(), "user:a"))
	files, err := filepath.Glob(filepath.Join(directory, "*"))
	require.NoError(t, err)
	require.Len(t, files, 4, "the log, its lock file, and the two other files of SQLite")
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), file)
	}
	reader, err := audit.ReadFile(t.Context(), directory) // a reader may open the file at the same time
	require.NoError(t, err)
	report, err := reader.Verify(t.Context(), "", audit.Expected{Place: place})
	require.NoError(t, err)
	require.EqualValues(t, 2, report.Entries)
	require.NoError(t, reader.Close())

	require.NoError(t, log.Close())
	log, err = audit.OpenFile(t.Context(), directory)
	require.NoError(t, err)
	require.NoError(t, log.Close())
}

func TestReadFileWithoutLog(t *testing.T) {
	t.Parallel()
	_, err := audit.ReadFile(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "there is no audit log")
	_, err = audit.OpenPostgres(t.Context(), "postgres://user:secret@host:port/x")
	require.ErrorContains(t, err, "the audit log's address is not a PostgreSQL URI")
	require.NotContains(t, err.Error(), "secret")
}

// TestLogRefusesLinks checks that the log's files in a data directory may not be links.
func TestLogRefusesLinks(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, nil, 0o600))
	for _, name := range []string{audit.FileName, audit.FileName + "-wal", "audit.lock"} {
		directory := t.TempDir()
		require.NoError(t, os.Symlink(victim, filepath.Join(directory, name)))
		_, err := audit.OpenFile(t.Context(), directory)
		require.ErrorIs(t, err, ownfile.ErrForeign, name)
		if name == audit.FileName {
			_, err := audit.ReadFile(t.Context(), directory)
			require.ErrorIs(t, err, ownfile.ErrForeign, name)
		}
	}
}
