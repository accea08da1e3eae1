package tests

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// outageTimeout is the time limit of a request in these tests.
const outageTimeout = 10 * time.Second

// slack is additional time for a busy machine. A request that exceeds its time limit would take longer than
// outageTimeout and slack together.
const slack = 20 * time.Second

// TestOutage cuts the connection of a running server to SpiceDB, and restores it.
func TestOutage(t *testing.T) {
	t.Parallel()
	spicedb := start(t, configuration())
	way := newCut(t, spicedb.GRPCAddress)
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: way.address, Token: spicedb.GRPCKey, Insecure: true}
	config.Replica.Mode = app.Off // the in-memory replica would answer for some more seconds
	config.RequestTimeout = outageTimeout
	server := start(t, config)
	s := scene{caller: newCaller(t, server.URL), prefix: "out-"}
	s.survives(t, way.cut, way.mend, http.StatusServiceUnavailable)
}

// TestOutageOfContainer pauses a SpiceDB in a container. Then requests wait for SpiceDB, so some of them end at
// their time limit.
func TestOutageOfContainer(t *testing.T) {
	t.Parallel()
	spicedb := enginetest.Container(t)
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: spicedb.Endpoint, Token: spicedb.Token, Insecure: true}
	config.Replica.Mode = app.Off // the in-memory replica would answer for some more seconds
	config.RequestTimeout = outageTimeout
	server := start(t, config)
	engine := newDocker(t)
	s := scene{caller: newCaller(t, server.URL), prefix: "out-"}
	s.survives(t,
		func() { engine.pause(t, spicedb.GetContainerID()) },
		func() { engine.unpause(t, spicedb.GetContainerID()) },
		http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	)
}

// TestOutageOfPostgres stops the PostgreSQL in which a SpiceDB stores its data.
func TestOutageOfPostgres(t *testing.T) {
	t.Parallel()
	uri, err := url.Parse(enginetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	way := newCut(t, uri.Host)
	uri.Host = way.address
	config := configuration()
	config.Store = app.StoreConfig{Datastore: "postgres", DatastoreURI: uri.String()}
	config.Replica.Mode = app.Off // the in-memory replica would answer for some more seconds
	config.RequestTimeout = outageTimeout
	server := start(t, config)
	s := scene{caller: newCaller(t, server.URL), prefix: "out-"}
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga} => 201",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team} => 201",
	)
	for range 2 {
		way.cut()
		s.isAway(t, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
		way.mend()
		s.comesBack(t)
		s.writesAgain(t)
	}
}

// TestStartBeforeSpiceDB starts the server while SpiceDB is unavailable. The server must run, but not be ready. When
// SpiceDB becomes available, the server must become ready.
func TestStartBeforeSpiceDB(t *testing.T) {
	t.Parallel()
	spicedb := start(t, configuration())
	way := newCut(t, spicedb.GRPCAddress)
	way.cut()
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: way.address, Token: spicedb.GRPCKey, Insecure: true}
	config.Replica.Mode = app.Off // the in-memory replica would answer for some more seconds
	config.RequestTimeout = outageTimeout
	server := start(t, config)
	s := scene{caller: newCaller(t, server.URL), prefix: "early-"}
	s.isAway(t, http.StatusServiceUnavailable)
	way.mend()
	s.comesBack(t)
	s.play("backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga} => 201")
}

// survives causes two outages of SpiceDB with the functions away and back, and checks the server during and after
// each. During an outage, each answer must have one of the statuses.
func (s scene) survives(t *testing.T, away, back func(), statuses ...int) {
	t.Helper()
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga} => 201",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team} => 201",
	)
	for round := range 2 {
		away()
		s.isAway(t, statuses...)
		back()
		s.comesBack(t)
		s.play(
			"olga PUT accounts/~a/members/~ulla {roles: [user]} => 200", "ulla may view account:~a",
			"olga GET accounts/~a => 200",
		)
		if round == 0 {
			s.play("olga DELETE accounts/~a/members/~ulla => 200")
		}
	}
}

// isAway calls endpoints during an outage of SpiceDB. Those that need SpiceDB must answer with one of the statuses.
// The others must answer with 200.
func (s scene) isAway(t *testing.T, statuses ...int) {
	t.Helper()
	check := question{"user:" + s.id("olga"), "view", "account:" + s.id("a")}
	var all sync.WaitGroup
	for _, ask := range []func() answer{
		func() answer { return s.call(http.MethodPost, "check", check) },
		func() answer {
			return s.call(http.MethodPost, "check/bulk", map[string]any{"checks": []question{check}})
		},
		func() answer {
			return s.call(
				http.MethodPost, "permissions", map[string]string{"subject": check.Subject, "resource": check.Resource},
			)
		},
		func() answer { return s.by("olga").call(http.MethodGet, "accounts/"+s.id("a"), nil) },
		func() answer { return s.by("olga").call(http.MethodGet, "accounts/"+s.id("a")+"/members", nil) },
		func() answer {
			return s.by("olga").call(http.MethodPut, "accounts/"+s.id("a")+"/members/"+s.id("nina"), roles("user"))
		},
		func() answer { return s.by("olga").call(http.MethodDelete, "accounts/"+s.id("a"), nil) },
		func() answer { return s.call(http.MethodGet, "relationships?resource=account:"+s.id("a"), nil) },
		func() answer { return s.afterKeptReadiness(t) },
	} {
		all.Go(func() {
			asked := time.Now()
			a := ask()
			if !slices.Contains(statuses, a.status) {
				t.Errorf("%s while SpiceDB is unavailable: %d %s, want %v", a.request, a.status, a.body, statuses)
			}
			if a.status == http.StatusServiceUnavailable && a.problem().Code != "unavailable" {
				t.Errorf("%s while SpiceDB is unavailable: %s", a.request, a.body)
			}
			if took := time.Since(asked); took > outageTimeout+slack {
				t.Errorf("%s took %s, longer than its time limit", a.request, took)
			}
		})
	}
	all.Wait()
	for _, path := range []string{"/healthz", "/openapi.yaml", "role-sets", "permissions"} {
		if a := s.call(http.MethodGet, path, nil); a.status != http.StatusOK {
			t.Errorf("%s while SpiceDB is unavailable: %d %s, want 200", a.request, a.status, a.body)
		}
	}
}

// afterKeptReadiness returns the first answer of /readyz that depends on the outage. For a second, the server
// repeats a successful answer from before the outage. So this function calls /readyz for up to two seconds.
func (s scene) afterKeptReadiness(t *testing.T) answer {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); ; {
		a := s.call(http.MethodGet, "/readyz", nil)
		if a.status != http.StatusOK || time.Now().After(end) {
			return a
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			return a
		}
	}
}

// comesBack waits until the server is ready again.
func (s scene) comesBack(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); s.call(http.MethodGet, "/readyz", nil).status != http.StatusOK; {
		if time.Now().After(end) {
			t.Fatal("the server is not ready again after a minute")
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			return
		}
	}
}

// writesAgain repeats a write until it succeeds. After an outage, some writes fail, since a connection pool notices
// each broken connection separately.
func (s scene) writesAgain(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		a := s.by("olga").call(http.MethodPut, "accounts/"+s.id("a")+"/members/"+s.id("nina"), roles("user"))
		if a.status == http.StatusOK {
			return
		}
		if !slices.Contains(
			[]int{http.StatusServiceUnavailable, http.StatusGatewayTimeout}, a.status,
		) || time.Now().After(end) {
			t.Fatalf("%s: %d %s", a.request, a.status, a.body)
		}
	}
}

// cut is a proxy in front of a server. It can close the connections that go through it, and accept connections
// again.
type cut struct {
	t       *testing.T
	address string // listen address
	target  string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

func newCut(t *testing.T, target string) *cut {
	c := &cut{t: t, target: target, address: "127.0.0.1:0", open: map[net.Conn]bool{}}
	c.mend()
	t.Cleanup(c.cut)
	return c
}

// mend makes the proxy accept connections again.
func (c *cut) mend() {
	listener, err := new(net.ListenConfig).Listen(context.WithoutCancel(c.t.Context()), "tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.listener, c.address = listener, listener.Addr().String()
	c.running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(context.WithoutCancel(c.t.Context()), "tcp", c.target)
			if err != nil {
				_ = near.Close()
				continue
			}
			c.join(near, far)
		}
	})
}

func (c *cut) join(near, far net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[near], c.open[far] = true, true
	for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
		c.running.Go(func() {
			_, _ = io.Copy(to, from)
			_, _ = from.Close(), to.Close()
		})
	}
}

// cut closes all connections through the proxy, and accepts no new connections.
func (c *cut) cut() {
	_ = c.listener.Close()
	c.mu.Lock()
	for connection := range c.open {
		_ = connection.Close()
	}
	clear(c.open)
	c.mu.Unlock()
	c.running.Wait()
}
