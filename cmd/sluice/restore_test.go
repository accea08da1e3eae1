package main

import (
	"context"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/audit"
)

// TestRestoreUnsealed checks that a file without the hash of a backup can be restored only with the flag that the error
// names.
func TestRestoreUnsealed(t *testing.T) {
	data, other := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "other")
	good, _ := productFile(t, smallCompany...)
	_, stderr, code := sluice(t, "import", good, "--data-dir", data)
	require.Zero(t, code, stderr)
	file := filepath.Join(data, "sluice.db")
	_, stderr, code = sluice(t, "restore", file, "--data-dir", other)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "--allow-unsealed restores it nevertheless")
	require.NoFileExists(t, filepath.Join(other, "sluice.db"))
	stdout, stderr, code := sluice(t, "restore", file, "--data-dir", other, "--allow-unsealed")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, other+" has 9 relationships")
	stored, stderr, code := sluice(t, "export", "-", "--data-dir", other)
	require.Zero(t, code, stderr)
	require.Contains(t, stored, "account:a#owner@user:olga")
}

// TestRestoreCompletesAuditLog checks a restore after a server was killed. The audit log must get the changes that the
// server had not written to it. If the store cannot be read, the restore must replace it and print a warning.
func TestRestoreCompletesAuditLog(t *testing.T) {
	data, file := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup.db")
	s := start(t, "--data-dir", data)
	_, stderr, code := sluice(t, "backup", file, "--data-dir", data)
	require.Zero(t, code, stderr)

	// Another process locks the log, so that the server cannot write to it.
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, audit.FileName)+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	lock, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = lock.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	to, err := client.New(s.url, s.key, client.WithHTTPClient(http.DefaultClient))
	require.NoError(t, err)
	_, err = to.PutConnector(t.Context(), "late", "views")
	require.NoError(t, err)
	require.NoError(t, s.Process.Kill())
	<-s.drained
	_ = s.Wait()
	_, err = lock.ExecContext(context.WithoutCancel(t.Context()), "ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	require.NoError(t, db.Close())
	require.Zero(t, countLogged(t, data, "put_connector"))

	_, stderr, code = sluice(t, "restore", file, "--data-dir", data, "--replace")
	require.Zero(t, code, stderr)
	require.Empty(t, stderr)
	require.Equal(t, 1, countLogged(t, data, "put_connector"))

	require.NoError(t, os.WriteFile(filepath.Join(data, "sluice.db"), []byte("this was a store"), 0o600))
	_, stderr, code = sluice(t, "restore", file, "--data-dir", data, "--replace")
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "the last changes before the restore, which are only in "+data)
}

func countLogged(t *testing.T, directory, operation string) int {
	t.Helper()
	log, err := app.ReadAudit(t.Context(), directory, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	found, err := log.Find(t.Context(), audit.Query{Operation: operation, Limit: 10})
	require.NoError(t, err)
	return len(found)
}
