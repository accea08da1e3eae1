package apitest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/api/apitest"
)

// witness is used instead of a test, and records how the test would have failed.
type witness struct {
	testing.TB
	failure string
}

func (w *witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) { w.failure += fmt.Sprintf(format, args...) }

type answer struct {
	status      int
	contentType string
	body        string
	header      http.Header
}

func (a answer) RoundTrip(req *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {a.contentType}, "X-Request-Id": {"r1"}}
	for name, values := range a.header {
		header[name] = values
	}
	return &http.Response{
		StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body)), Request: req,
	}, nil
}

func TestTransport(t *testing.T) {
	const (
		json    = "application/json"
		problem = "application/problem+json"
		check   = `{"subject":"user:a","permission":"view","resource":"importer:i"}`
	)
	document := func(status int, code string) string {
		return fmt.Sprintf(`{"type":"urn:x","title":"t","status":%d,"detail":"d","code":%q,"request_id":"r1"}`, status, code)
	}
	for _, tt := range []struct {
		name, method, path, sent string
		answer                   answer
		failure                  string // text of the expected failure; empty if the exchange complies with the contract
	}{
		{"decision", "POST", "/v1/check", check, answer{200, json, `{"allowed":true,"token":"t"}`, nil}, ""},
		{"missing field", "POST", "/v1/check", check, answer{200, json, `{"allowed":true}`, nil}, "token"},
		{
			"undocumented field", "POST", "/v1/check", check,
			answer{200, json, `{"allowed":true,"token":"t","extra":1}`, nil},
			"extra",
		},
		{"wrong type", "POST", "/v1/check", check, answer{200, json, `{"allowed":"yes","token":"t"}`, nil}, "allowed"},
		{
			"wrong content type", "POST", "/v1/check", check,
			answer{200, "text/html", `{"allowed":true,"token":"t"}`, nil},
			"Content-Type",
		},
		{
			"accepted nonsense", "POST", "/v1/check", `{"subject":1}`,
			answer{200, json, `{"allowed":true,"token":"t"}`, nil},
			"accepted a request that the contract forbids",
		},
		{"undocumented status", "POST", "/v1/check", check, answer{204, json, ``, nil}, "204"},
		{"problem", "POST", "/v1/check", `{`, answer{400, problem, document(400, "invalid"), nil}, ""},
		{"problem of an unknown code", "POST", "/v1/check", `{`, answer{400, problem, document(400, "oops"), nil}, "code"},
		{
			"problem of another status", "POST", "/v1/check", `{`, answer{405, problem, document(405, "invalid"), nil}, "status",
		},
		{
			"problem that names another status", "POST", "/v1/check", `{`,
			answer{400, problem, document(405, "invalid"), nil},
			"status",
		},
		{
			"problem of another content type", "POST", "/v1/check", `{`,
			answer{400, json, document(400, "invalid"), nil},
			"Content-Type",
		},
		{
			"missing header", "GET", "/v1/role-sets", "",
			answer{401, problem, document(401, "unauthenticated"), nil},
			"WWW-Authenticate",
		},
		{
			"given header", "GET", "/v1/role-sets", "",
			answer{401, problem, document(401, "unauthenticated"), http.Header{"Www-Authenticate": {"Bearer"}}},
			"",
		},
		{
			"no request id", "GET", "/healthz", "",
			answer{200, json, `{"status":"ok"}`, http.Header{"X-Request-Id": nil}},
			"X-Request-ID",
		},
		{"unknown path", "GET", "/nowhere", "", answer{404, problem, document(404, "not_found"), nil}, ""},
		{"unknown path, plain", "GET", "/nowhere", "", answer{404, "text/plain", "404 page not found", nil}, "Content-Type"},
		{"unknown path, answered", "GET", "/nowhere", "", answer{200, json, "{}", nil}, "no such call"},
		{
			"id with a slash", "GET", "/v1/accounts/a%2Fb/members", "",
			answer{404, problem, document(404, "not_found"), nil},
			"",
		},
		{
			"operation without actor", "GET", "/v1/accounts/a%2Fb", "",
			answer{200, json, `{"id":"a/b","subscription":"s","role_set":"team","token":"t"}`, nil},
			"Sluice-Actor",
		},
		{"stream", "GET", "/v1/events", "", answer{200, "text/event-stream", "", nil}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &witness{TB: t}
			var body io.Reader
			if tt.sent != "" {
				body = strings.NewReader(tt.sent)
			}
			req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://host"+tt.path, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", json)
			res, err := apitest.Transport(w, tt.answer).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(res.Body); err != nil || string(got) != tt.answer.body {
				t.Errorf("the body became %q, %v", got, err)
			}
			if err := res.Body.Close(); err != nil {
				t.Error(err)
			}
			if (w.failure == "") != (tt.failure == "") || !strings.Contains(w.failure, tt.failure) {
				t.Errorf("the test failed with %q, want %q", w.failure, tt.failure)
			}
		})
	}
}
