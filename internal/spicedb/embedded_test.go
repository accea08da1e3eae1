package spicedb_test

import (
	"bytes"
	"log/slog"
	"net"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/grpcutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

var alice = authz.Subject{Object: authz.Object{Type: "user", ID: "alice@example.com"}}

func viewer(document authz.ID) authz.Relationship {
	return authz.Relationship{Resource: authz.Object{Type: "document", ID: document}, Relation: "viewer", Subject: alice}
}

func touch(t *testing.T, engine authz.Engine, relationships ...authz.Relationship) authz.Token {
	t.Helper()
	var write authz.Write
	for _, r := range relationships {
		write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: r})
	}
	token, err := engine.Write(t.Context(), write)
	require.NoError(t, err)
	return token
}

func allowed(t *testing.T, engine authz.Engine, r authz.Relationship, at authz.Consistency) bool {
	t.Helper()
	decision, _, err := engine.Check(
		t.Context(), authz.Check{Subject: r.Subject, Permission: "view", Resource: r.Resource}, at,
	)
	require.NoError(t, err)
	return decision.Allowed()
}

func TestEmbeddedLeavesNothingBehind(t *testing.T) {
	var log bytes.Buffer
	previous := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(previous)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())

	for range 2 {
		engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{GRPCListen: "127.0.0.1:0", Key: "secret"})
		require.NoError(t, err)
		require.NoError(t, engine.ApplySchema(t.Context(), enginetest.Schema))
		touch(t, engine, viewer("d"))
		require.True(t, allowed(t, engine, viewer("d"), authz.Fully()))
		// The caller never ends this Watch.
		stream, err := v1.NewWatchServiceClient(engine.Conn()).Watch(t.Context(), &v1.WatchRequest{})
		require.NoError(t, err)
		require.NoError(t, engine.Close())
		require.NoError(t, engine.Close())
		_, err = stream.Recv()
		require.Error(t, err)
		_, _, err = engine.Check(
			t.Context(), authz.Check{Subject: alice, Permission: "view", Resource: viewer("d").Resource}, authz.Fully(),
		)
		require.ErrorIs(t, err, authz.CodeUnavailable)
	}
	require.Empty(t, log.String())
}

func TestTwoEmbedded(t *testing.T) {
	one, two := embedded(t, spicedb.EmbeddedConfig{}), embedded(t, spicedb.EmbeddedConfig{})
	for _, engine := range []authz.Engine{one, two} {
		require.NoError(t, engine.ApplySchema(t.Context(), enginetest.Schema))
	}
	token := touch(t, one, viewer("d"))
	require.True(t, allowed(t, one, viewer("d"), authz.Fully()))
	require.False(t, allowed(t, two, viewer("d"), authz.Fully()))

	// The token of another SpiceDB names no state of this SpiceDB.
	_, _, err := two.Check(
		t.Context(), authz.Check{Subject: alice, Permission: "view", Resource: viewer("d").Resource}, authz.AtSnapshot(token),
	)
	require.ErrorIs(t, err, authz.CodeInvalid)
	require.False(t, allowed(t, two, viewer("d"), authz.AsFreshAs(token))) // SpiceDB then reads fully consistently
}

// TestOwnAPI uses SpiceDB's own API over TCP, as zed does.
func TestOwnAPI(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{GRPCListen: "127.0.0.1:0", Key: "secret"})
	require.NoError(t, engine.ApplySchema(t.Context(), enginetest.Schema))
	touch(t, engine, viewer("d"))
	_, port, err := net.SplitHostPort(engine.GRPCAddress)
	require.NoError(t, err)
	require.NotEqual(t, "0", port)

	zed := func(key string) *grpc.ClientConn {
		conn, err := grpc.NewClient(
			engine.GRPCAddress, grpc.WithTransportCredentials(insecure.NewCredentials()), grpcutil.WithInsecureBearerToken(key),
		)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		return conn
	}
	conn := zed("secret")
	read, err := v1.NewSchemaServiceClient(conn).ReadSchema(t.Context(), &v1.ReadSchemaRequest{})
	require.NoError(t, err)
	require.Contains(t, read.GetSchemaText(), "definition document")
	health, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, health.GetStatus())
	reflection, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(
		t,
		reflection.Send(
			&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}},
		),
	)
	services, err := reflection.Recv()
	require.NoError(t, err)
	require.Contains(t, services.String(), "authzed.api.v1.PermissionsService")
	require.NoError(t, reflection.CloseSend())

	// Each side sees writes of the other.
	zedWrites := remote(t, spicedb.RemoteConfig{Endpoint: engine.GRPCAddress, Token: "secret", Insecure: true})
	token := touch(t, zedWrites, viewer("e"))
	require.True(t, allowed(t, engine, viewer("e"), authz.AtSnapshot(token)))
	require.True(t, allowed(t, engine, viewer("e"), authz.Fully()))
	require.True(t, allowed(t, zedWrites, viewer("d"), authz.Fully()))

	_, err = v1.NewSchemaServiceClient(zed("wrong")).ReadSchema(t.Context(), &v1.ReadSchemaRequest{})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
	wrong := remote(t, spicedb.RemoteConfig{Endpoint: engine.GRPCAddress, Token: "wrong", Insecure: true})
	_, err = wrong.Schema(t.Context())
	require.ErrorIs(t, err, authz.CodeInternal)
	require.ErrorContains(t, err, "--spicedb-token")
	require.NotContains(t, err.(*authz.Error).Message, "wrong") //nolint:errorlint // the type is known
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Listen returns at once
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func TestEmbeddedRejectsConfiguration(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	taken, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Listen returns at once
	require.NoError(t, err)
	defer taken.Close()
	for wanted, config := range map[string]spicedb.EmbeddedConfig{
		"needs a key":             {GRPCListen: "127.0.0.1:0"},
		"is not a listen address": {GRPCListen: "nowhere", Key: "k"},
		"address already":         {GRPCListen: taken.Addr().String(), Key: "k"},
		"needs a directory":       {Datastore: spicedb.SQLite},
		"cannot make the data":    {Datastore: spicedb.SQLite, DataDir: "/dev/null/data"},
		"there is no store":       {Datastore: spicedb.SQLite, DataDir: t.TempDir(), MustExist: true},
		"needs a URI":             {Datastore: spicedb.Postgres},
		"is not a datastore":      {Datastore: "oracle"},
		"cannot reach": {
			Datastore: spicedb.Postgres, URI: "postgres://nobody@127.0.0.1:1/nothing?sslmode=disable&connect_timeout=1",
		},
	} {
		_, err := spicedb.Embedded(t.Context(), config)
		require.ErrorContains(t, err, wanted)
	}
}
