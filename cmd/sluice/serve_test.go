package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/certificatetest"
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

// TestDemo is what a newcomer does first.
func TestDemo(t *testing.T) {
	s := start(t, append(grpcOpen, "--demo")...)
	t.Setenv("SLUICE_URL", s.url)
	t.Setenv("SLUICE_KEY", s.key)
	exportAndImport(t, s)
	explain(t)

	stdout, stderr, code := sluice(t, "health")
	require.Zero(t, code, stderr)
	require.Equal(t, "ready\n", stdout)

	stdout, _, code = sluice(t, "check", "user:uma", "run", "importer:crm-to-warehouse")
	require.Zero(t, code)
	require.Equal(t, "allowed\n", stdout)
	stdout, _, code = sluice(t, "check", "user:gus", "run", "importer:crm-to-warehouse", "--consistency", "fully_consistent")
	require.Equal(t, 1, code)
	require.Equal(t, "denied\n", stdout)
	_, stderr, code = sluice(t, "check", "user:gus", "run", "importer:crm-to-warehouse", "--consistency", "soon")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "not one that this server has given")
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
	require.Equal(t, 2, strings.Count(s.log.String(), `"route":"/v1/subscriptions",`), "those of sluice demo; what --demo wrote is not logged:\n%s", s.log)
	require.NotContains(t, s.log.String(), s.grpcKey)
	require.NoDirExists(t, filepath.Join(s.Dir, "data"), "the demo begins anew each time")
	_, _, code = sluice(t, "health")
	require.Equal(t, 2, code)
}

// TestServeKeeps: what a server was told is there when it starts again, after it was killed.
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
	s = startIn(t, directory, "--demo", "--data-dir", "data") // on what is there already
	stdout, _, code = sluice(t, "check", "--url", s.url, "--key", s.key, "user:uma", "run", "importer:crm-to-warehouse")
	require.Zero(t, code)
	require.Equal(t, "allowed\n", stdout)
	require.Zero(t, s.stop(t), s.log)
}

// TestBackupAndRestore takes a backup of a running server, and goes back to it.
func TestBackupAndRestore(t *testing.T) {
	data, file := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup.db")
	member := func(s *serving, method, user, body string) {
		request, err := http.NewRequestWithContext(t.Context(), method, s.url+"/v1/accounts/marketing/members/"+user, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+s.key)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Sluice-Actor", "bob")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
	isMember := func(s *serving, user string) bool {
		_, stderr, code := sluice(t, "check", "--url", s.url, "--key", s.key, "user:"+user, "view", "account:marketing")
		require.Less(t, code, 2, stderr)
		return code == 0
	}
	access := func(s *serving, at time.Time) (status int, body string) {
		return get(t, http.DefaultClient, s.url+"/v1/access?resource=account:marketing&permission=view&at="+at.UTC().Format(time.RFC3339Nano), s.key)
	}
	s := start(t, "--demo", "--data-dir", data)
	member(s, http.MethodPut, "early", `{"roles":["user"]}`)
	stdout, stderr, code := sluice(t, "backup", file, "--data-dir", data)
	require.Zero(t, code, stderr)
	require.Regexp(t, `^\S+backup.db has \d+ relationships in \d+ bytes; the last write was at \S+Z\n$`, stdout)
	member(s, http.MethodPut, "late", `{"roles":["user"]}`)
	between := time.Now()
	member(s, http.MethodDelete, "early", "")
	eventually(t, "the removal is in the log", func() bool {
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
	require.Contains(t, stdout, "what was there is kept in "+data)
	require.Contains(t, stdout, "the audit log in "+data+" stays, and says at the next start that the store went back\n")
	down := time.Now()

	s = start(t, "--data-dir", data)
	up := time.Now()
	require.True(t, isMember(s, "early"))
	require.False(t, isMember(s, "late"))

	// The log keeps what was, says that the store went back, and goes on with what is there.
	_, body := get(t, http.DefaultClient, s.url+"/v1/audit?limit=4", s.key)
	require.Contains(t, body, `"kind":"snapshot","updates":[{"action":"delete","resource":"account:marketing","relation":"user","subject":"user:late"}]`)
	require.Contains(t, body, `"kind":"snapshot","updates":[{"action":"touch","resource":"account:marketing","relation":"user","subject":"user:early"}]`)
	_, body = get(t, http.DefaultClient, s.url+"/v1/audit?limit=5", s.key)
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

	s = start(t, "--data-dir", data) // which says it no more
	require.Zero(t, s.stop(t), s.log)
	require.NotContains(t, s.log.String(), `"level":"ERROR"`)
}

// exportAndImport moves what a running server has into a directory, in which another server goes on.
func exportAndImport(t *testing.T, s *serving) {
	t.Helper()
	file, data := filepath.Join(t.TempDir(), "company.yaml"), filepath.Join(t.TempDir(), "data")
	stdout, stderr, code := sluice(t, append([]string{"export", file}, s.remote()...)...)
	require.Zero(t, code, stderr)
	require.Regexp(t, `^exported \d+ relationships\n$`, stdout)
	_, stderr, code = sluice(t, append([]string{"export", file}, s.remote()...)...)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "there is a file "+file)

	imported, stderr, code := sluice(t, "import", file, "--data-dir", data)
	require.Zero(t, code, stderr)
	require.Equal(t, strings.Replace(stdout, "exported", "imported", 1), imported)
	other := start(t, "--data-dir", data)
	stdout, stderr, code = sluice(t, "check", "--url", other.url, "--key", other.key, "user:uma", "run", "importer:crm-to-warehouse")
	require.Zero(t, code, stderr)
	require.Equal(t, "allowed\n", stdout)
	require.Zero(t, other.stop(t), other.log)
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
	require.NoError(t, os.WriteFile(other, []byte("definition user {}\ndefinition document {\n  relation reader: user\n  permission read = reader\n}\n"), 0o600))
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

	// A server with the product's schema must not start on what is stored now.
	_, stderr, code = sluice(t, with("serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir())...)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "sluice schema diff")
	_, stderr, code = sluice(t, with("schema", "apply", "--allow-breaking")...)
	require.Zero(t, code, stderr)
}

func TestKeysAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.txt")
	newKey := func(name string) (key, line string) {
		stdout, _, code := sluice(t, "key", "new", "--name", name, "--scopes", "inspect")
		require.Zero(t, code)
		key, line, _ = strings.Cut(stdout, "\n")
		return key, line
	}
	first, firstLine := newKey("first")
	second, secondLine := newKey("second")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(firstLine)
	s := start(t, "--api-keys-file", file)
	require.Empty(t, s.key)
	status := func(key string) int {
		code, _ := get(t, http.DefaultClient, s.url+"/v1/role-sets", key)
		return code
	}
	require.Equal(t, http.StatusOK, status(first))
	require.Equal(t, http.StatusUnauthorized, status(second))

	write("this is no line of a keys file")
	require.NoError(t, s.Process.Signal(syscall.SIGHUP))
	write(secondLine)
	eventually(t, "the new key is known", func() bool {
		require.NoError(t, s.Process.Signal(syscall.SIGHUP))
		return status(second) == http.StatusOK
	})
	require.Equal(t, http.StatusUnauthorized, status(first))
	require.Zero(t, s.stop(t))
}

// TestGracefulStop stops the server while it reads a request, and lets the request end. Its span reaches the exporter that
// the environment names, by the end of the server.
func TestGracefulStop(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "console")
	s := start(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	body := `{"subject":"user:ada","permission":"view","resource":"account:acme"}`
	_, err = io.WriteString(conn, "POST /v1/check HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\nContent-Type: application/json\r\nAuthorization: Bearer "+s.key+
		"\r\nContent-Length: 68\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	require.Len(t, body, 68)
	interim := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	_, err = io.ReadFull(conn, interim) // the handler has begun to read
	require.NoError(t, err)

	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	eventually(t, "new connections are refused", func() bool {
		other, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	})
	_, err = io.WriteString(conn, body)
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "200 OK")
	require.Contains(t, string(answer), `"allowed":false`)
	<-s.drained
	_ = s.Wait()
	require.Zero(t, s.ProcessState.ExitCode(), s.log)
	require.Contains(t, s.printed.String(), "/v1/check")
	require.NotContains(t, s.printed.String(), s.key)
}

// TestShutdownDelay holds that a server which is asked to stop says so at /readyz, and serves until the delay ends. The second
// signal ends the delay.
func TestShutdownDelay(t *testing.T) {
	s := start(t, "--shutdown-delay", "10m", "--metrics-listen", "127.0.0.1:0")
	require.NotEmpty(t, s.metrics)
	status, body := get(t, http.DefaultClient, s.metrics, "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "sluice_decisions_total")
	for _, other := range []string{"/v1/role-sets", "/readyz", "/"} {
		status, _ = get(t, http.DefaultClient, strings.TrimSuffix(s.metrics, "/metrics")+other, s.key)
		require.Equal(t, http.StatusNotFound, status, other)
	}

	status, _ = get(t, http.DefaultClient, s.url+"/readyz", "")
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	eventually(t, "the server is not ready", func() bool {
		status, body = get(t, http.DefaultClient, s.url+"/readyz", "")
		return status == http.StatusServiceUnavailable
	})
	require.Contains(t, body, "about to stop")
	status, _ = get(t, http.DefaultClient, s.url+"/v1/role-sets", s.key)
	require.Equal(t, http.StatusOK, status, "requests are still served")
	require.Zero(t, s.stop(t), s.log)
}

// TestRenewedCertificate replaces the certificate's files under a running server, as a renewal does. With SIGHUP the server
// reads them at once, and without within a second.
func TestRenewedCertificate(t *testing.T) {
	cert, key, first := certificate(t)
	s := start(t, "--tls-cert", cert, "--tls-key", key)
	reached := func(pool *x509.CertPool) bool {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/healthz", http.NoBody)
		require.NoError(t, err)
		response, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusOK
	}
	replace := func(with string, in string) {
		content, err := os.ReadFile(with)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(in, content, 0o600))
	}
	require.True(t, reached(first))

	secondCert, secondKey, second := certificate(t)
	replace(secondCert, cert) // the key does not fit yet
	require.NoError(t, s.Process.Signal(syscall.SIGHUP))
	require.True(t, reached(first), "half a renewal changes nothing")
	replace(secondKey, key)
	eventually(t, "the renewed certificate is used", func() bool { return reached(second) })
	require.False(t, reached(first))

	thirdCert, thirdKey, third := certificate(t)
	replace(thirdCert, cert)
	replace(thirdKey, key)
	require.NoError(t, s.Process.Signal(syscall.SIGHUP))
	eventually(t, "the renewed certificate is used", func() bool { return reached(third) })
	require.Zero(t, s.stop(t), s.log)
	require.Contains(t, s.log.String(), "uses the renewed TLS certificate")
}

// TestExpiringKeys holds that a key which has expired opens nothing, and that the log and a metric tell of it before.
func TestExpiringKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.txt")
	secrets := map[string]string{}
	var lines string
	for name, end := range map[string]time.Duration{"ended": -time.Minute, "soon": 13 * 24 * time.Hour, "later": 15 * 24 * time.Hour} {
		stdout, _, code := sluice(t, "key", "new", "--name", name, "--scopes", "inspect", "--rate", "1000/s")
		require.Zero(t, code)
		secret, line, _ := strings.Cut(strings.TrimSpace(stdout), "\n")
		secrets[name] = secret
		lines += line + " expires=" + time.Now().Add(end).UTC().Format(time.RFC3339) + "\n"
	}
	require.NoError(t, os.WriteFile(file, []byte(lines), 0o600))
	s := start(t, "--api-keys-file", file)
	status, body := get(t, http.DefaultClient, s.url+"/v1/role-sets", secrets["ended"])
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, "the key ended expired at ")
	status, body = get(t, http.DefaultClient, s.url+"/metrics", secrets["soon"])
	require.Equal(t, http.StatusOK, status)
	require.Regexp(t, `sluice_api_key_expires_in_seconds\{key="soon"\} 1\.12\d*e\+06`, body)
	require.Regexp(t, `sluice_api_key_expires_in_seconds\{key="ended"\} -\d+\.`, body)
	require.Zero(t, s.stop(t), s.log)
	require.Contains(t, s.log.String(), `"msg":"the API key expires soon; `+"`sluice key new`"+` makes another","key":"soon"`)
	require.Contains(t, s.log.String(), `"msg":"the API key has expired; `+"`sluice key new`"+` makes another","key":"ended"`)
	require.NotContains(t, s.log.String(), `"key":"later"`)
}

func TestTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	s := start(t, "--tls-cert", cert, "--tls-key", key)
	require.True(t, strings.HasPrefix(s.url, "https://"))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	status, _ := get(t, &http.Client{Transport: transport}, s.url+"/v1/role-sets", s.key)
	require.Equal(t, http.StatusOK, status)
	_, stderr, code := sluice(t, "health", "--url", s.url)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "certificate")
	_, stderr, code = sluice(t, "health", "--url", s.url, "--ca", cert)
	require.Zero(t, code, stderr)
	_, stderr, code = sluice(t, "demo", "--url", s.url, "--ca", cert, "--key", s.key)
	require.Zero(t, code, stderr)
	stdout, stderr, code := sluice(t, "check", "user:uma", "run", "importer:crm-to-warehouse", "--url", s.url, "--ca", cert, "--key", s.key)
	require.Zero(t, code, stderr)
	require.Equal(t, "allowed\n", stdout)
	require.Zero(t, s.stop(t))
}

// TestSpiceDBIsAway holds that a server does not call itself ready before it is.
func TestSpiceDBIsAway(t *testing.T) {
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

// certificate writes a certificate for 127.0.0.1 that signs itself.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	_, certPEM, keyPEM := certificatetest.SelfSigned(t)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, keyPEM, 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return certFile, keyFile, pool
}
