package tests

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// invisible lists characters that are not visible: control characters, format characters, fillers and variation
// selectors.
var invisible = []string{"\x00", "\n", "\u0085", "\u200b", "\u3164", "\ufe0f"}

// freeTexts lists the fields of bodies that contain free texts. These are neither ids nor names, and are not stored.
var freeTexts = []string{"context", "properties", "options"}

// TestInvisibleCharactersAreRefusedInEveryInput sends invisible characters to every endpoint of the contract: in
// every path segment, in query parameters, in the actor header and in every text of a body. The server must reject
// each request as invalid.
func TestInvisibleCharactersAreRefusedInEveryInput(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	tried := 0
	for _, e := range endpoints(t) {
		if e.open {
			continue
		}
		for i, c := range invisible {
			for what, request := range s.withInvisible(e, c, i == 0) {
				tried++
				a := s.send(request)
				refused := a.problem().Code == "invalid"
				if a.status == http.StatusOK { // one of several items has the error
					refused = strings.Contains(string(a.body), `"invalid"`) || strings.Contains(string(a.body), "invisible")
				}
				// If the actor may not view the account or subscription, the answer to an unknown role is not_found.
				isRole := strings.HasSuffix(what, "[0]") && a.problem().Code == "not_found"
				if !refused && !isRole {
					t.Errorf("%s, %s with %U: %d %.300s", e, what, []rune(c)[0], a.status, a.body)
				}
				names := strings.HasPrefix(what, "segment") || strings.HasPrefix(what, "actor") || strings.HasPrefix(
					what, "text parameter",
				)
				if names && !strings.Contains(a.problem().Detail, fmt.Sprintf("%U", []rune(c)[0])) {
					t.Errorf("%s, %s with %U: the detail does not name the character: %s", e, what, []rune(c)[0], a.body)
				}
			}
		}
	}
	if tried < 1500 {
		t.Errorf("only %d requests were sent", tried)
	}
}

// withInvisible returns requests to an endpoint that are valid except for the character c. If spaces is set, it also
// returns requests with blank ids, and with spaces around ids.
func (s scene) withInvisible(e endpoint, c string, spaces bool) map[string]*http.Request {
	from := s.caller
	if e.has("Sluice-Actor") {
		from = from.as("alice")
	}
	query := make(url.Values)
	for _, p := range e.operation.Parameters {
		if p.Value.In == openapi3.ParameterInQuery && p.Value.Required {
			query.Set(p.Value.Name, map[string]string{
				"resource": "account:acme", "permission": "view", "at": "2026-03-01T12:00:00Z", "actor": "alice",
			}[p.Value.Name])
		}
	}
	path, _, _ := strings.Cut(e.at("acme"), "?")
	body := map[string]any(nil)
	if e.body() != nil {
		body = e.example(s.t)
	}
	made := func(path string, query url.Values, body any) *http.Request {
		r := from.request(e.method, path, body)
		r.URL.RawQuery = query.Encode()
		return r
	}
	valid := func() *http.Request {
		if body == nil {
			return made(path, query, nil)
		}
		return made(path, query, body)
	}
	requests := make(map[string]*http.Request)
	wrong := map[string]string{"": "a" + c + "b"}
	if spaces {
		wrong = map[string]string{"": "a" + c + "b", ", first": c + "a", ", last": "a" + c}
	}
	for where, text := range wrong {
		for i, segment := range strings.Split(e.path, "/") {
			p := e.operation.Parameters.GetByInAndName("path", strings.Trim(segment, "{}"))
			if p == nil || len(p.Schema.Value.Enum) > 0 {
				continue
			}
			parts := strings.Split(path, "/")
			parts[i] = url.PathEscape(text)
			r := valid()
			r.URL.Opaque = "//" + r.URL.Host + strings.Join(parts, "/")
			requests["segment "+segment+where] = r
		}
		for _, p := range e.operation.Parameters {
			if p.Value.In != openapi3.ParameterInQuery {
				continue
			}
			changed := maps.Clone(query)
			changed.Set(p.Value.Name, text)
			r := valid()
			r.URL.RawQuery = changed.Encode()
			kind := "parameter "
			if p.Value.Schema.Value.Type.Is(openapi3.TypeString) {
				kind = "text parameter "
			}
			requests[kind+p.Value.Name+where] = r
		}
		if e.has("Sluice-Actor") {
			r := valid()
			r.Header["Sluice-Actor"] = []string{url.PathEscape(text)}
			requests["actor"+where] = r
		}
	}
	for where, changed := range withTexts(body, func(text string) string { return text + c }) {
		if strings.Contains(where, "the key ") && e.operation.Extensions["x-unknown-fields"] == "ignore" {
			continue
		}
		requests["field "+where] = made(path, query, changed)
	}
	return requests
}

// withTexts returns copies of a value. In each copy, one text is edited. Keys of objects count as texts if they are
// ids.
func withTexts(value any, edit func(string) string) map[string]any {
	all := make(map[string]any)
	switch v := value.(type) {
	case string:
		all[""] = edit(v)
	case []any:
		for i, item := range v {
			for where, changed := range withTexts(item, edit) {
				list := slices.Clone(v)
				list[i] = changed
				all[fmt.Sprintf("[%d]%s", i, where)] = list
			}
		}
	case map[string]any:
		for key, item := range v {
			if slices.Contains(freeTexts, key) {
				continue
			}
			for where, changed := range withTexts(item, edit) {
				object := maps.Clone(v)
				object[key] = changed
				all["."+key+where] = object
			}
			object := maps.Clone(v)
			delete(object, key)
			object[edit(key)] = item
			all["the key "+key] = object
		}
	}
	return all
}

// TestBlankIDsAreRefused sends blank ids, and ids with white space before or after them, in every call that accepts
// an id.
func TestBlankIDsAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, id := range []string{" ", "  ", " a", "a ", "\u00a0", "a\u2003b", "\u3000"} {
		escaped := url.PathEscape(id)
		actor := s.as("alice").request(http.MethodGet, "accounts/acme", nil)
		actor.Header["Sluice-Actor"] = []string{escaped}
		for what, a := range map[string]answer{
			"an id in the path":    s.as("alice").call(http.MethodGet, "accounts/"+escaped, nil),
			"a person in the path": s.as("alice").call(http.MethodDelete, "accounts/acme/members/"+escaped, nil),
			"a typed person":       s.as("alice").call(http.MethodDelete, "accounts/acme/members/user:"+escaped, nil),
			"the actor":            s.send(actor),
			"an id in the body": s.as("alice").call(
				http.MethodPost, "importers", map[string]any{"id": id, "account": "acme"},
			),
			"a person in the body": s.call(
				http.MethodPost, "subscriptions", map[string]any{"id": s.id("s"), "role_set": "multi_owner", "owner": id},
			),
			"a key of the body": s.as("alice").call(
				http.MethodPatch, "accounts/acme/members", map[string]any{"members": map[string]any{id: []string{"user"}}},
			),
			"a reference": s.call(http.MethodPost, "check", question{"user:" + id, "view", "account:acme"}),
			"a reference, in parts": s.call(
				http.MethodPost, "check",
				map[string]any{
					"subject": map[string]any{"type": "user", "id": id}, "permission": "view", "resource": "account:acme",
				},
			),
			"a person in the query":  s.call(http.MethodGet, "accounts/acme/importers?actor="+url.QueryEscape(id), nil),
			"an object in the query": s.call(http.MethodGet, "audit?object="+url.QueryEscape("account:"+id), nil),
			"an operation": s.call(
				http.MethodGet, "audit?operation="+url.QueryEscape(strings.TrimSpace(id)+"\u200b"), nil,
			),
		} {
			if a.problem().Code != "invalid" {
				t.Errorf("%q as %s: %d %s", id, what, a.status, a.body)
			}
		}
	}
}
