package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestErrorsOfBodiesNameTheField(t *testing.T) {
	w := serve(t)
	importer, roles, check := "/v1/importers", "/v1/accounts/acme/members/bob", "/v1/check"
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	tests := []struct {
		name, path, body string
		words            []string
	}{
		{
			"unknown field", roles, `{"rols":["guest"]}`,
			[]string{`the field "rols" does not exist`, "the fields here are expires_at, reason, roles"},
		},
		{
			"seconds for a time", roles, `{"roles":["guest"],"expires_in":60}`,
			[]string{`the field "expires_in" does not exist`, "; expires_at takes a time, such as 2030-"},
		},
		{
			"time for seconds", "/v1/accounts/acme/invitations", `{"roles":["guest"],"expires_at":"2030-01-31T17:00:00Z"}`,
			[]string{`the field "expires_at" does not exist`, "; expires_in takes a number of seconds"},
		},
		{"another case", roles, `{"Roles":["guest"]}`, []string{`the field "Roles" does not exist`}},
		{
			"no time", roles, `{"roles":["guest"],"expires_at":"2030-01-01"}`,
			[]string{`the field "expires_at" must be a time of RFC 3339`},
		},
		{
			"number for a time", roles, `{"roles":["guest"],"expires_at":1893456000}`,
			[]string{`the field "expires_at" must be a time of RFC 3339`},
		},
		{
			"object for a time", roles, `{"roles":["guest"],"expires_at":{}}`,
			[]string{`the field "expires_at" must be a time of RFC 3339`},
		},
		{"missing field", roles, `{}`, []string{`the field "roles" is missing`}},
		{"string for list", roles, `{"roles":"guest"}`, []string{`the field "roles" must be a list, not a string`}},
		{"null for list", roles, `{"roles":null}`, []string{`the field "roles" must be a list, not null`}},
		{
			"number in list",
			roles,
			`{"roles":["guest",7]}`,
			[]string{`the field "roles[1]" must be a string, not a number`},
		},
		{
			"object for string", importer, `{"id":{},"account":"acme"}`,
			[]string{`the field "id" must be a string, not an object`},
		},
		{
			"bool for string", importer, `{"id":true,"account":"acme"}`,
			[]string{`the field "id" must be a string, not true or false`},
		},
		{"empty id", importer, `{"id":"","account":"acme"}`, []string{`the field "id"`, "empty"}},
		{
			"empty optional id",
			importer,
			`{"id":"i1","account":"acme","source":""}`,
			[]string{`the field "source"`, "empty"},
		},
		{
			"long id", importer, `{"id":"` + strings.Repeat("x", 257) + `","account":"acme"}`, []string{`the field "id"`, "256"},
		},
		{"repeated field", importer, `{"id":"i1","id":"i2","account":"acme"}`, []string{`the field "id" appears twice`}},
		{
			"repeated field, escaped", importer, `{"id":"i1","\u0069d":"i2","account":"acme"}`,
			[]string{`the field "id" appears twice`},
		},
		{"list for object", importer, `[]`, []string{"the body must be an object, not a list"}},
		{"null body", importer, `null`, []string{"the body must be an object, not null"}},
		{"string body", importer, `"i1"`, []string{"the body must be an object, not a string"}},
		{"trailing data", importer, `{"id":"i1","account":"acme"} {}`, []string{"not JSON", "after top-level value"}},
		{"repeated body", importer, `{"id":"i1","account":"acme"}{"id":"i1","account":"acme"}`, []string{"not JSON"}},
		{"truncated", importer, `{"id":"i1"`, []string{"not JSON", "unexpected end"}},
		{"not JSON", importer, `id=i1`, []string{"not JSON", "at byte 1"}},
		{"blank", importer, ` `, []string{"not JSON"}},
		{"NaN", importer, `{"id":NaN}`, []string{"not JSON"}},
		{"comment", importer, `{"id":"i1"/* */}`, []string{"not JSON"}},
		{"byte order mark", importer, "\ufeff{}", []string{"not JSON"}},
		{"invalid UTF-8", importer, "{\"id\":\"\xff\",\"account\":\"acme\"}", []string{"not valid UTF-8"}},
		{"half a surrogate pair", importer, `{"id":"\ud83d","account":"acme"}`, []string{"surrogate", "byte 8"}},
		{"two high surrogates", importer, `{"id":"\ud83d\ud83d","account":"acme"}`, []string{"surrogate"}},
		{"surrogate in a key", importer, `{"\udc00":"x"}`, []string{"surrogate"}},
		{
			"empty map key", "/v1/subscriptions/s1/members/bob/accounts", `{"accounts":{"":["editor"]}}`,
			[]string{`the field "accounts."`, "empty"},
		},
		{
			"repeated map key", "/v1/subscriptions/s1/members/bob/accounts", `{"accounts":{"a1":["editor"],"a1":[]}}`,
			[]string{`the field "accounts" has the key "a1" twice`},
		},
		{
			"null roles", "/v1/subscriptions/s1/members/bob/accounts", `{"accounts":{"a1":null}}`,
			[]string{`the field "accounts.a1" must be a list, not null; an empty list, [], removes the roles`},
		},
		{
			"wrong visibility", "/v1/connections", `{"id":"c","account":"a","connector":"k","visibility":"public"}`,
			[]string{`the field "visibility"`, "private", "shared"},
		},
		{
			"empty visibility", "/v1/connections", `{"id":"c","account":"a","connector":"k","visibility":""}`,
			[]string{`the field "visibility"`},
		},
		{
			"number for bool", "/v1/workspaces", `{"id":"w","account":"a","open":1}`,
			[]string{`the field "open" must be true or false, not a number`},
		},
		{
			"list for end", "/v1/importers/i1/connections", `{"source":[]}`,
			[]string{`the field "source" must be a string, not a list`},
		},
		{"empty end", "/v1/importers/i1/connections", `{"source":""}`, []string{`the field "source"`, "empty"}},
		{
			"users of a workspace", "/v1/workspaces/w1/access", `{"open":false,"users":["bob",""]}`,
			[]string{`the field "users[1]"`, "empty"},
		},

		{
			"reference without type", check, `{"subject":"alice","permission":"view","resource":"importer:i1"}`,
			[]string{`the field "subject"`, "type:id"},
		},
		{
			"reference of a wrong kind", check, `{"subject":7,"permission":"view","resource":"importer:i1"}`,
			[]string{`the field "subject"`, "not a number"},
		},
		{
			"reference with a wrong field", check,
			`{"subject":{"type":"user","name":"a"},"permission":"view","resource":"importer:i1"}`,
			[]string{`the field "subject"`, `"name" does not exist`},
		},
		{
			"reference without an id", check, `{"subject":{"type":"user"},"permission":"view","resource":"importer:i1"}`,
			[]string{`the field "subject"`, `"id" is missing`},
		},
		{
			"reference with a field twice", check,
			`{"subject":{"type":"user","id":"a","id":"b"},"permission":"view","resource":"importer:i1"}`,
			[]string{`the field "subject" has the key "id" twice`},
		},
		{
			"resource with a relation", check, `{"subject":"user:a","permission":"view","resource":"account:acme#member"}`,
			[]string{`the field "resource"`, "relation"},
		},
		{
			"wrong type name", check, `{"subject":"User:a","permission":"view","resource":"importer:i1"}`,
			[]string{`the field "subject"`, `"User"`},
		},
		{
			"wrong permission name", check, `{"subject":"user:a","permission":"may view","resource":"importer:i1"}`,
			[]string{`the field "permission"`},
		},
		{
			"empty permission", check, `{"subject":"user:a","permission":"","resource":"importer:i1"}`,
			[]string{`the field "permission"`},
		},
		{
			"context of a wrong kind", check, `{"subject":"user:a","permission":"view","resource":"importer:i1","context":[]}`,
			[]string{`the field "context" must be an object`},
		},
		{
			"context with a key twice", check,
			`{"subject":"user:a","permission":"view","resource":"importer:i1","context":{"x":{"y":1,"y":2}}}`,
			[]string{`the field "context.x" has the key "y" twice`},
		},
		{
			"context too deep", check,
			`{"subject":"user:a","permission":"view","resource":"importer:i1","context":{"x":` + deep + `}}`,
			[]string{"nested deeper"},
		},
		{
			"context number too large", check,
			`{"subject":"user:a","permission":"view","resource":"importer:i1","context":{"x":1e999}}`,
			[]string{"number 1e999"},
		},
		{
			"consistency of a wrong name", check,
			`{"subject":"user:a","permission":"view","resource":"importer:i1","consistency":"eventual"}`,
			[]string{`the field "consistency"`, "minimize_latency", "fully_consistent", "at_least_as_fresh"},
		},
		{
			"consistency without token", check,
			`{"subject":"user:a","permission":"view","resource":"importer:i1","consistency":{"at_least_as_fresh":""}}`,
			[]string{`the field "consistency"`},
		},
		{
			"consistency with another field", check,
			`{"subject":"user:a","permission":"view","resource":"importer:i1","consistency":{"at_exact_snapshot":"t"}}`,
			[]string{`the field "consistency"`},
		},
		{"no checks", "/v1/check/bulk", `{"checks":[]}`, []string{`the field "checks" is empty`}},
		{
			"unknown type", "/v1/permissions", `{"subject":"user:a","resource":"imporer:i1"}`,
			[]string{`no type "imporer"`, "importer"},
		},
		{
			"type without permissions", "/v1/permissions", `{"subject":"user:a","resource":"user:b"}`,
			[]string{`"user" has no permissions`},
		},
	}
	methods := map[string]string{
		roles: "PUT", "/v1/subscriptions/s1/members/bob/accounts": "PUT", "/v1/importers/i1/connections": "PUT",
		"/v1/workspaces/w1/access": "PUT",
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method := methods[tt.path]
			if method == "" {
				method = "POST"
			}
			r := request{method: method, path: tt.path, body: tt.body, key: operateKey, actor: "alice"}
			if strings.HasPrefix(tt.path, "/v1/check") || tt.path == "/v1/permissions" {
				r.key = checkKey
			}
			w.do(t, r).wantProblem(t, 400, "invalid", tt.words...)
		})
	}
	if w.operations.name != "" {
		t.Errorf("%s was performed", w.operations.name)
	}
}

func TestValidBodiesAreAccepted(t *testing.T) {
	w := serve(t)
	for _, body := range []string{
		`{"subject":"user:a","permission":"view","resource":"importer:i1"}`,
		" \t\r\n{ \"subject\" : \"user:a\" ,\n\"permission\":\"view\", \"resource\" : \"importer:i1\" } \n",
		`{"\u0073ubject":"user:\ud83d\ude00","permission":"view","resource":"importer:\\ud83d"}`,
		`{"subject":{"id":"a#b","type":"user"},"permission":"view","resource":{"type":"importer","id":"#"},"context":{}}`,
		`{"subject":"account:acme#owner","permission":"view","resource":"importer:i1","context":{"a":null,"b":[1,-2.5e3,true,false,"}",{}],"c":{"d":"\"]"}},"consistency":"minimize_latency"}`,
		`{"subject":{"type":"account","id":"acme","relation":"owner"},"permission":"view","resource":"importer:i1","consistency":{"at_least_as_fresh":"t0"}}`,
	} {
		w.do(t, request{method: "POST", path: "/v1/check", body: body, key: checkKey}).want(
			t, 200, `{"allowed":false,"token":"t1"}`,
		)
	}
}

func TestContentTypeAndMissingBody(t *testing.T) {
	w := serve(t)
	check := `{"subject":"user:a","permission":"view","resource":"importer:i1"}`
	for contentType, accepted := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "Application/JSON;charset=UTF-8": true,
		"": false, "text/plain": false, "application/json; charset=latin1": false, "application/x-www-form-urlencoded": false,
		"application/json, application/json": false, "application/problem+json": false, ";": false,
	} {
		r := request{
			method: "POST", path: "/v1/check", key: checkKey, body: check, header: http.Header{"Content-Type": {contentType}},
		}
		res := w.do(t, r)
		if accepted && res.status != 200 {
			t.Errorf("%q answered %d", contentType, res.status)
		}
		if !accepted {
			res.wantProblem(t, 400, "invalid", "Content-Type", "application/json")
		}
	}
	empty := request{
		method: "POST", path: "/v1/check", key: checkKey, header: http.Header{"Content-Type": {"application/json"}},
	}
	w.do(t, empty).wantProblem(t, 400, "invalid", "the body is empty")
	w.do(
		t,
		request{method: "DELETE", path: "/v1/accounts/acme", body: `{"force":true}`, key: operateKey, actor: "alice"},
	).
		wantProblem(
			t,
			400,
			"invalid",
			"takes no body",
		)
	w.do(t, request{method: "PUT", path: "/v1/platform/administrators/root", body: `[]`, key: provisionKey}).
		wantProblem(t, 400, "invalid", "takes no body")
}

func TestBodySize(t *testing.T) {
	w := serve(t)
	body := func(size int) string {
		start, end := `{"subject":"user:a","permission":"view",`, `"resource":"importer:i1"}`
		return start + strings.Repeat(" ", size-len(start)-len(end)) + end
	}
	r := request{method: "POST", path: "/v1/check", key: checkKey, body: body(1 << 20)}
	w.do(t, r).want(t, 200, `{"allowed":false,"token":"t1"}`)
	r.body = body(1<<20 + 1)
	w.do(t, r).wantProblem(t, 413, "too_large", "1048576 bytes")
	r.body = strings.Repeat("[", 1<<20)
	w.do(t, r).wantProblem(t, 400, "invalid")
}

func TestErrorsOfQueriesNameTheParameter(t *testing.T) {
	w := serve(t)
	for path, words := range map[string]string{
		"/v1/accounts/acme/members?limt=1":                         `the parameter "limt" does not exist here; the parameters are role, holder_type, limit, cursor`,
		"/v1/accounts/acme/members?Limit=1":                        `the parameter "Limit" does not exist`,
		"/v1/accounts/acme?limit=1":                                `the parameter "limit" does not exist here; this call has none`,
		"/v1/accounts/acme/members?limit=0":                        `the parameter "limit" must be a number from 1 to 1000`,
		"/v1/accounts/acme/members?limit=1001":                     `the parameter "limit" must be a number from 1 to 1000`,
		"/v1/accounts/acme/members?limit=":                         `the parameter "limit" must be a number`,
		"/v1/accounts/acme/members?limit=1e2":                      `the parameter "limit" must be a number`,
		"/v1/accounts/acme/members?limit=1&limit=2":                `the parameter "limit" is given more than once; give it once`,
		"/v1/accounts/acme/members?cursor=%FF":                     `the parameter "cursor" is not valid UTF-8`,
		"/v1/accounts/acme/members?cursor=%zz":                     `query of the URL is malformed: invalid URL escape "%zz"; it has the form name=value&name=value with percent-encoded values`,
		"/v1/accounts/acme/members?a;b":                            `query of the URL is malformed`,
		"/v1/subscriptions/s1/members?by_account=yes":              `the parameter "by_account" must be true or false`,
		"/v1/subscriptions/s1/members?by_account=1":                `the parameter "by_account" must be true or false`,
		"/v1/subscriptions/s1/members?limit=5&by_account=":         `the parameter "by_account" must be true or false`,
		"/v1/users/alice/accounts?inspect=true":                    `the parameter "inspect" does not exist`,
		"/v1/subscriptions/s1/accounts?limit=-1":                   `the parameter "limit" must be a number`,
		"/v1/subscriptions/s1/accounts?limit=99999999999999999999": `the parameter "limit" must be a number`,
	} {
		w.do(
			t,
			request{method: "GET", path: path, key: operateKey, actor: "alice"},
		).wantProblem(
			t,
			400,
			"invalid",
			words,
		)
	}
	for path, words := range map[string]string{
		"/v1/relationships":                              `the parameter "resource" is missing; for example resource=account:acme`,
		"/v1/relationships?resource=":                    `the parameter "resource" must not be empty; for example resource=account:acme`,
		"/v1/relationships?resource=acme":                `the parameter "resource": "acme" is not a reference: write type:id, for example importer:i1`,
		"/v1/relationships?resource=%20":                 `the parameter "resource" must not be blank; for example resource=account:acme`,
		"/v1/relationships?resource=account:acme%23x":    `the parameter "resource"`,
		"/v1/relationships?resource=account:a&relation=": `the parameter "relation" must not be empty; for example relation=owner`,
		"/v1/relationships?resource={%22type%22:1}":      `the parameter "resource"`,
		"/v1/relationships?resource={":                   `the parameter "resource"`,
		"/v1/relationships?subject=user:a":               `the parameter "subject" does not exist`,
	} {
		w.do(t, request{method: "GET", path: path, key: inspectKey}).wantProblem(t, 400, "invalid", words)
	}
}
