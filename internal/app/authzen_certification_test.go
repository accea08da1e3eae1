package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
)

const (
	alice   = `{"type":"user","id":"alice"}`
	bob     = `{"type":"user","id":"bob"}`
	admin   = `{"type":"user","id":"bob","properties":{"role":"admin"}}`
	record1 = `{"type":"record","id":"record-1"}`
	record2 = `{"type":"record","id":"record-2"}`
	active  = `{"type":"record","id":"record-1","properties":{"status":"active"}}`
	archive = `{"type":"record","id":"record-2","properties":{"status":"archived"}}`
)

func asking(subject, action, resource string) string {
	return `{"subject":` + subject + `,"action":` + action + `,"resource":` + resource + `}`
}

func named(action string) string { return `{"name":"` + action + `"}` }

// TestAuthZENCertification runs the certification scenario of the OpenID AuthZEN working group for the Authorization
// API 1.0. Names of cases are section numbers of the scenario.
func TestAuthZENCertification(t *testing.T) {
	p, server := startPDP(t, "certification.yaml", func(c *app.Config) { c.PublicURL = "https://pdp.example.com" })

	t.Run("2.2 evaluation", func(t *testing.T) {
		for name, c := range map[string]struct {
			body string
			want bool
		}{
			"rule 1": {asking(alice, named("read"), record1), true},
			"rule 2": {asking(alice, named("write"), record1), true},
			"rule 3": {asking(bob, named("read"), record1), true},
			"rule 4": {asking(bob, named("write"), record1), false},
			"rule 5": {asking(alice, named("write"), archive), false},
			"rule 5, record 1": {
				asking(alice, named("write"), `{"type":"record","id":"record-1","properties":{"status":"archived"}}`), false,
			},
			"rule 6":              {asking(admin, named("write"), archive), true},
			"rule 7":              {asking(alice, `{"name":"delete","properties":{"soft":true}}`, record1), true},
			"rule 8":              {asking(alice, `{"name":"delete","properties":{"soft":false}}`, record1), false},
			"delete without soft": {asking(alice, named("delete"), record1), false},
			"context": {
				`{"context":{"time":"2025-06-27T18:03-07:00","ip":"192.168.1.1"},` + asking(alice, named("read"), record1)[1:],
				true,
			},
			"additional properties": {asking(`{"type":"user","id":"alice","properties":{"department":"Sales","role":"manager"}}`,
				`{"name":"read","properties":{"method":"GET"}}`, `{"type":"record","id":"record-1","properties":{"status":"active","owner":"bob"}}`), true},
			"unknown fields": {`{"foo":"bar","futureField":{"nested":true},` + asking(alice, named("read"), record1)[1:], true},
		} {
			t.Run(name, func(t *testing.T) { p.decides(t, c.want, c.body) })
		}
	})

	t.Run("2.4 errors", func(t *testing.T) {
		read := named("read")
		for name, body := range map[string]string{
			"no subject":            `{"action":` + read + `,"resource":` + record1 + `}`,
			"no action":             `{"subject":` + alice + `,"resource":` + record1 + `}`,
			"no resource":           `{"subject":` + alice + `,"action":` + read + `}`,
			"subject without type":  asking(`{"id":"alice"}`, read, record1),
			"subject without id":    asking(`{"type":"user"}`, read, record1),
			"action without name":   asking(alice, `{}`, record1),
			"resource without type": asking(alice, read, `{"id":"record-1"}`),
			"resource without id":   asking(alice, read, `{"type":"record"}`),
			"malformed":             `{"subject":`,
			"empty":                 ``,
			"subject is a string":   asking(`"alice"`, read, record1),
			"name is a number":      asking(alice, `{"name":123}`, record1),
		} {
			t.Run(name, func(t *testing.T) {
				for _, path := range []string{"evaluation", "evaluations"} {
					got := p.send(t, path, body)
					require.Equal(t, http.StatusBadRequest, got.status, got.body)
				}
			})
		}
		got := p.send(t, "evaluation", asking(alice, read, record1), "Content-Type", "text/plain")
		require.Equal(t, http.StatusBadRequest, got.status, got.body)
	})

	t.Run("2.5 headers and 2.6 idempotency", func(t *testing.T) {
		body := asking(alice, named("read"), record1)
		for _, id := range []string{
			"bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "Root=1-67891233;Self=2/a+b", strings.Repeat("long", 32),
		} {
			got := p.send(t, "evaluation", body, "X-Request-ID", id)
			require.Equal(t, id, got.header.Get("X-Request-ID"))
			got = p.send(t, "search/action", `{}`, "X-Request-ID", id)
			require.Equal(t, http.StatusBadRequest, got.status)
			require.Equal(t, id, got.header.Get("X-Request-ID"))
		}
		for range 5 {
			got := p.send(t, "evaluation", body)
			require.NotEmpty(t, got.header.Get("X-Request-ID"))
			require.JSONEq(t, `{"decision":true}`, got.body)
		}
	})

	t.Run("3 evaluations", func(t *testing.T) {
		batch := func(defaults string, items ...string) string {
			return `{` + defaults + `"evaluations":[` + strings.Join(items, ",") + `]}`
		}
		for name, c := range map[string]struct {
			body string
			want []bool
		}{
			"3.2.1": {
				batch(`"subject":`+alice+`,"action":{"name":"read"},`, `{"resource":`+record1+`}`, `{"resource":`+record2+`}`),
				[]bool{true, true},
			},
			"3.2.2": {
				batch(`"subject":`+bob+`,"resource":`+record1+`,`, `{"action":{"name":"read"}}`, `{"action":{"name":"write"}}`),
				[]bool{true, false},
			},
			"3.2.3": {
				batch(`"subject":`+alice+`,"action":{"name":"write"},`, `{"resource":`+active+`}`, `{"resource":`+archive+`}`),
				[]bool{true, false},
			},
			"3.2.4": {
				batch(`"resource":`+archive+`,"action":{"name":"write"},`, `{"subject":`+alice+`}`, `{"subject":`+admin+`}`),
				[]bool{false, true},
			},
			"3.2.5": {
				batch(``, asking(alice, named("read"), record1), asking(bob, named("write"), record1)), []bool{true, false},
			},
			"3.2.6": {batch(`"subject":`+alice+`,"action":{"name":"read"},"context":{"time":"2025-06-27T18:03-07:00"},`,
				`{"resource":`+record1+`}`, `{"resource":`+record2+`,"context":{"time":"2025-06-27T19:00-07:00","source":"batch-override"}}`), []bool{true, true}},
			"3.2.7": {batch(`"subject":`+alice+`,"action":{"name":"write"},"resource":{"type":"record"},`,
				`{"resource":{"id":"record-1","properties":{"status":"active"}}}`, `{"resource":`+archive+`}`), []bool{true, false}},
			"3.4.1": {
				batch(`"subject":`+alice+`,"action":{"name":"read"},`, `{"resource":`+record1+`}`, `{}`), []bool{true, false},
			},
		} {
			t.Run(name, func(t *testing.T) { require.Equal(t, c.want, p.decisions(t, c.body)) })
		}
		single := asking(alice, named("read"), record1)
		for _, body := range []string{
			single, `{"evaluations":[],` + single[1:], `{"options":{"evaluations_semantic":"deny_on_first_deny"},` + single[1:],
		} {
			require.Equal(t, map[string]any{"decision": true}, p.ask(t, "evaluations", body))
		}
	})

	t.Run("4 search", func(t *testing.T) {
		searched := `{"type":"user"}`
		for name, c := range map[string]struct {
			path, body string
			want       []string
		}{
			"4.2.1": {"subject", asking(searched, named("read"), record1), []string{"alice", "bob"}},
			"4.2.2": {
				"subject", `{"context":{"time":"now"},` + asking(searched, named("read"), record1)[1:], []string{"alice", "bob"},
			},
			"4.2.3, an id": {
				"subject", asking(`{"type":"user","id":7}`, named("read"), record1), []string{"alice", "bob"},
			},
			"4.2.4": {"subject", asking(searched, named("write"), archive), []string{"bob"}},
			"4.3.1": {
				"resource", asking(alice, named("read"), `{"type":"record"}`), []string{"record-1", "record-2"},
			},
			"4.3.2, an id": {
				"resource", asking(alice, named("read"), `{"type":"record","id":"record-9"}`), []string{"record-1", "record-2"},
			},
			"4.3.3": {"resource", asking(admin, named("write"), `{"type":"record"}`), []string{"record-2"}},
			"4.4.1": {
				"action", `{"subject":` + alice + `,"resource":` + record1 + `}`, []string{"read", "write"},
			},
			"4.4.2": {
				"action", `{"subject":` + alice + `,"resource":` + record1 + `,"context":{"time":"now"}}`,
				[]string{"read", "write"},
			},
			"4.4.3": {"action", `{"subject":` + admin + `,"resource":` + archive + `}`, []string{"write"}},
			"an action is ignored": {
				"action", `{"subject":` + alice + `,"resource":` + record1 + `,"action":7}`, []string{"read", "write"},
			},
			"4.6.1": {
				"action", `{"subject":{"type":"user","id":"nonexistent-user"},"resource":` + record1 + `}`, nil,
			},
			"4.6.2":            {"subject", asking(`{"type":"spaceship"}`, named("read"), record1), nil},
			"unknown resource": {"subject", asking(searched, named("read"), `{"type":"record","id":"record-9"}`), nil},
			"unknown action":   {"resource", asking(alice, named("fly"), `{"type":"record"}`), nil},
			"unknown types": {
				"resource", asking(`{"type":"spaceship","id":"x"}`, named("read"), `{"type":"planet"}`), nil,
			},
			"unknown type":         {"action", `{"subject":` + alice + `,"resource":{"type":"planet","id":"x"}}`, nil},
			"unknown subject type": {"action", `{"subject":{"type":"spaceship","id":"x"},"resource":` + record1 + `}`, nil},
			"id of 300 bytes": {
				"resource", asking(`{"type":"user","id":"`+strings.Repeat("x", 300)+`"}`, named("read"), `{"type":"record"}`), nil,
			},
		} {
			t.Run(name, func(t *testing.T) {
				for _, limit := range []int{-1, 1, 2, 5000} {
					found, pages := p.finds(t, c.path, c.body, limit)
					require.ElementsMatch(t, c.want, found)
					if limit == 1 {
						require.Equal(t, max(1, len(c.want)), pages)
					} else {
						require.Equal(t, 1, pages)
					}
				}
			})
		}
		require.Equal(t, map[string]any{"results": []any{}, "page": map[string]any{"next_token": "", "count": 0.0}},
			p.ask(t, "search/subject", asking(`{"type":"spaceship"}`, named("read"), record1)))
	})

	t.Run("6 discovery", func(t *testing.T) {
		request, err := http.NewRequestWithContext(
			t.Context(), http.MethodGet, server.URL+"/.well-known/authzen-configuration", nil,
		)
		require.NoError(t, err)
		response, err := p.client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, "application/json", response.Header.Get("Content-Type"))
		status, answer := call(t, server, http.MethodGet, "/.well-known/authzen-configuration", "")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, map[string]any{
			"policy_decision_point":       "https://pdp.example.com",
			"access_evaluation_endpoint":  "https://pdp.example.com/access/v1/evaluation",
			"access_evaluations_endpoint": "https://pdp.example.com/access/v1/evaluations",
			"search_subject_endpoint":     "https://pdp.example.com/access/v1/search/subject",
			"search_resource_endpoint":    "https://pdp.example.com/access/v1/search/resource",
			"search_action_endpoint":      "https://pdp.example.com/access/v1/search/action",
		}, answer)
	})
}
