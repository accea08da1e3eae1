package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// event is one event of the stream GET /v1/events: an id, and an entry of the audit log.
type event struct {
	id string
	entry
}

// follow opens a stream of events. The stream begins after the event whose id is after. If after is "", the stream
// has only new events. next reads the next event, and returns false at the end of the stream. leave closes the
// stream.
func (c caller) follow(query, after string) (next func() (event, bool), leave func()) {
	c.t.Helper()
	request := c.request(http.MethodGet, "events?"+query, nil)
	ctx, cancel := context.WithCancel(request.Context())
	request = request.WithContext(ctx)
	if after != "" {
		request.Header.Set("Last-Event-ID", after)
	}
	response, err := c.http.Do(request) //nolint:bodyclose // the returned function leave closes it
	if err != nil {
		c.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		c.t.Fatalf("the stream begins with %s %s", response.Status, response.Header)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return func() (e event, ok bool) {
			for lines.Scan() {
				switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
				case "id":
					e.id = value
				case "data":
					if err := json.Unmarshal([]byte(value), &e.entry); err != nil {
						c.t.Fatal(err)
					}
				case "":
					if lines.Text() == "" && e.id != "" {
						return e, true
					}
				}
			}
			return event{}, false
		}, func() {
			cancel()
			_ = response.Body.Close()
		}
}

// events checks that a client can read the stream of changes, disconnect, and continue after the last event.
func events(t *testing.T, on *backend) {
	s := newScene(t, on)
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
	)
	account := "account=" + s.id("a")
	s.history(account, atLeast(1))
	first, leave := s.follow(account, "")
	defer leave()
	s.play("olga PUT accounts/~a/members/~peter {roles: [user]}")
	one, ok := first()
	if !ok || one.Operation != "put_account_member" || one.id != strconv.FormatInt(one.Seq, 10) || one.Hash == "" {
		t.Fatalf("the first event is %+v", one)
	}
	leave()
	s.play("olga PUT accounts/~a/members/~milton {roles: [guest]}", "olga DELETE accounts/~a/members/~milton")
	s.history(account, atLeast(4))
	again, leave := s.follow(account, one.id)
	defer leave()
	for _, want := range []string{"put_account_member", "remove_account_member"} {
		if e, ok := again(); !ok || e.Operation != want || e.Seq <= one.Seq {
			t.Fatalf("after the event %s, the stream has %+v, want %s", one.id, e, want)
		}
	}
	whole, leave := s.follow(account, "0")
	defer leave()
	if e, ok := whole(); !ok || e.Operation != "create_account" {
		t.Fatalf("the stream of all events begins with %+v", e)
	}

	// A person receives the events that they may see, until they may no longer read the history of the account.
	peter := s.withKey(checkKey).by("peter")
	his, leave := peter.follow(account, "0")
	defer leave()
	e, ok := his()
	for ok && (len(e.Updates) != 1 || e.Updates[0].String() != s.in("touch account:~a#guest@user:~milton")) {
		e, ok = his()
	}
	if !ok || e.Operation != "put_account_member" || e.Hash != "" || e.Seq != 0 {
		t.Fatalf("peter's stream has %+v", e)
	}
	his, leave = peter.follow(account, e.id)
	defer leave()
	if e, ok := his(); !ok || e.Operation != "remove_account_member" {
		t.Fatalf("peter's stream continues with %+v", e)
	}
	// The ids of peter's events are valid only for peter, and reveal nothing.
	for _, test := range []struct {
		by caller
		id string
	}{{peter, one.id}, {peter, "999999999999"}, {peter, "x"}, {s.withKey(checkKey).by("olga"), e.id}, {s.caller, e.id}} {
		request := test.by.request(http.MethodGet, "events?"+account, nil)
		request.Header.Set("Last-Event-ID", test.id)
		answer := test.by.send(request)
		if answer.status != http.StatusBadRequest || !strings.Contains(answer.problem().Detail, "Last-Event-ID") {
			t.Errorf("%s with Last-Event-ID %s: %d %s", answer.request, test.id, answer.status, answer.body)
		}
		if test.by.actor != "" && strings.ContainsAny(strings.ReplaceAll(answer.problem().Detail, "or 0", ""), "0123456789") {
			t.Errorf("the error has a number: %s", answer.problem().Detail)
		}
	}

	s.play("olga DELETE accounts/~a/members/~peter")
	if e, ok := his(); ok {
		t.Fatalf("peter has left, and reads %+v", e)
	}

	for _, id := range []string{"x", "-1", "999999999999"} {
		request := s.request(http.MethodGet, "events", nil)
		request.Header.Set("Last-Event-ID", id)
		if answer := s.send(request); answer.status != http.StatusBadRequest || !strings.Contains(
			answer.problem().Detail, "Last-Event-ID",
		) {
			t.Errorf("Last-Event-ID %s: %d %s", id, answer.status, answer.body)
		}
	}
}

// TestEventsOutlastRequests checks that a stream may take longer than the time limit of a request, and that it ends
// when the server stops.
func TestEventsOutlastRequests(t *testing.T) {
	t.Parallel()
	config := configuration()
	config.RequestTimeout = 10 * time.Second // a read or write of the connection may take 10 seconds longer
	server, err := app.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	c := newCaller(t, server.URL)
	next, leave := c.follow("", "")
	defer leave()
	c.must(http.MethodPut, "connectors/before", map[string]any{"capabilities": []string{"views"}})
	if e, ok := next(); !ok || e.Operation != "put_connector" {
		t.Fatalf("the first event is %+v", e)
	}
	time.Sleep(21 * time.Second) // the stream must outlast the time limit
	c.must(http.MethodPut, "connectors/after", map[string]any{"capabilities": []string{"views"}})
	if e, ok := next(); !ok || e.Operation != "put_connector" {
		t.Fatalf("21 seconds later, the stream has %+v", e)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Minute)
	defer cancel()
	if err := server.Close(ctx); err != nil {
		t.Fatalf("the server does not stop while a stream is open: %v", err)
	}
	if e, ok := next(); ok {
		t.Fatalf("after the end, the stream has %+v", e)
	}
}

// TestEventsEndWithTheirKey opens a stream with an API key, which then expires. The stream must end.
func TestEventsEndWithTheirKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	secret, key, err := apikey.Generate("reader", apikey.Check|apikey.Inspect)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(key.Line()+"\n"), 0o600))
	config := configuration()
	config.APIKeysFile = file
	server := start(t, config)
	c := newCaller(t, server.URL)
	put := func(id string) {
		c.must(http.MethodPut, "connectors/"+id, map[string]any{"capabilities": []string{"views"}})
	}
	next, leave := c.withKey(secret).follow("", "")
	defer leave()
	put("before")
	_, ok := next()
	require.True(t, ok)

	key.ExpiresAt = time.Now().Add(-time.Second)
	require.NoError(t, os.WriteFile(file, []byte(key.Line()+"\n"), 0o600))
	require.NoError(t, server.Reload())
	put("after")
	e, ok := next()
	require.False(t, ok, "after the end of its key, the stream has %+v", e)
}

// TestServerInMemoryCreatesNoDirectory checks that a server that stores its data in memory creates no data
// directory.
func TestServerInMemoryCreatesNoDirectory(t *testing.T) {
	t.Parallel()
	newCaller(t, start(t, configuration()).URL).history("", atLeast(1))
	if _, err := os.Stat(app.DefaultDataDir); !os.IsNotExist(err) {
		t.Errorf("there is a data directory: %v", err)
	}
}

// TestHistoryContinuesAfterRestart restarts a server on a SpiceDB with PostgreSQL. If the audit log is in a
// database, two servers share it. At the end, the log must have every change once, in order.
func TestHistoryContinuesAfterRestart(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"file", "database"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := configuration()
			config.Store = app.StoreConfig{Datastore: "postgres", DatastoreURI: enginetest.Postgres(t)}
			if name == "file" {
				config.Store.DataDir = t.TempDir()
			} else {
				config.AuditURI = enginetest.Postgres(t)
			}
			put := func(c caller, id string) {
				c.must(http.MethodPut, "connectors/"+id, map[string]any{"capabilities": []string{"views"}})
			}
			server, err := app.Start(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			one := newCaller(t, server.URL)
			put(one, "one")
			one.history("operation=put_connector", atLeast(1))
			other := one
			if name == "database" {
				other = newCaller(t, start(t, config).URL)
			} else if _, err := app.Start(t.Context(), config); err == nil ||
				!strings.Contains(err.Error(), "--data-dir: the audit log") {
				t.Fatalf("a second server in the same data directory: %v", err)
			}
			put(other, "two")
			put(one, "three")
			if err := server.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
			if name == "database" {
				put(other, "four")
			}
			again := newCaller(t, start(t, config).URL)
			put(again, "five")
			want := []string{"one", "two", "three", "four", "five"}
			if name == "file" {
				want = []string{"one", "two", "three", "five"}
			}
			all := again.history("operation=put_connector", atLeast(len(want)))
			if len(all) != len(want) {
				t.Fatalf("the log has %d entries, want %d", len(all), len(want))
			}
			for i, id := range want {
				if !strings.Contains(changes(all[i : i+1])[0], "connector:"+id+"#") {
					t.Errorf("entry %d is %s, want that of %s", i, changes(all[i:i+1]), id)
				}
			}
		})
	}
}
