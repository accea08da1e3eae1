package tests

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// malformed is an invalid request, with the statuses that the answer may have.
type malformed struct {
	what     string
	request  *http.Request
	statuses []int
	words    string // the detail of the problem must contain this text
}

// TestMalformed sends invalid requests to every endpoint of the contract. The answer must be a problem document, but
// not an internal error. The requests must write nothing. The test uses a server of its own, so that it can compare
// all stored relationships.
func TestMalformed(t *testing.T) {
	t.Parallel()
	server := start(t, configuration())
	on, err := connect(server.URL, server.GRPCAddress, server.GRPCKey)
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, on)
	// Malformed requests could harm these objects. The examples in the contract name them, and the requests are made
	// from the examples.
	s.must(http.MethodPost, "subscriptions", map[string]any{"id": "s1", "role_set": "multi_owner", "owner": "alice"})
	s.as("alice").must(http.MethodPost, "accounts", map[string]any{"id": "acme", "subscription": "s1", "role_set": "team"})
	before := slices.Sorted(slices.Values(everything(t, on.spicedb)))
	for _, e := range endpoints(t) {
		for _, m := range s.makeMalformed(e) {
			a := s.send(m.request)
			code := a.problem().Code
			if !slices.Contains(m.statuses, a.status) || code == "" || code == "internal" {
				t.Errorf("%s: %s: %d %.300s, want %v", e, m.what, a.status, a.body, m.statuses)
			}
			if !strings.Contains(a.problem().Detail, m.words) {
				t.Errorf("%s: %s: the detail %q does not contain %q", e, m.what, a.problem().Detail, m.words)
			}
		}
	}
	if changed := difference(before, slices.Sorted(slices.Values(everything(t, on.spicedb)))); changed != "" {
		t.Errorf("malformed requests changed the stored relationships:%s", changed)
	}
	if s.call(http.MethodGet, "/readyz", nil).status != http.StatusOK {
		t.Error("the server is not ready after malformed requests")
	}
}

// TestMalformedEscapes sends paths with invalid percent-encoding. The answer must be 400.
func TestMalformedEscapes(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.http = &http.Client{Transport: wire}
	for _, e := range endpoints(t) {
		for _, segment := range []string{"%zz", "%4", "a%"} {
			if !strings.Contains(e.path, "{") {
				continue
			}
			request := s.as("alice").request(e.method, "/", nil)
			request.URL = &url.URL{Scheme: "http", Host: request.URL.Host, Opaque: "//" + request.URL.Host + e.at(segment)}
			if a := s.send(request); a.status != http.StatusBadRequest {
				t.Errorf("%s with %s: %d %s", e, segment, a.status, a.body)
			}
		}
	}
}

// makeMalformed returns invalid requests to an endpoint.
func (s scene) makeMalformed(e endpoint) []malformed {
	var all []malformed
	add := func(what, words string, request *http.Request, statuses ...int) {
		all = append(all, malformed{what, request, statuses, words})
	}
	from := s.caller
	if e.has("Sluice-Actor") {
		from = from.as("alice")
	}
	id := "acme"
	if strings.HasPrefix(e.path, "/v1/subscriptions") {
		id = "s1"
	}
	fresh := func(body any) *http.Request { return from.request(e.method, e.at(id), body) }
	valid := func() *http.Request {
		if e.body() == nil {
			return fresh(nil)
		}
		return fresh(e.example(s.t))
	}
	if e.body() != nil {
		for what, body := range malformedBodies(e.body(), e.example(s.t)) {
			words := ""
			name, unknown := strings.CutPrefix(what, "unknown field ")
			if unknown {
				words = name
			}
			if e.operation.Extensions["x-unknown-fields"] == "ignore" && (unknown || what == "a field in another case") {
				continue
			}
			add(what, words, fresh(body), http.StatusBadRequest)
		}
		add(
			"a body over 1 MiB", "1048576",
			fresh(slices.Concat([]byte(`{"id": "`), bytes.Repeat([]byte("x"), 1<<20), []byte(`"}`))),
			http.StatusRequestEntityTooLarge,
		)
		for _, contentType := range []string{
			"text/plain", "application/x-www-form-urlencoded", "application/xml", "nonsense", "application/json; charset=utf-16",
			"",
		} {
			request := valid()
			request.Header.Set("Content-Type", contentType)
			add("content type "+contentType, "", request, http.StatusBadRequest, http.StatusUnsupportedMediaType)
		}
	} else if e.method == http.MethodDelete || e.method == http.MethodPut {
		add("a body where none is expected", "", fresh(map[string]any{"roles": []string{"owner"}}), http.StatusBadRequest)
	}
	if strings.Contains(e.path, "{") {
		for what, segment := range map[string]string{
			"invalid UTF-8": "%FF%FE", "257 bytes": strings.Repeat("x", 257),
			"86 characters of three bytes": strings.Repeat("%E2%82%AC", 86), "an overlong escape": "%C0%AF",
			"a NUL": "a%00b", "a line break": "%0A", "DEL": "a%7F", "a C1 control character": "%C2%85b",
			"a zero-width space": "a%E2%80%8B",
			"a type and a colon": "importer:i9", "a stored form of a valid id": "stored:alice", "4000 bytes": strings.Repeat(
				"y", 4000,
			),
		} {
			request := valid()
			request.URL = &url.URL{Scheme: "http", Host: request.URL.Host, Opaque: "//" + request.URL.Host + e.at(segment)}
			add("an id with "+what, "", request, http.StatusBadRequest, http.StatusNotFound)
		}
		request := valid()
		request.URL.Path, request.URL.RawPath = e.at(""), ""
		add("an empty id", "", request, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed)
	}
	if e.has("Sluice-Actor") {
		for what, actor := range map[string]string{
			"empty": "", "with a malformed escape": "%zz", "with half an escape": "a%2", "of invalid UTF-8": "%FF",
			"of 257 bytes":           strings.Repeat("x", 257),
			"with an escaped letter": "alic%65", "with an escaped hyphen": "a%2Db", "with lower-case digits": "a%c3%bc",
			"in raw UTF-8": "ü", "with a raw space": "a b",
			"with a NUL": "a%00", "with a C1 control character": "a%C2%85", "with a zero-width space": "a%E2%80%8B",
			"of another type": "account:acme",
		} {
			request := valid()
			request.Header["Sluice-Actor"] = []string{actor}
			add("an actor "+what, "Sluice-Actor", request, http.StatusBadRequest)
		}
		request := valid()
		request.Header["Sluice-Actor"] = []string{"alice", "bob"}
		add("two actors", "Sluice-Actor", request, http.StatusBadRequest)
	}
	query := func(name, value string) *http.Request {
		request := valid()
		separator := "?"
		if request.URL.RawQuery != "" {
			separator = "&"
		}
		raw := request.URL.RawQuery + strings.TrimPrefix(separator, "?") + name + "=" + value
		request.URL.RawQuery = raw
		return request
	}
	if !e.open {
		add("an unknown parameter", "nonsense", query("nonsense", "1"), http.StatusBadRequest)
		add("a malformed query", "", query("limit", "%zz"), http.StatusBadRequest)
	}
	for _, parameter := range e.operation.Parameters {
		values := map[string][]string{
			"limit":      {"0", "-1", "1001", "x", "1.5", "99999999999999999999", ""},
			"cursor":     {"nonsense!", "%FF", strings.Repeat("A", 5000) + "!", "%00"},
			"by_account": {"maybe", "2", ""},
			"relation":   {"", "A", "owner%20", strings.Repeat("x", 100)},
			"actor":      {"bob", "%FF", ""},
		}[parameter.Value.Name]
		for _, value := range values {
			add("the parameter "+parameter.Value.Name+"="+value, "", query(parameter.Value.Name, value), http.StatusBadRequest)
		}
		if parameter.Value.Name == "resource" {
			for _, value := range []string{
				"", "acme", "account:", ":acme", "acount:acme", "account:%FF", "account:acme%23owner", `{"type":"account"}`,
				`{"type":"account","id":"a","no":1}`, `{"type":`, "account:" + strings.Repeat("x", 257),
			} {
				request := valid()
				request.URL.RawQuery = "resource=" + strings.ReplaceAll(value, `"`, "%22")
				add("the resource "+value, "", request, http.StatusBadRequest)
			}
		}
	}
	for _, method := range methods {
		if e.allows(s.t, method) || method == http.MethodHead || method == http.MethodOptions {
			continue
		}
		add("the method "+method, "", from.request(method, e.at(id), nil), http.StatusNotFound, http.StatusMethodNotAllowed)
	}
	return all
}

// allows reports whether the contract has the method for the path.
func (e endpoint) allows(t testing.TB, method string) bool {
	return slices.ContainsFunc(endpoints(t), func(o endpoint) bool { return o.path == e.path && o.method == method })
}

// malformedBodies returns request bodies that a schema does not allow. It makes them from an example, which is
// valid.
func malformedBodies(schema *openapi3.Schema, example map[string]any) map[string][]byte {
	text, err := json.Marshal(example)
	if err != nil {
		panic(err)
	}
	bodies := map[string][]byte{
		"an empty body": {}, "a space": []byte(" "), "null": []byte("null"), "a list": []byte("[]"), "a text": []byte(`"x"`),
		"a number":       []byte("1"),
		"half an object": text[:len(text)-1], "something after the object": append(slices.Clone(text), []byte(" {}")...),
		"deep nesting":            []byte(strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)),
		"deep lists":              []byte(strings.Repeat("[", 100000)),
		"a zero byte":             append(slices.Clone(text), 0),
		"UTF-16":                  {0xFF, 0xFE, '{', 0, '}', 0},
		"unknown field nonsense":  editExample(example, func(o map[string]any) { o["nonsense"] = 1 }),
		"unknown field token":     editExample(example, func(o map[string]any) { o["token"] = "x" }),
		"a field in another case": editExample(example, func(o map[string]any) { o["ID"], o["Id"] = "x", "x" }),
	}
	for _, name := range schema.Required {
		bodies["without "+name] = editExample(example, func(o map[string]any) { delete(o, name) })
		bodies["the field "+name+" twice"] = append(
			append(slices.Clone(text[:len(text)-1]), []byte(`,"`+name+`":`)...), append(mustJSON(example[name]), '}')...,
		)
	}
	for name, property := range schema.Properties {
		for what, value := range wrong(property.Value) {
			if value == nil && !slices.Contains(schema.Required, name) {
				continue // null has the same meaning as a missing field
			}
			bodies["the field "+name+" as "+what] = editExample(example, func(o map[string]any) { o[name] = value })
		}
		// Invalid UTF-8 is an error in every field.
		bodies["invalid UTF-8 in "+name] = bytes.ReplaceAll(
			editExample(example, func(o map[string]any) { o[name] = "MARK" }), []byte("MARK"), []byte("a\xffb"))
		bodies["half a surrogate in "+name] = bytes.ReplaceAll(
			editExample(example, func(o map[string]any) { o[name] = "MARK" }), []byte("MARK"), []byte(`\ud800`))
	}
	return bodies
}

// wrong returns values that a schema does not allow.
func wrong(schema *openapi3.Schema) map[string]any {
	values := map[string]any{
		"a number": 1, "a fraction": 1.5, "true": true, "a list": []any{}, "a list of lists": []any{[]any{}},
		"an object": map[string]any{},
		"a text":    "nonsense", "null": nil, "an empty text": "", "a list of numbers": []any{1}, "a list of null": []any{
			nil,
		},
		"an object of numbers": map[string]any{"a": 1}, "an object of lists of numbers": map[string]any{"a": []any{1}},
		"a long text": strings.Repeat("x", 300), "a list of a long text": []any{strings.Repeat("x", 300)},
	}
	maps.DeleteFunc(values, func(_ string, value any) bool {
		if list, ok := value.([]any); ok && len(list) > 0 && schema.MaxItems != nil {
			return true // in a bulk, only the item with the wrong value fails
		}
		return schema.VisitJSON(roundTripped(value)) == nil
	})
	return values
}

// roundTripped encodes a value as JSON, decodes it, and returns the result.
func roundTripped(value any) any {
	var out any
	if err := json.Unmarshal(mustJSON(value), &out); err != nil {
		panic(err)
	}
	return out
}

func mustJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

func editExample(example map[string]any, edit func(map[string]any)) []byte {
	object := maps.Clone(example)
	edit(object)
	return mustJSON(object)
}

// TestErrorsQuoteLittle sends a number, a text and a name of 100,000 characters in each field of each body. No error
// may contain them in full.
func TestErrorsQuoteLittle(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	fields := 0
	for _, e := range endpoints(t) {
		schema := e.body()
		if schema == nil {
			continue
		}
		names := slices.Collect(maps.Keys(schema.Properties))
		for _, part := range schema.AllOf {
			names = slices.AppendSeq(names, maps.Keys(part.Value.Properties))
		}
		for _, name := range names {
			fields++
			for _, value := range []any{
				json.Number(strings.Repeat("9", 100_000)), strings.Repeat("x", 100_000),
				map[string]any{strings.Repeat("x", 100_000): 1},
			} {
				body, _ := plain(schema).(map[string]any)
				body = maps.Clone(body)
				if body == nil {
					body = make(map[string]any)
				}
				body[name] = value
				caller := s.caller
				if e.has("Sluice-Actor") {
					caller = s.as(s.id("olga"))
				}
				if a := caller.call(e.method, e.at(s.id("x")), body); a.status >= http.StatusBadRequest &&
					len(a.problem().Detail) > 600 {
					t.Errorf("%s with a large %s: the detail has %d bytes: %.300s", e, name, len(a.problem().Detail), a.body)
				}
			}
		}
	}
	if fields < 60 {
		t.Errorf("the contract has only %d fields", fields)
	}
}
