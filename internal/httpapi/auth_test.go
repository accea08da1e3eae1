package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/api"
	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"

	"github.com/getkin/kin-openapi/openapi3"
)

type contractCall struct {
	method, path string
	operation    *openapi3.Operation
}

// allCalls returns all calls of the contract, with ids in their paths.
func allCalls(t *testing.T) []contractCall {
	t.Helper()
	var calls []contractCall
	contract, err := openapi3.NewLoader().LoadFromData(api.Contract)
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range contract.Paths.Map() {
		for method, operation := range item.Operations() {
			calls = append(
				calls,
				contractCall{method, strings.NewReplacer("{id}", "x", "{user}", "y").Replace(path), operation},
			)
		}
	}
	return calls
}

func TestOnlyOpenPathsNeedNoKey(t *testing.T) {
	w := serve(t)
	open := map[string]bool{
		"/healthz": true, "/readyz": true, "/openapi.yaml": true, "/.well-known/authzen-configuration": true,
		"/": true, "/docs": true, "/docs/start.js": true, "/docs/swagger-ui.js": true, "/docs/swagger-ui.css": true,
	}
	for _, call := range allCalls(t) {
		for _, key := range []string{"", "wrong", "check-key", "Secret-of-check"} {
			res := w.do(t, request{method: call.method, path: call.path, key: key, actor: "alice"})
			if open[call.path] {
				if res.status != http.StatusOK {
					t.Errorf("%s with the key %q answered %d", call.path, key, res.status)
				}
				continue
			}
			res.wantProblem(t, 401, "unauthenticated", "key")
			if got := res.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		}
	}
	for _, r := range []request{{method: "GET", path: "/nowhere"}, {method: "DELETE", path: "/v1/check"}} {
		w.do(t, r).wantProblem(t, 401, "unauthenticated")
	}
	if w.operations.name != "" {
		t.Errorf("the operation %s was performed", w.operations.name)
	}
}

func TestAuthorizationHeader(t *testing.T) {
	w := serve(t)
	for _, tt := range []struct {
		header []string
		status int
	}{
		{[]string{"Bearer " + inspectKey}, 200},
		{[]string{"bearer " + inspectKey}, 200},
		{[]string{"BEARER  " + inspectKey}, 200},
		{[]string{"Basic " + inspectKey}, 401},
		{[]string{inspectKey}, 401},
		{[]string{"Bearer"}, 401},
		{[]string{"Bearer " + inspectKey + "x"}, 401},
		{[]string{"Bearer " + inspectKey[:5]}, 401},
		{[]string{"Bearer " + inspectKey, "Bearer " + inspectKey}, 401},
	} {
		res := w.do(t, request{method: "GET", path: "/v1/role-sets", header: http.Header{"Authorization": tt.header}})
		if res.status != tt.status {
			t.Errorf("%q answered %d, want %d", tt.header, res.status, tt.status)
		}
	}
}

func TestScopes(t *testing.T) {
	w := serve(t)
	for _, call := range allCalls(t) {
		scopes, closed := call.operation.Extensions["x-scopes"].([]any)
		if !closed {
			continue
		}
		for _, scope := range apikey.AllScopes.Names() {
			allowed := len(scopes) == 0
			for _, s := range scopes {
				allowed = allowed || s == scope
			}
			r := request{method: call.method, path: call.path, key: "secret-of-" + scope, actor: "alice"}
			if scope == "provision" && call.operation.OperationID != "preview" {
				r.actor = ""
			}
			res := w.do(t, r)
			if allowed == (res.status == http.StatusForbidden) {
				t.Errorf("%s %s with the scope %s answered %d %s", call.method, call.path, scope, res.status, res.body)
			}
			if !allowed {
				res.wantProblem(t, 403, "forbidden", fmt.Sprint("needs a key with the scope ", scopes[0]))
			}
		}
	}
}

func TestOperationsRequireAnActorWithEveryKey(t *testing.T) {
	w := serve(t, func(c *httpapi.Config) {
		var err error
		if c.Keys, err = apikey.New(
			apikey.Key{Name: "all", Scopes: apikey.AllScopes, Hash: apikey.HashOf("all")},
		); err != nil {
			t.Fatal(err)
		}
	})
	w.do(t, request{method: "GET", path: "/v1/accounts/acme", key: "all"}).wantProblem(
		t, 400, "invalid", "Sluice-Actor", "missing",
	)
	w.do(t, request{method: "DELETE", path: "/v1/accounts/acme", key: "all"}).wantProblem(
		t, 400, "invalid", "Sluice-Actor", "missing",
	)
	if w.do(t, request{method: "GET", path: "/v1/users/bob/accounts", key: "all"}); w.operations.args[1] != true {
		t.Errorf("the operation got %v, want inspect to be true", w.operations.args)
	}
}

func TestActor(t *testing.T) {
	w := serve(t)
	get := func(path, key string, actor ...string) response {
		header := make(http.Header)
		for _, value := range actor {
			header.Add("Sluice-Actor", value)
		}
		return w.do(t, request{method: "GET", path: path, key: key, header: header})
	}
	get("/v1/accounts/acme", operateKey).wantProblem(t, 400, "invalid", "Sluice-Actor", "missing")
	get("/v1/accounts/acme", operateKey, "a", "b").wantProblem(t, 400, "invalid", "Sluice-Actor", "more than once")
	get("/v1/accounts/acme", operateKey, "").wantProblem(t, 400, "invalid", "Sluice-Actor", "empty")
	get("/v1/accounts/acme", operateKey, "50%").wantProblem(t, 400, "invalid", "Sluice-Actor", "percent-escape")
	get("/v1/accounts/acme", operateKey, "%FF").wantProblem(t, 400, "invalid", "Sluice-Actor", "UTF-8")
	get("/v1/accounts/acme", operateKey, "\xff").wantProblem(t, 400, "invalid", "Sluice-Actor", "UTF-8")
	get("/v1/accounts/acme", operateKey, strings.Repeat("a", 257)).wantProblem(t, 400, "invalid", "Sluice-Actor", "256")
	get(
		"/v1/accounts/acme",
		operateKey,
		"olg%61",
	).wantProblem(
		t,
		400,
		"invalid",
		"Sluice-Actor",
		"must be written olga:",
	)
	get("/v1/accounts/acme", operateKey, "%c3%bc").wantProblem(
		t, 400, "invalid", "Sluice-Actor", "must be written %C3%BC:",
	)
	get("/v1/accounts/acme", operateKey, "ü").wantProblem(t, 400, "invalid", "Sluice-Actor", "must be written %C3%BC:")
	get("/v1/accounts/acme", operateKey, "user%3Aolga").wantProblem(
		t, 400, "invalid", "Sluice-Actor", "must be written user:olga:",
	)
	get("/v1/accounts/acme", operateKey, "ada%40example.com").wantProblem(
		t, 400, "invalid", "Sluice-Actor", "must be written ada@example.com:",
	)
	get("/v1/accounts/acme", operateKey, "a%2Fb").wantProblem(t, 400, "invalid", "Sluice-Actor", "must be written a/b:")
	get("/v1/accounts/acme", operateKey, "a,b").wantProblem(t, 400, "invalid", "Sluice-Actor", "must be written a%2Cb:")
	get("/v1/accounts/acme", operateKey, "a%20").wantProblem(t, 400, "invalid", "Sluice-Actor", "end with a space")
	get("/v1/accounts/acme", operateKey, "%20").wantProblem(t, 400, "invalid", "Sluice-Actor", "space")
	get("/v1/accounts/acme", operateKey, "a%00").wantProblem(t, 400, "invalid", "Sluice-Actor", "U+0000")
	get("/v1/accounts/acme", operateKey, "a%C2%85").wantProblem(t, 400, "invalid", "Sluice-Actor", "U+0085")
	get("/v1/accounts/acme", operateKey, "account:acme").wantProblem(t, 400, "invalid", "Sluice-Actor", "account:")
	get("/v1/accounts/acme", operateKey, "group:data-team").wantProblem(
		t, 400, "invalid", "Sluice-Actor", `"group:data-team" cannot act`, "service_account:ID",
	)
	get("/v1/accounts/acme", operateKey, "service_account:").wantProblem(t, 400, "invalid", "Sluice-Actor", "empty")
	get("/v1/accounts/acme", operateKey, "service_account:user:bob").wantProblem(
		t, 400, "invalid", "Sluice-Actor", "must not begin with the name of a type",
	)
	get("/v1/accounts/acme", operateKey, "service_account%3Anightly").wantProblem(
		t, 400, "invalid", "Sluice-Actor", "must be written service_account:nightly:",
	)
	get("/v1/users/bob/accounts", operateKey).wantProblem(t, 400, "invalid", "Sluice-Actor", "missing")
	if w.operations.name != "" {
		t.Fatalf("the operation %s was performed", w.operations.name)
	}

	for _, actor := range []string{"bob", "user:bob"} {
		if get("/v1/accounts/acme", operateKey, actor); w.operations.caller.Actor != "bob" {
			t.Errorf("%s is %q, want bob", actor, w.operations.caller.Actor)
		}
	}
	for actor, want := range map[string]authz.Actor{
		"service_account:nightly": "service_account:nightly", "service_account:a%2Cb": "service_account:a,b",
		"ada@example.com": "ada@example.com", "a/b": "a/b", "a%2Cb": "a,b", "50%25": "50%",
	} {
		if get("/v1/accounts/acme", operateKey, actor); w.operations.caller.Actor != want {
			t.Errorf("%s is %q, want %q", actor, w.operations.caller.Actor, want)
		}
	}
	if get("/v1/users/user:bob/accounts", operateKey, "bob"); w.operations.args[0] != authz.ID("bob") {
		t.Errorf("user:bob in the path is %v, want bob", w.operations.args[0])
	}
	if get("/v1/users/bob/accounts", inspectKey); w.operations.args[1] != true || w.operations.caller.Actor != "" {
		t.Errorf("the operation got %v from %v, want inspect to be true and no actor", w.operations.args, w.operations.caller)
	}
	if get(
		"/v1/users/bob/accounts", operateKey, "bob",
	); w.operations.args[1] != false || w.operations.caller.Actor != "bob" {
		t.Errorf("the operation got %v from %v, want inspect to be false and the actor bob", w.operations.args, w.operations.caller)
	}
}

// unusualIDs has ids that cause an error if the code does not escape them correctly in a path, header or query.
var unusualIDs = []string{
	"a", "alice@example.com", "a/b", "/", "a b", "100%", "%41", "%2541", "a+b", "a=b&c", "a#b", "a?b", "*", ".", "..",
	"a/../b", "ключ", "名前", "😀",
	"a,b;c", `"quoted"`, "a\\b", ":", ":id", "members", "urn:a:b", "e\u0301", strings.Repeat("x", 256),
}

func TestIDsReachOperationsUnchanged(t *testing.T) {
	w := serve(t)
	for _, id := range unusualIDs {
		for _, escape := range []func(string) string{url.PathEscape, escapeEverything} {
			res := w.do(
				t,
				request{
					method: "DELETE", path: "/v1/accounts/" + escape(id) + "/members/" + escape(id), key: operateKey,
					actor: authz.EscapeHeader(id),
				},
			)
			if res.status != http.StatusOK {
				t.Errorf("%q answered %d %s", id, res.status, res.body)
				continue
			}
			if w.operations.name != "RemoveAccountMember" || w.operations.args[0] != authz.ID(id) ||
				w.operations.args[1] != authz.ID(id) || w.operations.caller.Actor != authz.Actor(id) {
				t.Errorf(
					"%q arrived as %s %q by %q",
					id,
					w.operations.name,
					w.operations.args,
					w.operations.caller.Actor,
				)
			}
		}
	}
}

// escapeEverything percent-encodes every byte, even if it needs no escaping.
func escapeEverything(s string) string {
	var b strings.Builder
	for i := range len(s) {
		const digits = "0123456789abcdef"
		b.WriteString("%" + string(digits[s[i]>>4]) + string(digits[s[i]&15]))
	}
	return b.String()
}

func TestIDsInPathsAreChecked(t *testing.T) {
	w := serve(t)
	for path, words := range map[string]string{
		"/v1/accounts/%FF":                                   "the id in the path: an id must be valid UTF-8",
		"/v1/accounts/acme/members/%C3%28":                   "the user in the path",
		"/v1/accounts/" + strings.Repeat("%F0%9F%98%80", 65): "at most 256 bytes",
		"/v1/accounts//members/bob":                          "must not be empty",
	} {
		w.do(
			t,
			request{method: "DELETE", path: path, key: operateKey, actor: "alice"},
		).wantProblem(
			t,
			400,
			"invalid",
			words,
		)
	}
	if w.operations.name != "" {
		t.Errorf("the operation %s was performed", w.operations.name)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	w := serve(t)
	for _, path := range []string{
		"/v1", "/v1/", "/v2/check", "/v1/check/", "/v1/accounts/", "/v1/accounts/acme/", "/V1/check", "/v1/%63heck",
		"//v1/check", "/v1/accounts/a/members/b/c",
	} {
		w.do(t, request{method: "GET", path: path, key: checkKey}).wantProblem(t, 404, "not_found", "/openapi.yaml")
	}
	for _, tt := range []struct{ method, path, allow string }{
		{"GET", "/v1/check", "POST"},
		{"POST", "/v1/accounts/acme", "DELETE, GET, HEAD"},
		{"OPTIONS", "/v1/check", "POST"},
		{"BREW", "/v1/check", "POST"},
	} {
		res := w.do(t, request{method: tt.method, path: tt.path, key: checkKey})
		res.wantProblem(t, 405, "method_not_allowed", tt.method)
		if got := res.header.Get("Allow"); !sameList(got, tt.allow) {
			t.Errorf("%s %s allows %q, want %q", tt.method, tt.path, got, tt.allow)
		}
	}
	w.do(t, request{method: "POST", path: "/healthz"}).wantProblem(t, 405, "method_not_allowed", "POST")
}

func sameList(a, b string) bool {
	have := make(map[string]bool)
	for part := range strings.SplitSeq(a, ", ") {
		have[part] = true
	}
	for part := range strings.SplitSeq(b, ", ") {
		if !have[part] {
			return false
		}
		delete(have, part)
	}
	return len(have) == 0
}

func TestKeysAreReplacedWhileTheServerRuns(t *testing.T) {
	w := serve(t)
	next, err := apikey.Parse("next:check:next-secret")
	if err != nil {
		t.Fatal(err)
	}
	old, fresh := request{method: "GET", path: "/v1/role-sets", key: checkKey}, request{
		method: "GET", path: "/v1/role-sets", key: "next-secret",
	}
	if got := w.do(t, old).status; got != 200 {
		t.Errorf("the old key answered %d before", got)
	}
	w.do(t, fresh).wantProblem(t, 401, "unauthenticated")
	if err := w.config.Keys.Replace([]apikey.Key{next}); err != nil {
		t.Fatal(err)
	}
	w.do(t, old).wantProblem(t, 401, "unauthenticated")
	if got := w.do(t, fresh).status; got != 200 {
		t.Errorf("the new key answered %d after", got)
	}
}

func TestRate(t *testing.T) {
	limited := apikey.Key{
		Name: "slow", Scopes: apikey.Check, Hash: apikey.HashOf("slow-secret"), Rate: apikey.Rate{Requests: 2, Per: 60e9},
	}
	w := serve(t, func(c *httpapi.Config) {
		var err error
		if c.Keys, err = apikey.New(limited); err != nil {
			t.Fatal(err)
		}
	})
	r := request{method: "GET", path: "/v1/role-sets", key: "slow-secret"}
	for range 2 { // a rate of two a minute allows two requests at once
		if got := w.do(t, r).status; got != 200 {
			t.Fatalf("a request within the rate answered %d", got)
		}
	}
	res := w.do(t, r)
	res.wantProblem(t, 429, "limited", "slow", "2/m")
	if got := res.header.Get("Retry-After"); got != "30" {
		t.Errorf("Retry-After is %q, want 30", got)
	}
}

func TestProductOperationsNeedTheProductsSchema(t *testing.T) {
	w := serve(t, func(c *httpapi.Config) { c.Operations = nil })
	w.do(t, request{method: "GET", path: "/v1/accounts/acme", key: operateKey, actor: "alice"}).wantProblem(
		t, 404, "not_found", "schema",
	)
	w.do(t, request{method: "PUT", path: "/v1/platform/administrators/root", key: provisionKey}).wantProblem(
		t, 404, "not_found", "schema",
	)
	w.do(
		t,
		request{
			method: "POST", path: "/v1/check", key: checkKey,
			body: `{"subject":"user:a","permission":"view","resource":"importer:i"}`,
		},
	).
		want(t, 200, `{"allowed":false,"token":"t1"}`)
}
