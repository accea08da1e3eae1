package spicedb_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestRemoteReconnects starts an engine before its SpiceDB, and stops and starts SpiceDB. The engine must reconnect
// each time.
func TestRemoteReconnects(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	address := freeAddress(t)
	engine, err := spicedb.Remote(t.Context(), spicedb.RemoteConfig{Endpoint: address, Token: "secret", Insecure: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	for range 2 {
		require.ErrorIs(t, engine.Ready(t.Context()), authz.CodeUnavailable)
		_, err := engine.Write(t.Context(), authz.Write{Updates: []authz.Update{{Relationship: viewer("d")}}})
		require.ErrorIs(t, err, authz.CodeUnavailable)

		server, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{GRPCListen: address, Key: "secret"})
		require.NoError(t, err)
		require.NoError(t, server.ApplySchema(t.Context(), enginetest.Schema))
		require.Eventually(t, func() bool { return engine.Ready(t.Context()) == nil }, 5*time.Minute, 20*time.Millisecond)
		touch(t, engine, viewer("d"))
		require.True(t, allowed(t, engine, viewer("d"), authz.Fully()))
		require.NoError(t, server.Close())
	}
}

// flaky is a SpiceDB that answers a number of calls with Unavailable.
type flaky struct {
	v1.UnimplementedPermissionsServiceServer
	v1.UnimplementedSchemaServiceServer

	failures                      atomic.Int32
	checks, writes, deletes, read atomic.Int32
	block                         chan struct{}
	pause                         time.Duration // between two messages of a stream
}

func (f *flaky) fail() error {
	if f.failures.Add(-1) >= 0 {
		return status.Error(codes.Unavailable, "not now")
	}
	return nil
}

func (f *flaky) CheckPermission(
	ctx context.Context, _ *v1.CheckPermissionRequest,
) (*v1.CheckPermissionResponse, error) {
	f.checks.Add(1)
	if f.block != nil {
		select {
		case <-f.block:
		case <-ctx.Done(): // this may be a moment before the client's own timeout
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
	return &v1.CheckPermissionResponse{}, f.fail()
}

func (f *flaky) WriteRelationships(
	context.Context, *v1.WriteRelationshipsRequest,
) (*v1.WriteRelationshipsResponse, error) {
	f.writes.Add(1)
	return &v1.WriteRelationshipsResponse{}, f.fail()
}

func (f *flaky) DeleteRelationships(
	context.Context, *v1.DeleteRelationshipsRequest,
) (*v1.DeleteRelationshipsResponse, error) {
	f.deletes.Add(1)
	return &v1.DeleteRelationshipsResponse{}, f.fail()
}

func (f *flaky) ReadRelationships(
	_ *v1.ReadRelationshipsRequest, stream grpc.ServerStreamingServer[v1.ReadRelationshipsResponse],
) error {
	f.read.Add(1)
	if f.block != nil {
		object := &v1.ObjectReference{}
		message := &v1.ReadRelationshipsResponse{Relationship: &v1.Relationship{
			Resource: object, Subject: &v1.SubjectReference{Object: object},
		}}
		for range 2 {
			if err := stream.Send(message); err != nil {
				return err
			}
			select {
			case <-time.After(f.pause): // the consumer is busy meanwhile
			case <-stream.Context().Done():
				return stream.Context().Err()
			}
		}
		select {
		case <-f.block:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
	return f.fail()
}

func (f *flaky) serve(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Listen returns at once
	require.NoError(t, err)
	server := grpc.NewServer()
	v1.RegisterPermissionsServiceServer(server, f)
	v1.RegisterSchemaServiceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// TestReadsAreRetried checks that calls that read are retried. Writes must not be retried, since they may have been
// applied.
func TestReadsAreRetried(t *testing.T) {
	server := &flaky{}
	engine := remote(t, spicedb.RemoteConfig{Endpoint: server.serve(t), Insecure: true})
	check := authz.Check{Subject: alice, Permission: "view", Resource: viewer("d").Resource}

	server.failures.Store(3)
	_, _, err := engine.Check(t.Context(), check, authz.Fully())
	require.NoError(t, err)
	require.EqualValues(t, 4, server.checks.Load())

	server.failures.Store(100)
	_, _, err = engine.Check(t.Context(), check, authz.Fully())
	require.ErrorIs(t, err, authz.CodeUnavailable)
	require.EqualValues(t, 8, server.checks.Load())

	server.failures.Store(2)
	for _, err := range engine.Read(t.Context(), authz.Filter{Type: "document"}, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
	}
	require.EqualValues(t, 3, server.read.Load())

	server.failures.Store(1)
	_, err = engine.Write(t.Context(), authz.Write{Updates: []authz.Update{{Relationship: viewer("d")}}})
	require.ErrorIs(t, err, authz.CodeUnavailable)
	require.EqualValues(t, 1, server.writes.Load())
	server.failures.Store(1)
	_, err = engine.DeleteAll(t.Context(), authz.Filter{Type: "document"}, nil, nil)
	require.ErrorIs(t, err, authz.CodeUnavailable)
	require.EqualValues(t, 1, server.deletes.Load())
}

// TestTimeout checks that a call without a deadline ends after the timeout, and that all calls are observed.
func TestTimeout(t *testing.T) {
	// A slow machine needs more time for a message.
	for timeout := 100 * time.Millisecond; !timesOut(t, timeout); timeout *= 4 {
		require.Less(t, timeout, time.Minute)
	}
}

// timesOut returns false if a call ended before its second message because the timeout is too short for this machine.
func timesOut(t *testing.T, timeout time.Duration) bool {
	t.Helper()
	server := &flaky{block: make(chan struct{}), pause: timeout + timeout/5}
	var mu sync.Mutex
	observed := map[string]error{}
	engine := remote(t, spicedb.RemoteConfig{Endpoint: server.serve(t), Insecure: true, Options: spicedb.Options{
		Timeout: timeout,
		Observe: func(method string, d time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			if d >= timeout {
				observed[method] = err
			}
		},
	}})
	check := authz.Check{Subject: alice, Permission: "view", Resource: viewer("d").Resource}
	_, _, err := engine.Check(context.Background(), check, authz.Fully()) //nolint:usetesting // it has no deadline
	require.ErrorIs(t, err, authz.CodeDeadline)

	messages := 0
	var last error
	ctx := context.Background() //nolint:usetesting // this context has no deadline
	for _, err := range engine.Read(ctx, authz.Filter{Type: "document"}, authz.Fully(), authz.Page{}) {
		if last = err; err == nil {
			messages++
			time.Sleep(timeout + timeout/2) // the time limit does not include a slow consumer
		}
	}
	require.ErrorIs(t, last, authz.CodeDeadline)
	if messages < 2 {
		return false
	}
	require.Equal(t, 2, messages)

	mu.Lock()
	defer mu.Unlock()
	require.ErrorIs(t, observed["Check"], authz.CodeDeadline)
	require.ErrorIs(t, observed["Read"], authz.CodeDeadline)
	return true
}

func TestRemoteRejectsConfiguration(t *testing.T) {
	noCertificate := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(noCertificate, []byte("no certificate"), 0o600))
	for wanted, config := range map[string]spicedb.RemoteConfig{
		"endpoint is missing": {},
		"without TLS":         {Endpoint: "localhost:1", Insecure: true, CAFile: noCertificate},
		"CA file":             {Endpoint: "localhost:1", CAFile: noCertificate},
		"no-such-file":        {Endpoint: "localhost:1", CAFile: "/no-such-file"},
	} {
		_, err := spicedb.Remote(t.Context(), config)
		require.ErrorContains(t, err, wanted)
	}
	engine, err := spicedb.Remote(t.Context(), spicedb.RemoteConfig{Endpoint: "localhost:1", Token: "x"})
	require.NoError(t, err)
	require.NoError(t, engine.Close())
}
