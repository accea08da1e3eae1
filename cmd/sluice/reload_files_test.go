package main

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/certificatetest"
)

// TestBrokenFilesKeepTheirEarlierContent makes each file invalid that a running server reads again. The server must
// continue with the earlier content, and log the name of the file: immediately after SIGHUP, and within a second
// without it. The removal of SpiceDB's authority must end the connection to SpiceDB.
func TestBrokenFilesKeepTheirEarlierContent(t *testing.T) {
	spicedb := start(t, grpcOpen...)
	authority, authorityPEM, _ := certificatetest.SelfSigned(t)
	proxy := secureProxy(t, authority, spicedb.grpc)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, authorityPEM, 0o600))
	cert, key, pool := certificate(t)
	keys := filepath.Join(t.TempDir(), "keys.txt")
	stdout, _, code := sluice(t, "key", "new", "--name", "first", "--scopes", "inspect")
	require.Zero(t, code)
	apiKey, line, _ := strings.Cut(stdout, "\n")
	require.NoError(t, os.WriteFile(keys, []byte(line), 0o600))
	s := start(t, "--tls-cert", cert, "--tls-key", key, "--api-keys-file", keys,
		"--spicedb-endpoint", proxy, "--spicedb-token", spicedb.grpcKey, "--spicedb-ca", ca)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
	works := func() {
		t.Helper()
		status, body := get(t, client, s.url+"/v1/relationships?resource=account:a", apiKey)
		require.Equal(t, http.StatusOK, status, body)
	}
	works()
	for _, c := range []struct {
		file, flag string
		onlySignal bool
	}{
		{file: ca, flag: "--spicedb-ca"},
		{file: cert, flag: "--tls-cert, --tls-key"},
		{file: key, flag: "--tls-cert, --tls-key"},
		{file: keys, flag: "--api-keys-file", onlySignal: true},
	} {
		content, err := os.ReadFile(c.file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(c.file, []byte("broken"), 0o600))
		if !c.onlySignal {
			s.log.await(t, "cannot use a changed file; its earlier content stays in use", c.flag, c.file)
		}
		require.NoError(t, s.Process.Signal(syscall.SIGHUP))
		s.log.await(t, "cannot reload a file; its earlier content stays in use", c.flag, c.file)
		works()
		require.NoError(t, os.WriteFile(c.file, content, 0o600))
		require.NoError(t, s.Process.Signal(syscall.SIGHUP))
		s.log.await(t, "reloaded the files")
	}

	_, otherPEM, _ := certificatetest.SelfSigned(t)
	require.NoError(t, os.WriteFile(ca, otherPEM, 0o600))
	s.log.await(t, "uses the changed certificate authorities of SpiceDB", ca)
	eventually(t, "SpiceDB is no longer trusted", func() bool {
		status, _ := get(t, client, s.url+"/readyz", "")
		return status == http.StatusServiceUnavailable
	})
	require.Zero(t, s.stop(t))
	require.Zero(t, spicedb.stop(t))
}

// secureProxy serves TLS in front of an address without TLS, and returns its own address.
func secureProxy(t *testing.T, pair tls.Certificate, address string) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				to, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
				if err != nil {
					return
				}
				defer func() { _ = to.Close() }()
				go func() {
					defer func() { _ = to.Close() }()
					_, _ = io.Copy(to, conn)
				}()
				_, _ = io.Copy(conn, to)
			}()
		}
	}()
	return listener.Addr().String()
}
