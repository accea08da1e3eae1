package audit_test

import (
	"bytes"
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
)

// TestServerLogNamesTheChangeOfPlaceholder checks that the server's log names a change that the audit log rejects.
// This must hold even if the audit log rejects every placeholder that names the change.
func TestServerLogNamesTheChangeOfPlaceholder(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	log := openLog(t, func() (*audit.Log, error) { return audit.OpenTrustingFile(t.Context(), directory) })
	db, err := sql.Open("sqlite", "file:"+filepath.Join(directory, audit.FileName)+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), `CREATE TRIGGER refuse BEFORE INSERT ON sluice_audit_entries
		WHEN new.body LIKE '%"r1"%' BEGIN SELECT RAISE(ABORT, 'refused'); END`)
	require.NoError(t, err)
	engine := embedded(t)
	var printed bytes.Buffer // the test reads it after the follower has ended
	follower := audit.NewFollower(audit.Config{
		Log: log, Source: engine, Reader: engine, Place: place, Logger: slog.New(slog.NewTextHandler(&printed, nil)),
	})
	stop := run(t, follower)
	require.NoError(t, follower.WaitForStart(t.Context()))
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:mia"))
	all := wait(t, log, 2, audit.Query{})
	stop()
	require.Equal(t, audit.Unstored, all[1].Kind)
	require.Empty(t, all[1].Origins())
	require.Regexp(
		t, `an entry of the audit log could not be stored .* revision=\S+ .*request_id=r1 actor=olga operation=change_things`,
		printed.String(),
	)
}
