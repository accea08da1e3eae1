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

// DefaultImage is the SpiceDB image that tests run; SLUICE_SPICEDB_IMAGE names another one.
const DefaultImage = "authzed/spicedb:v1.56.0"

// localDocker is where a container engine on this machine listens.
const localDocker = "/var/run/docker.sock"

// SpiceDB is a SpiceDB in a container, without TLS.
type SpiceDB struct {
	*sdbtestcontainer.Container

	// Endpoint is host:port of its gRPC API, and Token its key.
	Endpoint, Token string
}

// starting has one test at a time speak to testcontainers, which keeps what it finds out about the engine in variables of its own.
var starting sync.Mutex

// Container starts a SpiceDB with an empty memory datastore in a container that ends with the test. Without a container
// engine, or without the image, the test is skipped, or fails if SLUICE_REQUIRE_CONTAINERS is 1.
func Container(t *testing.T, options ...testcontainers.ContainerCustomizer) SpiceDB {
	t.Helper()
	NeedContainers(t)
	starting.Lock()
	defer starting.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	container, err := sdbtestcontainer.Run(ctx, Image(), options...)
	if err != nil {
		Missing(t, "the image "+Image()+" cannot be had or does not start: "+strings.Join(strings.Fields(err.Error()), " "))
	}
	t.Cleanup(func() { require.NoError(t, testcontainers.TerminateContainer(container)) })
	return SpiceDB{Container: container, Endpoint: container.GRPCEndpoint(), Token: container.PresharedKey()}
}

// NeedContainers skips the test where there is no container engine, or fails it if SLUICE_REQUIRE_CONTAINERS is 1.
func NeedContainers(t *testing.T) {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	if reason := noContainers(t.Context()); reason != "" {
		Missing(t, "no container engine: "+reason)
	}
}

// Image is the SpiceDB image that tests run.
func Image() string {
	if image := os.Getenv("SLUICE_SPICEDB_IMAGE"); image != "" {
		return image
	}
	return DefaultImage
}

// Missing ends a test that needs what this machine does not have: skipped, or failed if SLUICE_REQUIRE_CONTAINERS is 1.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("SLUICE_REQUIRE_CONTAINERS") == "1" {
		t.Fatalf("%s, and SLUICE_REQUIRE_CONTAINERS is 1", what)
	}
	t.Skipf("not run: %s", what)
}

// noContainers says why no container can be started; nothing if one can.
func noContainers(ctx context.Context) string {
	if os.Getenv("DOCKER_HOST") != "" {
		return ""
	}
	connection, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", localDocker)
	if err != nil {
		return "nothing listens at " + localDocker
	}
	_ = connection.Close()
	// The engine is on this machine, so its ports are here, and what the test leaves behind is cleaned up by the test.
	setUnlessSet("TESTCONTAINERS_RYUK_DISABLED", "true")
	setUnlessSet("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
	return ""
}

func setUnlessSet(name, value string) {
	if strings.TrimSpace(os.Getenv(name)) == "" {
		_ = os.Setenv(name, value)
	}
}
