package main

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
)

// auditOn verifies the log of a server on another server's SpiceDB, and then a log with a changed entry.
func auditOn(t *testing.T, spicedb *serving) {
	t.Helper()
	directory := t.TempDir()
	s := start(t, append(spicedb.remote(), "--data-dir", directory)...)
	t.Setenv("SLUICE_DATA_DIR", directory)

	head, stderr, code := sluice(t, "audit", "head")
	require.Zero(t, code, stderr)
	require.Regexp(t, `^[0-9a-f]{64}\n$`, head)
	_, stderr, code = sluice(t, "demo", "--url", s.url, "--key", s.key)
	require.Zero(t, code, stderr)
	require.Eventually(t, func() bool {
		status, body := get(t, http.DefaultClient, s.url+"/v1/audit?operation=create_importer", s.key)
		return status == http.StatusOK && strings.Contains(body, "importer:crm-to-warehouse")
	}, 5*time.Minute, 20*time.Millisecond)

	stdout, stderr, code := sluice(t, "audit", "verify", "--head", strings.TrimSpace(head))
	require.Zero(t, code, stdout+stderr)
	require.Regexp(t, `^[0-9]+ entries, none changed, none missing\nentry [0-9]+ has the given hash\n$`, stdout)
	require.Zero(t, s.stop(t), s.log)

	db, err := sql.Open("sqlite", filepath.Join(directory, audit.FileName))
	require.NoError(t, err)
	_, err = db.ExecContext(
		t.Context(), "UPDATE sluice_audit_entries SET body = replace(body, 'importer:crm-to-warehouse', 'importer:other')",
	)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	stdout, _, code = sluice(t, "audit", "verify")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "was changed: its text does not have its hash")
	stdout, _, code = sluice(t, "audit", "verify", "--head", strings.Repeat("0", 64))
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "the log was cut off before it, or rewritten")
}

// TestAuditVerifyWithoutALog checks that an empty file is an error that says so.
func TestAuditVerifyWithoutALog(t *testing.T) {
	directory := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(directory, audit.FileName), nil, 0o600))
	for _, command := range []string{"verify", "head"} {
		_, stderr, code := sluice(t, "audit", command, "--data-dir", directory)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, "has no tables of a log")
		require.NotContains(t, stderr, "at the moment")
	}
}
