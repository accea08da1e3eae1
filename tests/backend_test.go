package tests

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// The keys that every server of the tests knows.
const (
	masterKey    = "key-with-every-scope"
	checkKey     = "key-that-checks"
	operateKey   = "key-that-operates"
	provisionKey = "key-that-provisions"
	inspectKey   = "key-that-inspects"

	// secondMasterKey has every scope under another name.
	secondMasterKey = "second-key-with-every-scope"
)

var apiKeys = []string{
	"master:check+operate+provision+inspect:" + masterKey,
	"checks:check:" + checkKey,
	"operates:operate:" + operateKey,
	"provisions:provision:" + provisionKey,
	"inspects:inspect:" + inspectKey,
	"second:check+operate+provision+inspect:" + secondMasterKey,
}

// wire is how all requests travel.
var wire = func() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return transport
}()

// backend is a running server of Sluice, and the API of the SpiceDB behind it.
type backend struct {
	url     string
	spicedb *grpc.ClientConn

	// address and key are those of the SpiceDB behind it.
	address, key string

	// serial backends get one request after the other. The memory datastore of SpiceDB v1.56.0 may not show a write
	// to a read after it when another write overlaps; only that of an embedded SpiceDB is guarded against it.
	serial bool

	// overlapping backends may order a write that is under way before one that has answered, as PostgreSQL does; the
	// embedded memory datastore orders writes as they end.
	overlapping bool

	// few is set if races are run an eighth as often, and what is stored is not compared for each request that is
	// refused. In full that is done before the memory datastore: the operations are the same, and each store has
	// tests of its own for writes that overlap.
	few bool

	// remembers is set if the SpiceDB remembers parts of answers, and does not forget them when what they rest on expires.
	remembers bool
}

// parallel lets a test run beside others if the backend can stand that.
func (b *backend) parallel(t *testing.T) {
	if !b.serial {
		t.Parallel()
	}
}

// rounds returns how many rounds of a race run here, of n in a full run.
func (b *backend) rounds(n int) int {
	if b.few {
		return max(n/8, 1)
	}
	return n
}

// configuration is that of a server for tests before an embedded SpiceDB in memory, which is open for zed.
func configuration() app.Config {
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", "127.0.0.1:0"
	config.Store.Datastore = "memory"
	config.APIKeys = apiKeys
	config.Replica.Verify = 0.05
	config.Expensive = 1000 // tests ask side by side, and more than the processors
	// On a machine that is busy with other tests, requests and the drain take long.
	config.RequestTimeout, config.DrainTimeout = 2*time.Minute, 2*time.Minute
	return config
}

// shared is a backend that the tests of a run share: it starts when it is needed first, and is closed at the end.
type shared struct {
	start func(ctx context.Context) (*backend, error)

	once    sync.Once
	backend *backend
	err     error
}

func (s *shared) get(t testing.TB) *backend {
	t.Helper()
	s.once.Do(func() { s.backend, s.err = s.start(context.WithoutCancel(t.Context())) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.backend
}

// memory is Sluice before an embedded SpiceDB in memory.
var memory = &shared{start: func(ctx context.Context) (*backend, error) {
	server, err := app.Start(ctx, configuration())
	if err != nil {
		return nil, err
	}
	atEnd(server.Close)
	return connect(server.URL, server.GRPCAddress, server.GRPCKey)
}}

// connect joins the address of a server with a connection to the SpiceDB behind it.
func connect(url, address, key string) (*backend, error) {
	conn, err := dialSpiceDB(address, key)
	if err != nil {
		return nil, err
	}
	atEnd(func(context.Context) error { return conn.Close() })
	return &backend{url: url, spicedb: conn, address: address, key: key}, nil
}

// start starts a server that ends with the test.
func start(t *testing.T, config app.Config) *app.Server {
	t.Helper()
	if config.Store.Datastore != spicedb.Memory && config.AuditURI == "" {
		config.Store.DataDir = cmp.Or(config.Store.DataDir, t.TempDir())
	}
	server, err := app.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("closing the server: %v", err)
		}
	})
	return server
}
