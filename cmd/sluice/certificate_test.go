package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/certificatetest"
)

// TestRenewedCertificate replaces the certificate's files of a running server. The server reads them at once with
// SIGHUP, and within a second without it.
func TestRenewedCertificate(t *testing.T) {
	cert, key, first := certificate(t)
	s := start(t, "--tls-cert", cert, "--tls-key", key)
	reached := func(pool *x509.CertPool) bool {
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
		}
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
	replace(secondCert, cert) // the certificate does not match the key yet
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
	stdout, stderr, code := sluice(
		t, "check", "user:uma", "run", "importer:crm-to-warehouse", "--url", s.url, "--ca", cert, "--key", s.key,
	)
	require.Zero(t, code, stderr)
	require.Equal(t, "allowed\n", stdout)
	require.Zero(t, s.stop(t))
}

// certificate writes a self-signed certificate for 127.0.0.1.
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
