package tests

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sluice-authz/sluice/api"
)

// endpoint is a method and a path in the contract, the OpenAPI document.
type endpoint struct {
	method, path string
	scopes       []string
	open         bool // accepts requests without a key
	operation    *openapi3.Operation
}

func (e endpoint) String() string { return e.method + " " + e.path }

// endpoints returns all endpoints of the contract.
func endpoints(t testing.TB) []endpoint {
	t.Helper()
	all, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 40 {
		t.Fatalf("the contract has only %d endpoints", len(all))
	}
	return all
}

var readContract = sync.OnceValues(func() ([]endpoint, error) {
	contract, err := openapi3.NewLoader().LoadFromData(api.Contract)
	if err != nil {
		return nil, err
	}
	var all []endpoint
	for path, item := range contract.Paths.Map() {
		for method, operation := range item.Operations() {
			e := endpoint{method: method, path: path, operation: operation}
			e.open = operation.Security != nil && len(*operation.Security) == 0
			scopes, _ := operation.Extensions["x-scopes"].([]any)
			for _, scope := range scopes {
				e.scopes = append(e.scopes, scope.(string))
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b endpoint) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all, nil
})

// at returns the path of the endpoint, in which the same id stands for all parameters.
func (e endpoint) at(id string) string {
	var segments []string
	for segment := range strings.SplitSeq(e.path, "/") {
		if name, isParameter := strings.CutPrefix(segment, "{"); isParameter {
			segment = id
			// If the contract lists the values that a parameter may have, the first one is used.
			if p := e.operation.Parameters.GetByInAndName("path", strings.TrimSuffix(name, "}")); p != nil &&
				len(p.Schema.Value.Enum) > 0 {
				segment = p.Schema.Value.Enum[0].(string)
			}
		}
		segments = append(segments, segment)
	}
	path := strings.Join(segments, "/")
	if e.operation.Parameters.GetByInAndName("query", "resource") != nil && e.path != "/v1/access" {
		path += "?resource=account:" + id
	}
	if e.operation.Parameters.GetByInAndName("query", "actor") != nil {
		path += "?actor=alice"
	}
	return path
}

// has reports whether the endpoint has a header parameter with this name.
func (e endpoint) has(header string) bool {
	return e.operation.Parameters.GetByInAndName("header", header) != nil
}

// body returns the schema of the request body, or nil if there is none.
func (e endpoint) body() *openapi3.Schema {
	if e.operation.RequestBody == nil {
		return nil
	}
	return e.operation.RequestBody.Value.Content.Get("application/json").Schema.Value
}

// example returns a request body from the examples in the contract.
func (e endpoint) example(t testing.TB) map[string]any {
	t.Helper()
	media := e.operation.RequestBody.Value.Content.Get("application/json")
	if object, ok := media.Example.(map[string]any); ok {
		return object
	}
	for _, example := range media.Examples {
		if object, ok := example.Value.Value.(map[string]any); ok {
			return object
		}
	}
	t.Fatalf("%s has no example of a body", e)
	return nil
}

var methods = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead,
	http.MethodOptions,
}
