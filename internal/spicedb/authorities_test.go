package spicedb_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
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

// TestRotatedAuthoritiesNeedNoRestart replaces SpiceDB's certificate, and then the CA file. The engine must connect
// again without a restart.
func TestRotatedAuthoritiesNeedNoRestart(t *testing.T) {
	first, firstPEM, _ := certificatetest.SelfSigned(t)
	second, secondPEM, _ := certificatetest.SelfSigned(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, firstPEM, 0o600))
	address := freeAddress(t)
	serve := func(pair tls.Certificate) *grpc.Server {
		listener, err := net.Listen("tcp", address) //nolint:noctx // Listen returns at once
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
	require.ErrorIs(t, check(), authz.CodeUnavailable, "no authority in the file has signed the certificate")
	require.NoError(t, os.WriteFile(file, []byte("half written"), 0o600))
	require.ErrorIs(t, check(), authz.CodeUnavailable)
	require.NoError(t, os.WriteFile(file, secondPEM, 0o600))
	require.Eventually(t, func() bool { return check() == nil }, 5*time.Minute, 20*time.Millisecond)
}

// TestRemovedAuthorityEndsOpenConnections checks that a connection ends when its authority is removed from the CA file.
// It must stay open when the file gets another authority, or is not valid.
func TestRemovedAuthorityEndsOpenConnections(t *testing.T) {
	first, firstPEM, _ := certificatetest.SelfSigned(t)
	_, secondPEM, _ := certificatetest.SelfSigned(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, firstPEM, 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Listen returns at once
	require.NoError(t, err)
	accepted := &countingListener{Listener: listener}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&first)))
	v1.RegisterPermissionsServiceServer(server, &flaky{})
	go func() { _ = server.Serve(accepted) }()
	t.Cleanup(server.Stop)
	engine := remote(t, spicedb.RemoteConfig{Endpoint: listener.Addr().String(), Token: "secret", CAFile: file})
	check := func() error {
		_, _, err := engine.Check(
			t.Context(), authz.Check{Subject: alice, Permission: "view", Resource: viewer("d").Resource}, authz.Fully(),
		)
		return err
	}
	require.Eventually(t, func() bool { return check() == nil }, 5*time.Minute, 20*time.Millisecond)
	opened := accepted.count.Load()

	require.NoError(t, os.WriteFile(file, slices.Concat(secondPEM, firstPEM), 0o600))
	require.NoError(t, engine.ReloadAuthorities())
	require.NoError(t, check())
	for _, broken := range [][]byte{
		nil, []byte("half written"), slices.Concat(secondPEM, firstPEM[:len(firstPEM)/2]),
	} {
		require.NoError(t, os.WriteFile(file, broken, 0o600))
		require.ErrorContains(t, engine.ReloadAuthorities(), file)
		require.NoError(t, check())
	}
	require.NoError(t, os.Remove(file))
	require.ErrorContains(t, engine.ReloadAuthorities(), file)
	require.NoError(t, check())
	require.Equal(t, opened, accepted.count.Load(), "the connection must stay open")

	require.NoError(t, os.WriteFile(file, secondPEM, 0o600))
	require.NoError(t, engine.ReloadAuthorities())
	require.ErrorIs(t, check(), authz.CodeUnavailable, "the connection must be closed")
}

// countingListener counts the connections that it accepts.
type countingListener struct {
	net.Listener
	count atomic.Int32
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.count.Add(1)
	}
	return conn, err
}
