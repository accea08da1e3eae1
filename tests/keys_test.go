package tests

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestNothingAnswersWithoutKey sends requests without an API key: every method to every path of the contract, and to
// unknown paths.
func TestNothingAnswersWithoutKey(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	open := map[string]bool{}
	paths := []string{
		"/", "/v1", "/v1/", "/v1/nothing", "/v1/check/", "/v1/accounts/a/b/c/d", "/debug/pprof/", "/favicon.ico",
	}
	for _, e := range endpoints(t) {
		open[e.method+" "+e.at(s.id("x"))] = e.open
		paths = append(paths, e.at(s.id("x")))
	}
	for _, authorization := range []string{
		"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + masterKey, masterKey, "Bearer " + masterKey + "x",
		"Bearer " + masterKey[1:],
	} {
		for _, path := range slices.Compact(paths) {
			for _, method := range methods {
				if authorization != "" && !slices.ContainsFunc(
					endpoints(t), func(e endpoint) bool { return e.method == method && e.at(s.id("x")) == path },
				) {
					continue
				}
				request := s.withKey("").as(s.id("olga")).request(method, path, nil)
				if authorization != "" {
					request.Header.Set("Authorization", authorization)
				}
				answer := s.send(request)
				switch openPath := open["GET "+path]; {
				case openPath && (method == http.MethodGet || method == http.MethodHead):
					if answer.status != http.StatusOK {
						t.Errorf("%s with %q: %d, want 200", answer.request, authorization, answer.status)
					}
				case openPath:
					if answer.status < 400 && method != http.MethodOptions || answer.status >= 500 {
						t.Errorf("%s with %q: %d", answer.request, authorization, answer.status)
					}
				case answer.status != http.StatusUnauthorized:
					t.Errorf("%s with %q: %d, want 401", answer.request, authorization, answer.status)
				case method != http.MethodHead && answer.problem().Code != "unauthenticated":
					t.Errorf("%s with %q: %s", answer.request, authorization, answer.body)
				case answer.header.Get("WWW-Authenticate") == "":
					t.Errorf("%s with %q has no WWW-Authenticate", answer.request, authorization)
				}
			}
		}
	}
	if stored := s.stored(); len(stored) > 0 {
		t.Errorf("requests without a key wrote: %s", stored)
	}
}

// TestScopes sends a request to every endpoint of the contract, with a key of each scope. If the endpoint needs
// another scope, the answer must be forbidden.
func TestScopes(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	keys := map[string]string{
		"check": checkKey, "operate": operateKey, "provision": provisionKey, "inspect": inspectKey, "write": writeKey,
	}
	for _, e := range endpoints(t) {
		if e.open {
			continue
		}
		for scope, key := range keys {
			from := s.caller.withKey(key)
			if e.has("Sluice-Actor") && scope != "provision" { // the scope provision needs no actor
				from = from.as(s.id("nobody"))
			}
			var body any
			if e.body() != nil {
				body = map[string]any{} // the body lacks required fields, so nothing is written
			}
			answer := from.call(e.method, e.at(s.id("x")), body)
			allowed := len(e.scopes) == 0 || slices.Contains(e.scopes, scope)
			refused := answer.status == http.StatusForbidden && strings.Contains(
				answer.problem().Detail, "needs a key with the scope",
			)
			if refused == allowed || answer.status == http.StatusUnauthorized {
				t.Errorf("%s with the scope %s: %d %s", e, scope, answer.status, answer.body)
			}
			if !allowed && !strings.Contains(answer.problem().Detail, e.scopes[0]) {
				t.Errorf("%s with the scope %s does not say that it needs %s: %s", e, scope, e.scopes, answer.body)
			}
		}
	}
	s.must(http.MethodDelete, "platform/administrators/"+s.id("x"), nil)
	if stored := s.stored(); len(stored) > 0 {
		t.Errorf("the requests wrote: %s", stored)
	}
}

// TestBackendCallsRejectActors sends an actor to every endpoint that only the backend itself may call. The endpoint
// must reject the request.
func TestBackendCallsRejectActors(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	calls := 0
	for _, e := range endpoints(t) {
		if !slices.Contains(e.scopes, "provision") || e.has("Sluice-Actor") {
			continue
		}
		calls++
		var body any
		if e.body() != nil {
			body = e.example(t)
		}
		answer := s.by("olga").call(e.method, e.at(s.id("x")), body)
		if answer.problem().Code != "invalid" || !strings.Contains(answer.problem().Detail, "Sluice-Actor must be left out") {
			t.Errorf("%s with an actor: %d %s", e, answer.status, answer.body)
		}
		preview := s.by("olga").preview(e.method, strings.TrimPrefix(e.at(s.id("x")), "/v1/"), body)
		if preview.problem().Code != "invalid" || !strings.Contains(
			preview.problem().Detail, "Sluice-Actor must be left out",
		) {
			t.Errorf("the preview of %s with an actor: %d %s", e, preview.status, preview.body)
		}
	}
	if calls < 5 {
		t.Errorf("only %d endpoints are for the backend itself", calls)
	}
	if stored := s.stored(); len(stored) > 0 {
		t.Errorf("the requests wrote: %s", stored)
	}
}

// TestActorIsNeeded sends every operation without an actor. The server must reject each.
func TestActorIsNeeded(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, e := range endpoints(t) {
		actor := e.operation.Parameters.GetByInAndName("header", "Sluice-Actor")
		// Endpoints without the scope operate accept an actor, but do not need one: it is the reader of the answer.
		if actor == nil || !slices.Contains(e.scopes, "operate") {
			continue
		}
		var body any
		if e.body() != nil {
			body = e.example(t)
		}
		key := operateKey
		answer := s.withKey(key).call(e.method, e.at(s.id("x")), body)
		if answer.status != http.StatusBadRequest || !strings.Contains(answer.problem().Detail, "Sluice-Actor") {
			t.Errorf("%s without an actor: %d %s", e, answer.status, answer.body)
		}
	}
}
