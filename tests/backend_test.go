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
	"github.com/sluice-authz/sluice/internal/testsize"
)

// These are the API keys of every test server.
const (
	masterKey    = "key-with-every-scope"
	checkKey     = "key-that-checks"
	operateKey   = "key-that-operates"
	provisionKey = "key-that-provisions"
	inspectKey   = "key-that-inspects"
	writeKey     = "key-that-writes"

	// writeDashboardKey may write relationships of dashboards.
	writeDashboardKey = "key-that-writes-dashboards"

	// secondMasterKey has every scope, as masterKey, but belongs to another name.
	secondMasterKey = "second-key-with-every-scope"
)

var apiKeys = []string{
	"master:check+operate+provision+inspect+write:" + masterKey,
	"checks:check:" + checkKey,
	"operates:operate:" + operateKey,
	"provisions:provision:" + provisionKey,
	"inspects:inspect:" + inspectKey,
	"second:check+operate+provision+inspect+write:" + secondMasterKey,
	"writes:write:" + writeKey,
	"writes-dashboards:write:dashboard:" + writeDashboardKey,
}

// wire is the HTTP transport of all requests of the tests.
var wire = func() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return transport
}()

// backend is a running Sluice server, with a connection to its SpiceDB.
type backend struct {
	url     string
	spicedb *grpc.ClientConn

	// address and key are the address and the key of SpiceDB's gRPC API.
	address, key string

	// serial is set if the backend must get only one request at a time. If two writes overlap, SpiceDB v1.56.0's
	// memory datastore may hide one of them from a later read. Only Sluice's embedded SpiceDB prevents this.
	serial bool

	// overlapping is set if the datastore may order a write that is still running before a write that has ended, as
	// PostgreSQL does. The embedded memory datastore orders writes by their end.
	overlapping bool

	// few is set for every store except the embedded memory datastore. The operations are the same on each store,
	// and each store has tests of its own for overlapping writes. So in `make test`, a backend with few set runs
	//   - a quarter of the rounds, and a third of the types that clients create concurrently,
	//   - one column of each role table in one home (see homes), and one role of each table in testdata/escalation,
	//   - as many cases as are needed to perform each operation of the cases at least once (see covering).
	//
	// After a rejected request, such a backend does not compare all stored relationships. `make test-long` runs
	// everything on every store.
	few bool

	// remembers is set if SpiceDB has a cache. The cache may contain parts of decisions that depend on expired
	// relationships.
	remembers bool
}

// parallel runs a test in parallel with others if the backend supports it.
func (b *backend) parallel(t *testing.T) {
	if !b.serial {
		t.Parallel()
	}
}

// rounds returns how many of the n rounds of a race run on this backend. In `make test-long`, it returns n.
func (b *backend) rounds(n int) int {
	switch {
	case testsize.IsLong():
		return n
	case b.few:
		return max(n/8, 1)
	}
	return (n + 1) / 2
}

// plays reports whether the backend runs the test with this number, which is one of many similar tests. A brief
// backend (see isBrief) runs every third of them.
func (b *backend) plays(number int) bool { return !b.isBrief() || number%3 == 0 }

// playsOneOf reports whether the backend runs the test i of a group. The group has count similar tests. A brief
// backend (see isBrief) runs one test of each group: the first of the first group, the second of the second group,
// and so on.
func (b *backend) playsOneOf(group, i, count int) bool { return !b.isBrief() || group%count == i }

// isBrief reports whether the backend runs only a part of the tests that the embedded memory datastore runs (see
// few).
func (b *backend) isBrief() bool { return b.few && !testsize.IsLong() }

// configuration returns the configuration of a test server. The server has an embedded SpiceDB in memory, whose API
// listens too. Its schema has types of its own besides Sluice's.
func configuration() app.Config {
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", "127.0.0.1:0"
	config.Store.Datastore = "memory"
	config.Schema = "testdata/own.zed"
	config.APIKeys = apiKeys
	config.Replica.Verify = 0.05
	config.Expensive = 1000 // tests send more expensive requests at a time than there are processors
	// If other tests keep the machine busy, requests and draining take long.
	config.RequestTimeout, config.DrainTimeout = 2*time.Minute, 2*time.Minute
	return config
}

// shared is a backend that several tests share. It starts at its first use, and closes after all tests.
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

// memory starts Sluice with an embedded SpiceDB in memory.
var memory = &shared{start: func(ctx context.Context) (*backend, error) {
	server, err := app.Start(ctx, configuration())
	if err != nil {
		return nil, err
	}
	atEnd(server.Close)
	return connect(server.URL, server.GRPCAddress, server.GRPCKey)
}}

// connect returns the backend of a running server, and connects to its SpiceDB.
func connect(url, address, key string) (*backend, error) {
	conn, err := dialSpiceDB(address, key)
	if err != nil {
		return nil, err
	}
	atEnd(func(context.Context) error { return conn.Close() })
	return &backend{url: url, spicedb: conn, address: address, key: key}, nil
}

// start starts a server that stops with the test.
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
