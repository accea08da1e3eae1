package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/api"
)

// TestRequestsRefuseInexactNumbers sends numbers in every field of the contract that accepts any value. If a float64
// cannot hold a number exactly, the error must name the field and say to send a string. Other numbers must be accepted.
func TestRequestsRefuseInexactNumbers(t *testing.T) {
	requests := freeFields()
	contract, err := openapi3.NewLoader().LoadFromData(api.Contract)
	require.NoError(t, err)
	for path, item := range contract.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody != nil && takesAnything(
				operation.RequestBody.Value.Content.Get("application/json").Schema.Value, nil,
			) {
				require.Contains(t, requests, path, "%s %s", method, path)
			}
		}
	}
	w := serve(t)
	for path, fields := range requests {
		for field, body := range fields {
			send := func(number string) response {
				r := request{
					method: http.MethodPost,
					path:   path,
					key:    checkKey,
					body:   strings.ReplaceAll(body, "%", number),
				}
				switch path {
				case "/v1/preview":
					r.key, r.actor = operateKey, "alice"
				case "/v1/relationships":
					r.key = writeKey
				}
				return w.do(t, r)
			}
			for _, number := range []string{"9007199254740993", "-9.007199254740993e15", "0.12345678901234567"} {
				got := send(number)
				require.Contains(t, got.body, field+`\" holds the number `+number, path)
				require.Contains(t, got.body, "send it as a string", path)
				if path == "/v1/check/bulk" || strings.Contains(body, `"evaluations"`) {
					require.Equal(t, http.StatusOK, got.status, "only the item has the error")
				} else {
					got.wantProblem(t, http.StatusBadRequest, "invalid")
				}
			}
			for _, number := range []string{"9007199254740992", "0.1", `"9007199254740993"`} {
				require.NotContains(t, send(number).body, "holds the number", "%s %s", path, field)
			}
		}
	}
}

// freeFields has the requests with a field that accepts any value: path → field → body. % in the body stands for
// the value of the field.
func freeFields() map[string]map[string]string {
	const (
		check  = `{"subject":"user:a","permission":"view","resource":"importer:i1","context":{"n":[%]}}`
		entity = `"subject":{"type":"user","id":"a"},"resource":{"type":"importer","id":"i1"},"action":{"name":"view"}`
		eval   = "/access/v1/evaluation"
	)
	requests := map[string]map[string]string{
		"/v1/check":       {"context.n[0]": check},
		"/v1/check/bulk":  {"context.n[0]": `{"checks":[` + check + `]}`},
		"/v1/explain":     {"context.n[0]": check},
		"/v1/permissions": {"context.n": `{"subject":"user:a","resource":"importer:i1","context":{"n":%}}`},
		"/v1/lookup/resources": {
			"context.n": `{"subject":"user:a","permission":"view","resource_type":"importer","context":{"n":%}}`,
		},
		"/v1/lookup/subjects": {
			"context.n": `{"resource":"importer:i1","permission":"view","subject_type":"user","context":{"n":%}}`,
		},
		"/v1/relationships": {
			"updates[0].caveat.context.n": `{"updates":[{"operation":"touch","relationship":"importer:i#account@account:a","caveat":{"name":"c","context":{"n":%}}}]}`,
		},
		"/v1/preview": {"body.n": `{"method":"POST","path":"/v1/importers","body":{"n":%}}`},
		eval:          searches(entity),
		eval + "s": {
			"context.n":            `{` + entity + `,"context":{"n":%}}`,
			"subject.properties.n": `{"evaluations":[{"subject":{"type":"user","id":"a","properties":{"n":%}},"resource":{"type":"importer","id":"i1"},"action":{"name":"view"}}]}`,
		},
		"/access/v1/search/subject":  searches(entity),
		"/access/v1/search/resource": searches(entity),
		"/access/v1/search/action":   searches(entity),
	}
	delete(requests["/access/v1/search/action"], "action.properties.n") // this search ignores the properties of the action
	return requests
}

// searches has bodies of AuthZEN searches with a number in each field that accepts one.
func searches(entity string) map[string]string {
	bodies := map[string]string{"context.n": `{` + entity + `,"context":{"n":%}}`}
	for field, begin := range map[string]string{
		"subject": `"subject":{"type":"user","id":"a"`, "resource": `"resource":{"type":"importer","id":"i1"`,
		"action": `"action":{"name":"view"`,
	} {
		bodies[field+".properties.n"] = `{` + strings.Replace(entity, begin, begin+`,"properties":{"n":%}`, 1) + `}`
	}
	return bodies
}

// takesAnything reports whether a schema contains an object with arbitrary fields.
func takesAnything(schema *openapi3.Schema, within []*openapi3.Schema) bool {
	for _, outer := range within {
		if outer == schema {
			return false
		}
	}
	within = append(within, schema)
	if schema.AdditionalProperties.Has != nil && *schema.AdditionalProperties.Has {
		return true
	}
	refs := append(
		append(
			append(
				openapi3.SchemaRefs{schema.Items, schema.AdditionalProperties.Schema},
				schema.AllOf...),
			schema.AnyOf...,
		),
		schema.OneOf...,
	)
	for _, property := range schema.Properties {
		refs = append(refs, property)
	}
	for _, ref := range refs {
		if ref != nil && takesAnything(ref.Value, within) {
			return true
		}
	}
	return false
}
