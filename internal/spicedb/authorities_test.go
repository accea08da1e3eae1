package spicedb_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/certificatetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestRotatedAuthoritiesNeedNoRestart replaces SpiceDB's certificate and then the CA file.
func TestRotatedAuthoritiesNeedNoRestart(t *testing.T) {
	first, firstPEM, _ := certificatetest.SelfSigned(t)
	second, secondPEM, _ := certificatetest.SelfSigned(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, firstPEM, 0o600))
	address := freeAddress(t)
	serve := func(pair tls.Certificate) *grpc.Server {
		listener, err := net.Listen("tcp", address) //nolint:noctx // at once
		require.NoError(t, err)
		server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
		v1.RegisterPermissionsServiceServer(server, &flaky{})
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(server.Stop)
		return server
	}
	engine := remote(t, spicedb.RemoteConfig{Endpoint: address, Token: "secret", CAFile: file})
	check := func() error {
		_, _, err := engine.Check(
			t.Context(), authz.Check{Subject: alice, Permission: "view", Resource: viewer("d").Resource}, authz.Fully(),
		)
		return err
	}

	server := serve(first)
	require.Eventually(t, func() bool { return check() == nil }, 5*time.Minute, 20*time.Millisecond)
	server.Stop()
	serve(second)
	require.ErrorIs(t, check(), authz.CodeUnavailable, "the new certificate is not of an authority in the file")
	require.NoError(t, os.WriteFile(file, []byte("half written"), 0o600))
	require.ErrorIs(t, check(), authz.CodeUnavailable)
	require.NoError(t, os.WriteFile(file, secondPEM, 0o600))
	require.Eventually(t, func() bool { return check() == nil }, 5*time.Minute, 20*time.Millisecond)
}
