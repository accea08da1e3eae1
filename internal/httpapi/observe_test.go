package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
)

// TestRequestIDsAreShortAndSafe sends request ids with and without a key, to calls of the product and of AuthZEN.
func TestRequestIDsAreShortAndSafe(t *testing.T) {
	w := serve(t)
	made := make(map[string]bool)
	for sent, kept := range map[string]bool{
		"": false, "r1": true, "7f9c-2ba4:e8/8f": true, "Root=1-67a;Self=2+b,c@d_.~": true, strings.Repeat("x", 128): true,
		strings.Repeat("x", 129): false, strings.Repeat("x", 60_000): false, "a b": false, "a\tb": false, "é": false,
		`a"b`: false, "a{b": false, "<b>": false,
	} {
		header := make(http.Header)
		if sent != "" {
			header["X-Request-Id"] = []string{sent}
		}
		for _, r := range []request{
			{method: "GET", path: "/v1/accounts/acme", key: operateKey, actor: "alice"},
			{method: "POST", path: "/access/v1/evaluation", key: checkKey, body: `{}`},
			{method: "POST", path: "/access/v1/evaluation", body: `{}`},
			{method: "GET", path: "/healthz"},
			{method: "GET", path: "/nowhere"},
		} {
			r.header = header.Clone()
			res := w.do(t, r)
			got := res.header.Get("X-Request-Id")
			if (got == sent) != kept || got == "" || len(got) > 128 || !kept && made[got] {
				t.Errorf("%s: sent %q, echoed %q", r.path, sent, got)
			}
			made[got] = true
			if r.actor != "" && w.operations.caller.RequestID != got {
				t.Errorf("the operation has the request id %q, the answer %q", w.operations.caller.RequestID, got)
			}
			if !strings.Contains(w.log.String(), `"request_id":"`+got+`"`) {
				t.Errorf("the log lacks the request id %q", got)
			}
		}
	}
	if strings.Contains(w.log.String(), strings.Repeat("x", 129)) {
		t.Error("the log has an id that is too long")
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	w := serve(t)
	for _, path := range []string{"/healthz", "/nowhere", "/v1/role-sets"} {
		header := w.do(t, request{method: "GET", path: path, key: checkKey}).header
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" ||
			header.Get("X-Request-Id") == "" {
			t.Errorf("%s answered with %v", path, header)
		}
	}
}

func TestAccessLogHasRoutesAndNoSecrets(t *testing.T) {
	w := serve(t)
	secrets := []string{
		"acct-17", "eve@example.com", "mallory", "curs0r", "nowhere", "qwerty", checkKey, operateKey, "wrong-key",
	}
	for _, r := range []request{
		{
			method: "PUT", path: "/v1/accounts/acct-17/members/eve@example.com", key: operateKey, actor: "mallory",
			body: `{"roles":["guest"]}`,
		},
		{method: "GET", path: "/v1/accounts/acct-17/members?cursor=curs0r", key: operateKey, actor: "mallory"},
		{method: "GET", path: "/v1/accounts/acct-17?qwerty=1", key: operateKey, actor: "mallory"},
		{method: "GET", path: "/nowhere/qwerty", key: checkKey},
		{method: "GET", path: "/v1/accounts/acct-17", key: "wrong-key"},
		{
			method: "POST", path: "/v1/check", key: checkKey,
			body: `{"subject":"user:eve@example.com","permission":"view","resource":"account:acct-17"}`,
		},
		{method: "GET", path: "/healthz"},
	} {
		w.do(t, r)
	}
	for _, secret := range secrets {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log contains %q: %s", secret, w.log)
		}
	}
	var lines []map[string]any
	for line := range strings.Lines(w.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, entry)
	}
	want := []struct {
		level, method, route, outcome, key string
		status                             float64
	}{
		{"INFO", "PUT", "/v1/accounts/{id}/members/{user}", "ok", "operate-key", 200},
		{"INFO", "GET", "/v1/accounts/{id}/members", "invalid", "operate-key", 400},
		{"INFO", "GET", "/v1/accounts/{id}", "invalid", "operate-key", 400},
		{"INFO", "GET", "unmatched", "not_found", "check-key", 404},
		{"INFO", "GET", "/v1/accounts/{id}", "unauthenticated", "", 401},
		{"INFO", "POST", "/v1/check", "ok", "check-key", 200},
		{"DEBUG", "GET", "/healthz", "ok", "", 200},
	}
	if len(lines) != len(want) {
		t.Fatalf("the log has %d lines, want %d: %s", len(lines), len(want), w.log)
	}
	for i, tt := range want {
		got := lines[i]
		if got["msg"] != "request" || got["level"] != tt.level || got["method"] != tt.method || got["route"] != tt.route || got["status"] != tt.status ||
			got["outcome"] != tt.outcome || got["key"] != tt.key || got["request_id"] == "" ||
			got["duration_ms"] == nil ||
			got["bytes"] == 0.0 {
			t.Errorf("line %d is %v, want %+v", i, got, tt)
		}
	}
}

func TestMetrics(t *testing.T) {
	w := serve(t)
	answers := map[authz.ID]authz.State{"yes": authz.Allowed, "maybe": authz.Conditional}
	w.engine.check = func(_ context.Context, check authz.Check, _ authz.Consistency) (authz.Decision, authz.Token, error) {
		if check.Resource.ID == "broken" {
			return authz.Decision{}, "", errors.New("broken")
		}
		d := authz.Decision{State: answers[check.Resource.ID]}
		if d.State == authz.Conditional {
			d.MissingContext = []string{"x"}
		}
		return d, "t1", nil
	}
	for _, id := range []string{"yes", "no", "no", "maybe", "broken"} {
		w.do(
			t,
			request{
				method: "POST", path: "/v1/check", key: checkKey,
				body: `{"subject":"user:a","permission":"view","resource":"importer:` + id + `"}`,
			},
		)
	}
	w.do(
		t,
		request{
			method: "POST", path: "/v1/check/bulk", key: checkKey,
			body: `{"checks":[{"subject":"user:a","permission":"view","resource":"importer:i"},{}]}`,
		},
	)
	w.do(t, getAccount)
	w.operations.err = authz.Errorf(authz.CodeConflict, "taken")
	w.do(t, getAccount)
	w.do(t, request{method: "GET", path: "/v1/some/path", key: checkKey})
	w.do(t, request{method: "BREW", path: "/v1/check", key: checkKey})
	w.config.Metrics.ObserveEngine("Check", time.Millisecond, nil)
	w.config.Metrics.ObserveEngine("Check", time.Millisecond, authz.Errorf(authz.CodeUnavailable, "away"))

	res := w.do(t, request{method: "GET", path: "/metrics", key: inspectKey})
	for _, line := range []string{
		`sluice_decisions_total{answer="allowed"} 1`,
		`sluice_decisions_total{answer="denied"} 3`,
		`sluice_decisions_total{answer="conditional"} 1`,
		`sluice_decisions_total{answer="error"} 2`,
		`sluice_operations_total{operation="getAccount",outcome="ok"} 1`,
		`sluice_operations_total{operation="getAccount",outcome="conflict"} 1`,
		`sluice_http_requests_total{method="GET",route="/v1/accounts/{id}",status="200"} 1`,
		`sluice_http_requests_total{method="GET",route="unmatched",status="404"} 1`,
		`sluice_http_requests_total{method="other",route="unmatched",status="405"} 1`,
		`sluice_http_request_duration_seconds_count{method="POST",route="/v1/check"} 5`,
		`sluice_engine_duration_seconds_count{method="Check",outcome="ok"} 1`,
		`sluice_engine_duration_seconds_count{method="Check",outcome="unavailable"} 1`,
	} {
		if !strings.Contains(res.body, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
	for _, input := range []string{"acme", "some/path", "BREW"} {
		if strings.Contains(res.body, input) {
			t.Errorf("the metrics contain %q", input)
		}
	}
}

func TestContractNamesThePublicAddress(t *testing.T) {
	const address = `https://sluice.example.com:8443/a"b`
	w := serve(t, func(c *httpapi.Config) { c.PublicURL = address })
	res := w.do(t, request{method: "GET", path: "/openapi.yaml"})
	contract, err := openapi3.NewLoader().LoadFromData([]byte(res.body))
	if err != nil {
		t.Fatal(err)
	}
	if len(contract.Servers) != 1 || contract.Servers[0].URL != address {
		t.Errorf("the contract names %+v", contract.Servers)
	}
}

func TestTraces(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	w := serve(t, func(c *httpapi.Config) { c.Tracing = provider })
	w.do(t, request{method: "GET", path: "/v1/accounts/acct-17", key: operateKey, actor: "alice"})
	w.do(t, request{method: "GET", path: "/nowhere", key: operateKey})
	if len(spans.Ended()) != 2 {
		t.Fatalf("there are %d spans, want 2", len(spans.Ended()))
	}
	if got := spans.Ended()[0].Name(); !strings.Contains(got, "/v1/accounts/:id") {
		t.Errorf("the span is called %q", got)
	}
	for _, span := range spans.Ended() {
		for _, attribute := range span.Attributes() {
			for _, secret := range []string{"acct-17", "nowhere", operateKey, "alice"} {
				if strings.Contains(attribute.Value.Emit(), secret) {
					t.Errorf("the span contains %s = %s", attribute.Key, attribute.Value.Emit())
				}
			}
		}
	}
}

func TestNewRequiresItsDependencies(t *testing.T) {
	w := serve(t)
	for name, remove := range map[string]func(*httpapi.Config){
		"Engine": func(c *httpapi.Config) { c.Engine = nil }, "Explainer": func(c *httpapi.Config) { c.Explainer = nil },
		"Definitions": func(c *httpapi.Config) { c.Definitions = nil },
		"Ready":       func(c *httpapi.Config) { c.Ready = nil }, "Keys": func(c *httpapi.Config) { c.Keys = nil },
	} {
		config := w.config
		remove(&config)
		if _, err := httpapi.New(config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s the error is %v", name, err)
		}
	}
	config := w.config
	config.Logger, config.Metrics, config.PublicURL = nil, nil, ""
	if _, err := httpapi.New(config); err != nil {
		t.Error(err)
	}
}
