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
	"github.com/sluice-authz/sluice/internal/enginetest"
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

// TestForeignTriggerOfTheLogIsNamed adds a trigger to a log in a file and to one in PostgreSQL. `sluice audit head` and
// `sluice audit verify` name it, and the server does not start.
func TestForeignTriggerOfTheLogIsNamed(t *testing.T) {
	uri := enginetest.Postgres(t)
	log, err := audit.OpenPostgres(t.Context(), uri)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	execute(t, "pgx", uri, `CREATE FUNCTION hide() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER hide BEFORE INSERT ON sluice_audit_marks FOR EACH ROW EXECUTE FUNCTION hide()`)
	directory := t.TempDir()
	log, err = audit.OpenFile(t.Context(), directory)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	execute(t, "sqlite", filepath.Join(directory, audit.FileName),
		"CREATE TRIGGER hide AFTER INSERT ON sluice_audit_marks BEGIN DELETE FROM sluice_audit_marks; END")
	for _, place := range [][]string{{"--audit-uri", uri}, {"--data-dir", directory}} {
		_, stderr, _ := sluice(t, append([]string{"audit", "head"}, place...)...)
		require.Contains(t, stderr, "warning: the database's schema has a part that Sluice does not create: trigger ")
		stdout, _, code := sluice(t, append([]string{"audit", "verify"}, place...)...)
		require.Equal(t, 1, code)
		require.Contains(t, stdout, "the database's schema has a part that Sluice does not create: trigger ")
		serve := program(
			t.Context(), append([]string{"serve", "--listen", "127.0.0.1:0", "--grpc-listen", "off"}, place...)...,
		)
		serve.Dir = t.TempDir()
		output, err := serve.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(output), place[0])
		require.Contains(t, string(output), "trigger ")
	}
}

func execute(t *testing.T, driver, address, statement string) {
	t.Helper()
	db, err := sql.Open(driver, address)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}
