package enginetest

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authzed/spicedb/pkg/testutil/sdbtestcontainer"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
)

// DefaultImage is the container image of SpiceDB that the tests use. SLUICE_SPICEDB_IMAGE overrides it.
const DefaultImage = "authzed/spicedb:v1.56.0"

// localDocker is the path of the socket of a container engine on this machine.
const localDocker = "/var/run/docker.sock"

// SpiceDB is a SpiceDB server in a container, without TLS.
type SpiceDB struct {
	*sdbtestcontainer.Container

	// Endpoint is the host:port of SpiceDB's gRPC API. Token is the key of this API.
	Endpoint, Token string
}

// starting serializes calls of testcontainers, which caches facts about the container engine in unprotected variables.
var starting sync.Mutex

// Container starts a SpiceDB with an empty in-memory datastore in a container, and stops it after the test. Without a
// container engine or the image, the test is skipped, or fails if SLUICE_REQUIRE_CONTAINERS is 1.
func Container(t *testing.T, options ...testcontainers.ContainerCustomizer) SpiceDB {
	t.Helper()
	NeedContainers(t)
	starting.Lock()
	defer starting.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	container, err := sdbtestcontainer.Run(ctx, Image(), options...)
	if err != nil {
		Missing(
			t, "the image "+Image()+" cannot be pulled or does not start: "+strings.Join(strings.Fields(err.Error()), " "),
		)
	}
	t.Cleanup(func() { require.NoError(t, testcontainers.TerminateContainer(container)) })
	return SpiceDB{Container: container, Endpoint: container.GRPCEndpoint(), Token: container.PresharedKey()}
}

// NeedContainers skips the test if there is no container engine, or fails it if SLUICE_REQUIRE_CONTAINERS is 1.
func NeedContainers(t *testing.T) {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	if reason := noContainers(t.Context()); reason != "" {
		Missing(t, "no container engine: "+reason)
	}
}

// Image returns the container image of SpiceDB that the tests use.
func Image() string {
	if image := os.Getenv("SLUICE_SPICEDB_IMAGE"); image != "" {
		return image
	}
	return DefaultImage
}

// Missing skips a test because this machine lacks something, or fails the test if SLUICE_REQUIRE_CONTAINERS is 1.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("SLUICE_REQUIRE_CONTAINERS") == "1" {
		t.Fatalf("%s, and SLUICE_REQUIRE_CONTAINERS is 1", what)
	}
	t.Skipf("skipped: %s", what)
}

// noContainers returns the reason why tests cannot start containers, or "" if they can.
func noContainers(ctx context.Context) string {
	if os.Getenv("DOCKER_HOST") != "" {
		return ""
	}
	connection, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", localDocker)
	if err != nil {
		return "nothing listens at " + localDocker
	}
	_ = connection.Close()
	// The container engine runs on this machine, so the ports of the containers are at 127.0.0.1. Ryuk, which
	// deletes old containers, is not necessary, because the tests delete their containers.
	setUnlessSet("TESTCONTAINERS_RYUK_DISABLED", "true")
	setUnlessSet("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
	return ""
}

func setUnlessSet(name, value string) {
	if strings.TrimSpace(os.Getenv(name)) == "" {
		_ = os.Setenv(name, value)
	}
}
