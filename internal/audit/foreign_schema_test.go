package audit

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestForeignTriggersDoNotRun adds triggers, and other parts that Sluice does not create, to the schema of an open
// log. Triggers must not run, and the log must not open again.
func TestForeignTriggersDoNotRun(t *testing.T) {
	t.Parallel()
	for name, foreign := range map[string]string{
		"trigger": "CREATE TRIGGER hide AFTER INSERT ON sluice_audit_marks BEGIN DELETE FROM sluice_audit_marks; END",
		"view":    "CREATE VIEW sluice_audit_more AS SELECT * FROM sluice_audit_marks",
		"table":   "CREATE TABLE sluice_audit_more (a)",
		"column":  "ALTER TABLE sluice_audit_marks ADD COLUMN more text DEFAULT (hex(zeroblob(9)))",
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			log, err := OpenFile(t.Context(), directory)
			require.NoError(t, err)
			require.NoError(t, log.Close())
			log, err = OpenFile(t.Context(), directory)
			require.NoError(t, err, "a log that only Sluice has written must open")

			other := sql.OpenDB(connector{"file:" + filepath.Join(directory, FileName), true})
			_, err = other.ExecContext(t.Context(), foreign)
			require.NoError(t, err)
			if name == "trigger" {
				_, err = log.db.ExecContext(
					t.Context(), "INSERT INTO sluice_audit_marks (kind, value, seq) VALUES ('actor', 'eve', 1)",
				)
				require.ErrorContains(t, err, "not authorized")
			}
			require.NoError(t, other.Close())
			require.NoError(t, log.Close())
			_, err = OpenFile(t.Context(), directory)
			require.ErrorIs(t, err, errForeign)
		})
	}
}

// TestStatisticsOfAnalyzeAreDropped checks that a log still opens after SQLite's ANALYZE, which creates tables.
// Verify reports these tables until the log is opened again.
func TestStatisticsOfAnalyzeAreDropped(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	log, err := OpenFile(t.Context(), directory)
	require.NoError(t, err)
	_, err = log.db.ExecContext(t.Context(), "ANALYZE")
	require.NoError(t, err)
	report, err := log.Verify(t.Context(), "", Expected{})
	require.NoError(t, err)
	require.NotEmpty(t, report.Faults)
	require.Contains(t, report.Faults[0], "table sqlite_stat")
	require.NoError(t, log.Close())
	log, err = OpenFile(t.Context(), directory)
	require.NoError(t, err)
	report, err = log.Verify(t.Context(), "", Expected{})
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	require.NoError(t, log.Close())
}
