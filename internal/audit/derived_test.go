package audit_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// TestVerifyComparesWhatIsDerived is that nobody changes what answers go by beside the entries, or the schema, without a fault
// that names it.
func TestVerifyComparesWhatIsDerived(t *testing.T) {
	t.Parallel()
	directory, uri := t.TempDir(), enginetest.Postgres(t)
	for name, at := range map[string]struct {
		open           func() (*audit.Log, error)
		driver, source string
		foreign        string
	}{
		"file": {
			func() (*audit.Log, error) { return audit.OpenFile(t.Context(), directory) }, "sqlite", "file:" + filepath.Join(directory, audit.FileName) + "?_pragma=busy_timeout(10000)",
			"CREATE TRIGGER foreign_one AFTER INSERT ON sluice_audit_marks BEGIN DELETE FROM sluice_audit_marks WHERE value = new.value; END",
		},
		"postgres": {
			func() (*audit.Log, error) { return audit.OpenPostgres(t.Context(), uri) }, "pgx", uri,
			"CREATE RULE foreign_one AS ON INSERT TO sluice_audit_marks WHERE new.value = 'eve' DO INSTEAD NOTHING",
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := openLog(t, at.open)
			engine := embedded(t)
			write(t, engine, "olga", authz.Touch, relationship(t, "account:a", "owner", "user:olga"), relationship(t, "folder:f", "account", "account:a"))
			follow(t, log, engine.Client)
			write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:peter"))
			write(t, engine, "eve", authz.Delete, relationship(t, "folder:f", "reader", "user:peter"))
			wait(t, log, 5, audit.Query{})
			db, err := sql.Open(at.driver, at.source)
			require.NoError(t, err)
			defer func() { require.NoError(t, db.Close()) }()
			faults := func() string {
				report, err := log.Verify(t.Context(), "", place)
				require.NoError(t, err)
				return strings.Join(report.Faults, "\n")
			}
			require.Empty(t, faults())
			for _, test := range []struct{ change, undo, fault string }{
				{"DELETE FROM sluice_audit_marks WHERE kind = 'actor' AND value = 'eve'", "INSERT INTO sluice_audit_marks (kind, value, seq) VALUES ('actor', 'eve', 5)", "entry 5: the words by which it is found"},
				{"INSERT INTO sluice_audit_marks (kind, value, seq) VALUES ('actor', 'bob', 9)", "DELETE FROM sluice_audit_marks WHERE seq = 9", "entry 9: the words by which it is found"},
				{"UPDATE sluice_audit_entries SET at = at + 1 WHERE seq = 4", "UPDATE sluice_audit_entries SET at = at - 1 WHERE seq = 4", "entry 4: its columns"},
				{"UPDATE sluice_audit_entries SET part = 7 WHERE seq = 4", "UPDATE sluice_audit_entries SET part = 1 WHERE seq = 4", "entry 4: its columns"},
				{"INSERT INTO sluice_audit_present VALUES ('folder:f', 'reader', 'user:peter', 0, '', '')", "DELETE FROM sluice_audit_present WHERE subject = 'user:peter'", "folder:f reader user:peter is noted as present"},
				{"UPDATE sluice_audit_present SET expires_at = 1 WHERE resource = 'account:a'", "UPDATE sluice_audit_present SET expires_at = 0 WHERE resource = 'account:a'", "account:a owner user:olga is noted otherwise"},
				{"DELETE FROM sluice_audit_present WHERE resource = 'account:a'", "INSERT INTO sluice_audit_present VALUES ('account:a', 'owner', 'user:olga', 0, '', '')", "account:a owner user:olga is not noted"},
				{"INSERT INTO sluice_audit_found VALUES ('folder:f', 'reader', 'user:peter', 0, '', '')", "DELETE FROM sluice_audit_found", "still has 1 relationship"},
				{"DROP INDEX sluice_audit_entries_at", "CREATE INDEX sluice_audit_entries_at ON sluice_audit_entries (at)", "lacks what Sluice makes: index"},
				{at.foreign, "", "foreign_one"},
			} {
				_, err := db.ExecContext(t.Context(), test.change)
				require.NoError(t, err, test.change)
				require.Contains(t, faults(), test.fault, test.change)
				if test.undo != "" {
					_, err = db.ExecContext(t.Context(), test.undo)
					require.NoError(t, err, test.undo)
					require.Empty(t, faults(), test.undo)
				}
			}
		})
	}
}
