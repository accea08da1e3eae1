package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzRouter sends arbitrary requests with a key for everything. No answer may be a failure of the server, and every
// error must be a problem document.
func FuzzRouter(f *testing.F) {
	f.Add("GET", "/v1/accounts/a%2Fb/members", "limit=1&cursor=x", "alice", "application/json", "")
	f.Add("PUT", "/v1/accounts/%ff/members/x", "", "%", "application/json", `{"roles":["guest"]}`)
	f.Add(
		"POST", "/v1/check", "", "", "application/json; charset=utf-8",
		`{"subject":"user:a","permission":"view","resource":{"type":"importer","id":"#"}}`,
	)
	f.Add("POST", "/v1/check/bulk", "", "", "application/json", `{"checks":[{},7,null]}`)
	f.Add("POST", "/v1/permissions", "", "", "application/json", `{"subject":"user:a","resource":"importer:i"}`)
	f.Add("GET", "/v1/relationships", "resource=%7B%22type%22%3A%22user%22%7D", "", "", "")
	f.Add("PATCH", "/v1/accounts/acme/members", "", "a", "application/json", `{"members":{"a":[]}}`)
	f.Add(
		"POST",
		"/access/v1/evaluation",
		"",
		"",
		"application/json",
		`{"subject":{"type":"user","id":"a"},"action":{"name":"View"},"resource":{"type":"importer","id":"i"},"Subject":7}`,
	)
	f.Add(
		"POST",
		"/access/v1/evaluations",
		"",
		"",
		"application/json",
		`{"subject":{"type":"user"},"evaluations":[{"subject":{"id":"a"}},7],"options":{"evaluations_semantic":"execute_all"}}`,
	)
	f.Add(
		"POST",
		"/access/v1/search/subject",
		"",
		"",
		"application/json",
		`{"subject":{"type":"user"},"action":{"name":"view"},"resource":{"type":"importer","id":"i"},"page":{"limit":1,"token":"e30"}}`,
	)
	f.Add(
		"POST",
		"/access/v1/search/resource",
		"",
		"",
		"application/json",
		`{"subject":{"type":"user","id":"a"},"action":{"name":"view"},"resource":{"type":"importer"},"page":{"limit":0}}`,
	)
	f.Add(
		"POST", "/access/v1/search/action", "", "", "application/json",
		`{"subject":{"type":"user","id":"a"},"resource":{"type":"importer","id":"i"}}`,
	)
	f.Add("DELETE", "/healthz/..//", "%", "", "", "")
	handler := open(f).handler
	keys := map[string]string{
		"/v1/check": checkKey, "/access": checkKey, "/v1/permissions": checkKey, "/v1/platform": provisionKey,
		"/v1/relationships": inspectKey,
	}
	f.Fuzz(func(t *testing.T, method, path, query, actor, contentType, body string) {
		target, err := url.ParseRequestURI("/" + strings.TrimPrefix(path, "/"))
		if err != nil || method == "" {
			return // net/http rejects this request before it calls the handler
		}
		target.RawQuery = query
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", strings.NewReader(body))
		req.Method, req.URL = method, target
		key := operateKey
		for prefix, other := range keys {
			if strings.HasPrefix(path, prefix) {
				key = other
			}
		}
		req.Header = http.Header{
			"Authorization": {
				"Bearer " + key,
			}, "Sluice-Actor": {actor}, "Content-Type": {contentType}, "X-Request-Id": {actor},
		}
		res := httptest.NewRecorder()
		handler.ServeHTTP(res, req)
		if res.Code >= 500 {
			t.Fatalf("%s %s?%s answered %d %s", method, path, query, res.Code, res.Body)
		}
		if res.Code >= 400 {
			var problem struct{ Code, Detail string }
			if err := json.Unmarshal(res.Body.Bytes(), &problem); err != nil || problem.Code == "" ||
				problem.Detail == "" {
				t.Fatalf("%s %s?%s answered %d %s", method, path, query, res.Code, res.Body)
			}
		}
	})
}
