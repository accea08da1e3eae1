package tests

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestHeadAnswersAsGetDoes sends HEAD to every GET endpoint of the contract: with every API key and without one,
// about existing and missing objects, and with an unknown parameter. Each answer must have the status and the
// headers of the answer to GET, and no body.
func TestHeadAnswersAsGetDoes(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	id := s.id("x")
	s.must(http.MethodPost, "subscriptions", map[string]any{"id": id, "role_set": "multi_owner", "owner": "alice"})
	s.as("alice").must(http.MethodPost, "accounts", map[string]any{"id": id, "subscription": id, "role_set": "team"})
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	statuses := make(map[int]int)
	unknown := endpoint{method: http.MethodGet, path: "/v1/nothing", operation: new(openapi3.Operation)}
	posted := endpoint{method: http.MethodGet, path: "/v1/check", operation: new(openapi3.Operation)}
	for _, e := range append(endpoints(t), unknown, posted) {
		if e.method != http.MethodGet {
			continue
		}
		nonsense := e.at(id) + "?nonsense=1"
		if strings.Contains(e.at(id), "?") {
			nonsense = e.at(id) + "&nonsense=1"
		}
		for _, path := range []string{e.at(id), e.at(s.id("nothing")), nonsense} {
			for _, key := range []string{masterKey, checkKey, ""} {
				from := s.caller.withKey(key)
				if e.has("Sluice-Actor") && !slices.Contains(e.scopes, "inspect") {
					from = from.as("alice")
				}
				get, head := from.begin(http.MethodGet, path), from.begin(http.MethodHead, path)
				if get.status != head.status || !maps.EqualFunc(get.header, head.header, slices.Equal) || len(head.body) > 0 {
					t.Errorf(
						"%s with the key %q:\n%d %v\nwith HEAD:\n%d %v %s", path, key, get.status, get.header, head.status, head.header,
						head.body,
					)
				}
				statuses[head.status]++
			}
		}
	}
	for _, status := range []int{
		http.StatusOK, http.StatusFound, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed,
	} {
		if statuses[status] == 0 {
			t.Errorf("no request was answered with %d: %v", status, statuses)
		}
	}
	if root := s.withKey("").call(http.MethodGet, "/", nil); root.header.Get("Location") != "/docs" {
		t.Errorf("GET / answered %d %v", root.status, root.header)
	}
	if got := s.call(http.MethodPost, "/healthz", nil); got.header.Get("Allow") != "GET, HEAD" || !strings.Contains(
		got.problem().Detail, "GET, HEAD",
	) {
		t.Errorf("%v %s", got.header, got.body)
	}
	if got := s.call(http.MethodHead, "check", nil); got.header.Get("Allow") != http.MethodPost {
		t.Errorf("%d %v", got.status, got.header)
	}
}

// begin sends a request, and returns the status, the headers and, for HEAD, the body of the answer. It leaves out
// headers that differ between two requests. For GET, it does not read the body, since a stream of events does not
// end.
func (c caller) begin(method, path string) answer {
	c.t.Helper()
	request := c.request(method, path, nil)
	ctx, cancel := context.WithCancel(request.Context())
	defer cancel()
	request = request.WithContext(ctx)
	request.Header.Set("X-Request-ID", "head")
	// Without this header, Go requests a compressed answer for GET, but not for HEAD.
	request.Header.Set("Accept-Encoding", "identity")
	if method == http.MethodHead {
		a := c.send(request)
		dropChanging(a.status, a.header)
		return a
	}
	response, err := c.http.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	dropChanging(response.StatusCode, response.Header)
	return answer{status: response.StatusCode, header: response.Header}
}

// dropChanging removes headers that differ between two requests: those that depend on the time, the length of the
// metrics, and the length of a problem document that names the method.
func dropChanging(status int, header http.Header) {
	header.Del("Date")
	if status == http.StatusMethodNotAllowed || strings.HasPrefix(header.Get("Content-Type"), "text/plain; version") {
		header.Del("Content-Length")
	}
}
