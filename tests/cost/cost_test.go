// Package cost_test sends requests to every endpoint of the contract. It compares their processor time, their memory
// and the size of their answers with limits.
package cost_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/app"
)

// These are the limits for the cost of one request. The unit of processor time is the time to decode a request body
// of the largest size, without garbage collection. The test measures this unit first, so the limits apply on every
// machine and under the race detector. docs/security.md states the same limits.
const (
	maxBody   = 1 << 20
	maxUnits  = 250
	maxMemory = 512 << 20 // sum of all allocations, most of which are freed during the request
	maxAnswer = 16 << 20
)

const key = "key-with-every-scope"

// request is one HTTP request. If actor is empty, it has no actor.
type request struct {
	name, method, path, actor string
	body                      []byte
}

// server is the tested server. Its in-memory replica is off, since an answer of the in-memory replica costs less
// than one of SpiceDB.
type server struct {
	t   *testing.T
	url string
}

func start(t *testing.T) *server {
	t.Helper()
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", app.Off
	config.Store.Datastore = "memory"
	config.Schema = "../testdata/own.zed"
	config.APIKeys = []string{"master:check+operate+provision+inspect+write:" + key}
	config.Replica.Mode = app.Off
	// The test counts only processor time. So on a busy machine, a request may take long.
	config.RequestTimeout = 10 * time.Minute
	config.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	running, err := app.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return &server{t, running.URL}
}

// send sends a request, and returns the status and the size of its answer. If the answer is a stream without an end,
// send reads only its beginning.
func (s *server) send(r request) (status, size int) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	sent, err := http.NewRequestWithContext(ctx, r.method, s.url+r.path, bytes.NewReader(r.body))
	if err != nil {
		s.t.Fatal(err)
	}
	sent.Header.Set("Authorization", "Bearer "+key)
	if r.body != nil {
		sent.Header.Set("Content-Type", "application/json")
	}
	if r.actor != "" {
		sent.Header.Set("Sluice-Actor", r.actor)
	}
	answer, err := http.DefaultClient.Do(sent)
	if err != nil {
		s.t.Fatalf("%s: %v", r.name, err)
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Type") == "text/event-stream" {
		var first [1]byte
		n, _ := io.ReadFull(answer.Body, first[:])
		return answer.StatusCode, n
	}
	n, err := io.Copy(io.Discard, answer.Body)
	if err != nil {
		s.t.Fatalf("%s: %v", r.name, err)
	}
	return answer.StatusCode, int(n)
}

// must sends a request, and ends the test if the request fails.
func (s *server) must(method, path, actor string, body any) {
	s.t.Helper()
	if status, _ := s.send(request{method + " " + path, method, path, actor, asJSON(body)}); status >= 300 {
		s.t.Fatalf("%s %s of %.200s: %d", method, path, asJSON(body), status)
	}
}

func asJSON(value any) []byte {
	if value == nil {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// The requests are about an account with this number of people, and this number of objects of each type.
const (
	people = 200
	things = 40

	// The account "previewed" has this number of people, and an importer of each. With this number, a preview of the
	// deletion of the account needs nearly preview.MaxAnswers decisions.
	previewed = 88
)

func (s *server) found() {
	s.t.Helper()
	s.must(
		"POST", "/v1/subscriptions", "",
		map[string]any{
			"id": "s", "role_set": "multi_owner", "owner": "olga", "features": []string{"user_permissions", "dashboards", "custom_roles"},
		},
	)
	s.must("POST", "/v1/accounts", "olga", map[string]any{"id": "a", "subscription": "s", "role_set": "team"})
	s.must("POST", "/v1/accounts", "olga", map[string]any{"id": "o", "subscription": "s", "role_set": "operations"})
	s.must("PATCH", "/v1/accounts/a/members", "olga", map[string]any{"members": roles("p", people, "user")})
	s.must("PATCH", "/v1/accounts/o/members", "olga", map[string]any{"members": roles("p", people, "operator")})
	s.must("PUT", "/v1/connectors/crm", "", map[string]any{"capabilities": []string{"views", "financial_settings"}})
	s.must("POST", "/v1/workspaces", "olga", map[string]any{"id": "w", "account": "o", "open": true})
	s.must("POST", "/v1/accounts", "olga", map[string]any{"id": "previewed", "subscription": "s", "role_set": "team"})
	s.must("PATCH", "/v1/accounts/previewed/members", "olga", map[string]any{"members": roles("v", previewed, "user")})
	for i := range previewed {
		s.must(
			"POST", "/v1/importers", fmt.Sprint("v", i), map[string]any{"id": fmt.Sprint("v", i), "account": "previewed"},
		)
	}
	s.must("POST", "/v1/subscriptions/s/groups", "olga", map[string]any{"id": "crew", "title": "Crew"})
	for _, place := range []string{"subscriptions/s", "accounts/a"} {
		for i := range 50 {
			s.must("POST", "/v1/"+place+"/service-accounts", "olga", map[string]any{
				"id": fmt.Sprintf("%s-%d", place[:1], i), "title": "Robot",
			})
		}
	}
	for _, place := range []string{"subscriptions/s", "accounts/a"} {
		for i := range 49 {
			s.must("POST", "/v1/"+place+"/roles", "olga", map[string]any{
				"id": fmt.Sprintf("%s-%d", place[:1], i), "title": "Role", "grants": []string{"importer.view", "flow.run"},
			})
		}
	}
	s.must("PATCH", "/v1/groups/crew/members", "olga", map[string]any{"add": names("p", 5*people)})
	s.must("PUT", "/v1/accounts/a/groups/crew", "olga", map[string]any{"roles": []string{"user"}})
	s.must("POST", "/v1/relationships", "", updates("create", "dashboard:d#editor@user:p%d"))
	for i := range 3 {
		s.must("POST", "/v1/relationships", "", updates("create", fmt.Sprintf("dashboard:large#editor@user:%d-%%d", i)))
	}
	for i := range things {
		id := fmt.Sprint("c", i)
		s.must("POST", "/v1/connections", "olga", map[string]any{"id": id, "account": "a", "connector": "crm"})
		s.must(
			"PUT", "/v1/connections/"+id+"/sharing", "olga", map[string]any{"visibility": "private", "users": names("p", 50)},
		)
		s.must("POST", "/v1/importers", "olga", map[string]any{"id": fmt.Sprint("i", i), "account": "a", "source": id})
	}
}

// names returns n ids: the prefix, followed by a number.
func names(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(prefix, i)
	}
	return all
}

// roles returns a request body that grants each of n people exactly these roles.
func roles(prefix string, n int, roles ...string) map[string][]string {
	all := make(map[string][]string, n)
	for _, name := range names(prefix, n) {
		all[name] = append([]string{}, roles...)
	}
	return all
}

// updates returns a request body with 1000 updates of relationships. relationship is a format with one verb, for the
// number of the update.
func updates(operation, relationship string) map[string]any {
	all := make([]any, 1000)
	for i := range all {
		all[i] = map[string]any{"operation": operation, "relationship": fmt.Sprintf(relationship, i)}
	}
	return map[string]any{"updates": all}
}

// absent returns n preconditions: n people must not be editors of a dashboard. The last one is an editor, so the
// write fails.
func absent(resource string, n int) []any {
	all := make([]any, n)
	for i := range all {
		subject := fmt.Sprint("user:none", i)
		if i == n-1 {
			subject = "user:p1"
		}
		all[i] = map[string]any{
			"must_not_match": map[string]any{"resource": resource, "relation": "editor", "subject": subject},
		}
	}
	return all
}

// TestEveryRequestHasABoundedCost sends the most expensive known requests to every endpoint of the contract, and
// compares their cost with the limits. Each endpoint must have a request in the table. No request body exceeds the
// maximum size.
func TestEveryRequestHasABoundedCost(t *testing.T) {
	s := start(t)
	s.found()
	price := unit()
	table := expensive()
	known := make(map[string]bool) // schemas of request bodies
	var worst measured
	succeeded := 0
	check := func(r request) {
		status, m := s.measure(r, price)
		worst.raise(m)
		if status < 300 {
			succeeded++
		}
		if m.units > maxUnits/4 || m.memory > maxMemory/4 {
			t.Logf("%s, answered %d: %s", r.name, status, m)
		}
	}
	for _, o := range contract(t) {
		if _, listed := table[o.id]; !listed {
			t.Errorf("%s %s (%s) has no expensive request in the table", o.method, o.path, o.id)
		}
		for _, r := range o.hostile(known) {
			check(r)
		}
	}
	for _, last := range []bool{false, true} { // requests that delete the objects of other requests come last
		for _, o := range contract(t) {
			if (o.id == "deleteSubscription" || o.id == "deleteAccount") == last {
				for _, body := range table[o.id] {
					body.name, body.method = o.id+" "+body.name, o.method
					if body.path == "" {
						body.path = strings.NewReplacer("{id}", "a", "{user}", "p1", "{handle}", "h").Replace(o.path)
					}
					check(body)
				}
			}
		}
	}
	if succeeded < 80 {
		t.Errorf("only %d requests succeeded; perhaps objects of the others do not exist", succeeded)
	}
	t.Logf("a unit is %s; the highest costs: %s (the most units: %s)", price, worst, worst.name)
}

// measure sends a request, and returns the status and the cost. The test fails if the cost is above a limit.
func (s *server) measure(r request, price time.Duration) (int, measured) {
	s.t.Helper()
	before := used()
	status, size := s.send(r)
	after := used()
	m := measured{
		r.name, float64(after.processor-before.processor) / float64(price), after.allocated - before.allocated, size,
	}
	if m.units > maxUnits || m.memory > maxMemory || m.answer > maxAnswer {
		s.t.Errorf(
			"%s, answered %d: %s; a request may cost %d units, %d MiB and an answer of %d MiB", r.name, status, m, maxUnits,
			maxMemory>>20, maxAnswer>>20,
		)
	}
	if status == http.StatusInternalServerError || status == http.StatusGatewayTimeout {
		s.t.Errorf("%s was answered %d", r.name, status)
	}
	return status, m
}

// escaped returns a path with a query. query lists names and values of parameters, which escaped encodes.
func escaped(path string, query ...string) string {
	values := url.Values{}
	for i := 0; i < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	return path + "?" + values.Encode()
}
