package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
)

// TestBackupAndRestore backs up a running server and restores the backup.
func TestBackupAndRestore(t *testing.T) {
	data, file := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup.db")
	bob := func(s *serving) *client.Actor {
		to, err := client.New(s.url, s.key, client.WithHTTPClient(http.DefaultClient))
		require.NoError(t, err)
		return to.As("bob")
	}
	addMember := func(s *serving, user string) {
		_, err := bob(s).PutAccountMember(t.Context(), "marketing", user, "user")
		require.NoError(t, err)
	}
	isMember := func(s *serving, user string) bool {
		_, stderr, code := sluice(t, "check", "--url", s.url, "--key", s.key, "user:"+user, "view", "account:marketing")
		require.Less(t, code, 2, stderr)
		return code == 0
	}
	access := func(s *serving, at time.Time) (status int, body string) {
		return get(
			t, http.DefaultClient,
			s.url+"/v1/access?resource=account:marketing&permission=view&at="+at.UTC().Format(time.RFC3339Nano), s.key,
		)
	}
	s := start(t, "--demo", "--data-dir", data)
	addMember(s, "early")
	stdout, stderr, code := sluice(t, "backup", file, "--data-dir", data)
	require.Zero(t, code, stderr)
	require.Regexp(t, `^\S+backup.db has \d+ relationships in \d+ bytes; the last write was at \S+Z\n$`, stdout)
	addMember(s, "late")
	between := time.Now()
	require.NoError(t, bob(s).RemoveAccountMember(t.Context(), "marketing", "early"))
	eventually(t, "the removal is in the audit log", func() bool {
		_, body := get(t, http.DefaultClient, s.url+"/v1/audit?operation=remove_account_member&limit=1", s.key)
		return strings.Contains(body, "user:early")
	})
	head, stderr, code := sluice(t, "audit", "head", "--data-dir", data)
	require.Zero(t, code, stderr)

	_, stderr, code = sluice(t, "restore", file, "--data-dir", data, "--replace")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "in use")
	require.Zero(t, s.stop(t), s.log)
	_, stderr, code = sluice(t, "restore", file, "--data-dir", data)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "exists already")
	stdout, stderr, code = sluice(t, "restore", file, "--data-dir", data, "--replace")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "the replaced store is in "+data)
	require.Contains(t, stdout, "the audit log in "+data+" stays; the next start adds an entry about the restored store\n")
	down := time.Now()

	s = start(t, "--data-dir", data)
	up := time.Now()
	require.True(t, isMember(s, "early"))
	require.False(t, isMember(s, "late"))

	// The log must keep its entries, get one about the restored store, and continue.
	_, body := get(t, http.DefaultClient, s.url+"/v1/audit?limit=10", s.key)
	require.Contains(
		t,
		body,
		`"kind":"snapshot","updates":[{"action":"delete","resource":"account:marketing","relation":"user","subject":"user:late"}]`,
	)
	require.Contains(
		t,
		body,
		`"kind":"snapshot","updates":[{"action":"touch","resource":"account:marketing","relation":"user","subject":"user:early"}]`,
	)
	require.Contains(t, body, `"reason":"other_store"`)
	status, body := access(s, between)
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, "user:early")
	require.Contains(t, body, "user:late")
	status, body = access(s, down)
	require.Equal(t, http.StatusNotFound, status, body)
	require.Contains(t, body, "the audit log has a gap from ")
	status, body = access(s, up)
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, "user:early")
	require.NotContains(t, body, "user:late")
	stdout, stderr, code = sluice(t, "audit", "verify", "--data-dir", data, "--head", strings.TrimSpace(head))
	require.Zero(t, code, stdout+stderr)
	require.Zero(t, s.stop(t), s.log)
	require.Contains(t, s.log.String(), `"level":"ERROR"`)
	require.Contains(t, s.log.String(), `"reason":"other_store"`)

	s = start(t, "--data-dir", data) // this start adds no second entry
	require.Zero(t, s.stop(t), s.log)
	require.NotContains(t, s.log.String(), `"level":"ERROR"`)
}

// exportAndImport moves the data of a running server into a directory and starts another server on it.
func exportAndImport(t *testing.T, s *serving) {
	t.Helper()
	file, data := filepath.Join(t.TempDir(), "company.yaml"), filepath.Join(t.TempDir(), "data")
	stdout, stderr, code := sluice(t, append([]string{"export", file}, s.remote()...)...)
	require.Zero(t, code, stderr)
	require.Regexp(t, `^exported \d+ relationships\n$`, stdout)
	_, stderr, code = sluice(t, append([]string{"export", file}, s.remote()...)...)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "the file "+file+" exists already")

	imported, stderr, code := sluice(t, "import", file, "--data-dir", data)
	require.Zero(t, code, stderr)
	require.Equal(t, strings.Replace(stdout, "exported", "imported", 1), imported)
	other := start(t, "--data-dir", data)
	stdout, stderr, code = sluice(
		t, "check", "--url", other.url, "--key", other.key, "user:uma", "run", "importer:crm-to-warehouse",
	)
	require.Zero(t, code, stderr)
	require.Equal(t, "allowed\n", stdout)
	require.Zero(t, other.stop(t), other.log)
}
