package cost_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sluice-authz/sluice/api"
)

// operation is an endpoint of the contract.
type operation struct {
	id, method, path string
	*openapi3.Operation
}

func contract(t *testing.T) []operation {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.Contract)
	if err != nil {
		t.Fatal(err)
	}
	var all []operation
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			all = append(all, operation{o.OperationID, method, path, o})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	return all
}

// hostile returns large requests without meaning. In some of them, one field of the body is a long text, list or
// object, so that the body has its maximum size. Others have an unknown field, deep nesting, or the longest path or
// query.
func (o operation) hostile(known map[string]bool) []request {
	place := strings.NewReplacer("{id}", "a", "{user}", "p1", "{handle}", "h", "{collection}", "importers").Replace(o.path)
	actor := ""
	if o.Parameters.GetByInAndName("header", "Sluice-Actor") != nil {
		actor = "olga"
	}
	var all []request
	add := func(name, path string, body []byte) {
		all = append(all, request{o.id + " with " + name, o.method, path, actor, body})
	}
	if strings.Contains(o.path, "{") {
		add(
			"a long path",
			strings.NewReplacer("{collection}", "importers").Replace(replaceSegments(o.path, strings.Repeat("%C3%BC", 8000))),
			nil,
		)
	}
	add("a long query", place+"?q="+strings.Repeat("%C3%BC", 8000), nil)
	if o.RequestBody == nil {
		add("a body of another call", place, bytes.Repeat([]byte(" "), maxBody))
		return all
	}
	media := o.RequestBody.Value.Content.Get("application/json")
	add("deep nesting", place, bytes.Repeat([]byte(`{"a":`), maxBody/5))
	if known[media.Schema.Ref] { // these requests have already been sent to another endpoint with the same schema
		return all
	}
	known[media.Schema.Ref] = true
	filled := func(field string, begin, item, end string) []byte {
		example := exampleOf(media)
		example[field] = "MARK"
		text := asJSON(example)
		room := maxBody - len(text) - len(begin) - len(end)
		var content strings.Builder
		content.WriteString(begin)
		for i := 0; ; i++ {
			next := strings.ReplaceAll(item, "N", fmt.Sprint(i))
			if content.Len()+len(next) > room {
				break
			}
			if i > 0 && begin != `"` {
				content.WriteByte(',')
			}
			content.WriteString(next)
		}
		content.WriteString(end)
		return bytes.Replace(text, []byte(`"MARK"`), []byte(content.String()), 1)
	}
	for field, property := range media.Schema.Value.Properties {
		add("a long text as "+field, place, filled(field, `"`, "user:x", `"`))
		if property.Value.Type.Is(openapi3.TypeString) {
			continue
		}
		add("a long list as "+field, place, filled(field, `[`, `"user:xN"`, `]`))
		add("an object of many keys as "+field, place, filled(field, `{`, `"kN":["user"]`, `}`))
	}
	add("a field that does not exist", place, filled(strings.Repeat("x", maxBody/2), `[`, `[]`, `]`))
	return all
}

// replaceSegments replaces every parameter of a path except {collection} with a value.
func replaceSegments(path, value string) string {
	return strings.NewReplacer("{id}", value, "{user}", value, "{handle}", value).Replace(path)
}

func exampleOf(media *openapi3.MediaType) map[string]any {
	example, _ := media.Example.(map[string]any)
	for _, one := range media.Examples {
		if object, ok := one.Value.Value.(map[string]any); ok && example == nil {
			example = object
		}
	}
	copied := make(map[string]any, len(example))
	for name, value := range example {
		copied[name] = value
	}
	return copied
}
