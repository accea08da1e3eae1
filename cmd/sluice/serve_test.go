package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func get(t *testing.T, client *http.Client, url, key string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}

// TestDemo runs the first commands of the README.
func TestDemo(t *testing.T) {
	s := start(t, append(grpcOpen, "--demo")...)
	t.Setenv("SLUICE_URL", s.url)
	t.Setenv("SLUICE_KEY", s.key)
	exportAndImport(t, s)
	exportForeignIDs(t, s)
	explain(t)
	readObjects(t)

	stdout, stderr, code := sluice(t, "health")
	require.Zero(t, code, stderr)
	require.Equal(t, "ready\n", stdout)

	stdout, _, code = sluice(t, "check", "user:uma", "run", "importer:crm-to-warehouse")
	require.Zero(t, code)
	require.Equal(t, "allowed\n", stdout)
	stdout, _, code = sluice(
		t, "check", "user:gus", "run", "importer:crm-to-warehouse", "--consistency", "fully_consistent",
	)
	require.Equal(t, 1, code)
	require.Equal(t, "denied\n", stdout)
	_, stderr, code = sluice(t, "check", "user:gus", "run", "importer:crm-to-warehouse", "--consistency", "soon")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "not one that this server returned")
	_, stderr, code = sluice(t, "check", "user:gus", "fly", "importer:crm-to-warehouse")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "invalid")

	stdout, stderr, code = sluice(t, "demo")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "uma builds an importer")
	require.Regexp(t, `uma builds an importer .* exists already, unchanged`, stdout)
	require.Regexp(t, `\n\d+ objects existed already \(of \d+\) and did not change`, stdout)
	require.NotContains(t, strings.Split(stdout, "\n")[0], "exists already", "connectors are set again")

	require.Zero(t, s.stop(t), s.log)
	require.NotContains(t, s.log.String(), s.key)
	require.Equal(
		t, 2, strings.Count(s.log.String(), `"route":"/v1/subscriptions",`),
		"those of sluice demo; what --demo wrote is not logged:\n%s", s.log,
	)
	require.NotContains(t, s.log.String(), s.grpcKey)
	require.NoDirExists(t, filepath.Join(s.Dir, "data"), "the demo starts empty each time")
	_, _, code = sluice(t, "health")
	require.Equal(t, 2, code)
}

// TestServeKeeps checks that a killed server has its data again after a restart.
func TestServeKeeps(t *testing.T) {
	directory := t.TempDir()
	s := startIn(t, directory)
	_, stderr, code := sluice(t, "demo", "--url", s.url, "--key", s.key)
	require.Zero(t, code, stderr)
	_, stderr, code = sluice(t, "schema", "diff", "--data-dir", filepath.Join(directory, "data"))
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "in use")
	require.Contains(t, stderr, "--spicedb-endpoint")
	require.NoError(t, s.Process.Kill())
	<-s.drained
	_ = s.Wait()

	stdout, stderr, code := sluice(t, "schema", "diff", "--data-dir", filepath.Join(directory, "data"))
	require.Zero(t, code, stderr)
	require.Equal(t, "nothing would change\n", stdout)
	s = startIn(t, directory, "--demo", "--data-dir", "data") // start on the existing store
	stdout, _, code = sluice(t, "check", "--url", s.url, "--key", s.key, "user:uma", "run", "importer:crm-to-warehouse")
	require.Zero(t, code)
	require.Equal(t, "allowed\n", stdout)
	require.Zero(t, s.stop(t), s.log)
}

// TestRemote uses the SpiceDB of a running server as the remote one.
func TestRemote(t *testing.T) {
	s := start(t, grpcOpen...)
	t.Run("schema", func(t *testing.T) { schemaCommands(t, s) })
	t.Run("audit", func(t *testing.T) { auditOn(t, s) })
	require.Zero(t, s.stop(t), s.log)
}

func schemaCommands(t *testing.T, s *serving) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "other.zed")
	require.NoError(
		t,
		os.WriteFile(
			other, []byte("definition user {}\ndefinition document {\n  relation reader: user\n  permission read = reader\n}\n"),
			0o600,
		),
	)
	with := func(args ...string) []string { return append(args, s.remote()...) }

	product, _, code := sluice(t, "schema", "print")
	require.Zero(t, code)
	require.Contains(t, product, "definition account")
	stored, _, code := sluice(t, with("schema", "print", "--stored")...)
	require.Zero(t, code)
	require.Contains(t, stored, "definition account")

	stdout, stderr, code := sluice(t, with("schema", "diff")...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "nothing would change")
	stdout, _, code = sluice(t, with("schema", "diff", "--schema", other)...)
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "! ")
	_, stderr, code = sluice(t, with("schema", "apply", "--schema", other)...)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "--allow-breaking")
	_, stderr, code = sluice(t, with("schema", "apply", "--schema", other, "--allow-breaking")...)
	require.Zero(t, code, stderr)

	// A server with the product's schema must not start on this store.
	_, stderr, code = sluice(t, with("serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir())...)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "sluice schema diff")
	_, stderr, code = sluice(t, with("schema", "apply", "--allow-breaking")...)
	require.Zero(t, code, stderr)
}

// TestServerIsNotReadyWithoutSpiceDB checks that a server is not ready before its SpiceDB answers.
func TestServerIsNotReadyWithoutSpiceDB(t *testing.T) {
	cmd := program(t.Context(), "serve", "--listen", "127.0.0.1:0", "--request-timeout", "2s",
		"--spicedb-endpoint", "127.0.0.1:1", "--spicedb-token", "token", "--spicedb-insecure", "--data-dir", t.TempDir())
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	var greeting []string
	for len(greeting) == 0 || !strings.HasSuffix(greeting[len(greeting)-1], "Stop with Ctrl-C.") {
		require.True(t, lines.Scan(), greeting)
		greeting = append(greeting, lines.Text())
	}
	require.Contains(t, greeting[len(greeting)-1], "SpiceDB does not answer yet")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
}
