package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/api"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/explain"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/preview"
)

// callRecorder records the calls of the handlers.
type callRecorder struct{ q []any }

func (w *callRecorder) note(what ...any) { w.q = append(w.q, what...) }

// Explain implements httpapi.Explainer.
func (w *callRecorder) Explain(_ context.Context, q explain.Question) (explain.Explanation, error) {
	w.note(q)
	return explain.Explanation{Token: token}, nil
}

// HideOwn implements httpapi.Previewer.
func (*callRecorder) HideOwn(context.Context, authz.Actor, *preview.Overlay) error { return nil }

// Effects implements httpapi.Previewer.
func (w *callRecorder) Effects(_ context.Context, actor authz.Actor, _ *preview.Overlay) (preview.Effects, error) {
	w.note(actor)
	return preview.Effects{}, nil
}

// postJSON sends a body to a call of the contract. It returns the answer and the recorded calls.
func postJSON(t *testing.T, method, path string, body []byte) (*httptest.ResponseRecorder, string) {
	t.Helper()
	recorder := new(callRecorder)
	w := open(t, func(c *httpapi.Config) {
		c.Explainer, c.Previewer = recorder, recorder
		c.Operate = func(operation.Engine) httpapi.Operations { return c.Operations }
	})
	w.engine.check = func(
		_ context.Context, check authz.Check, at authz.Consistency,
	) (authz.Decision, authz.Token, error) {
		recorder.note(check, at)
		return authz.Decision{State: authz.Allowed}, token, nil
	}
	w.engine.bulk = func(
		_ context.Context, checks []authz.Check, at authz.Consistency,
	) ([]authz.CheckResult, authz.Token, error) {
		recorder.note(checks, at)
		return make([]authz.CheckResult, len(checks)), token, nil
	}
	w.engine.resources = func(
		query authz.ResourceQuery, at authz.Consistency, page authz.Page,
	) iter.Seq2[authz.FoundResource, error] {
		recorder.note(query, at, page)
		return func(func(authz.FoundResource, error) bool) {}
	}
	w.engine.subjects = func(
		_ context.Context, query authz.SubjectQuery,
	) iter.Seq2[authz.FoundSubject, error] {
		recorder.note(query)
		return func(func(authz.FoundSubject, error) bool) {}
	}
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(string(body)))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Request-ID", "r1")
	request.Header.Set("Idempotency-Key", "k1")
	var answer *httptest.ResponseRecorder
	for _, key := range []string{operateKey, provisionKey, checkKey, writeKey} {
		request.Header.Set("Authorization", "Bearer "+key)
		if request.Header.Set("Sluice-Actor", "alice"); key == provisionKey {
			request.Header.Del("Sluice-Actor")
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		answer = httptest.NewRecorder()
		w.handler.ServeHTTP(answer, request)
		if answer.Code != http.StatusForbidden {
			break
		}
	}
	digest := ""
	if w.operations.caller.Idempotency != nil {
		digest = w.operations.caller.Idempotency.Request
	}
	return answer, fmt.Sprintf("%s %s %s %s", w.operations.name, asJSON(w.operations.args), digest, asJSON(recorder.q))
}

func asJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// TestNullMeansAbsentForOptionalFields sets every optional field in the bodies of the contract to null, at every depth.
// The answer, the recorded calls and the digest for the Idempotency-Key must be the same as without the field. A
// required field must not accept null.
func TestNullMeansAbsentForOptionalFields(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Contract)
	require.NoError(t, err)
	fields := 0
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody == nil {
				continue
			}
			media := operation.RequestBody.Value.Content.Get("application/json")
			at := strings.NewReplacer("{id}", "x", "{user}", "bob").Replace(path)
			for _, v := range variants(media.Schema.Value, exampleOf(t, media)) {
				absent, q := postJSON(t, method, at, asJSON(v.absent))
				null, askedNull := postJSON(t, method, at, asJSON(v.null))
				if v.required {
					require.Regexp(
						t,
						`"code":"invalid"|"status":400`,
						null.Body.String(),
						"%s %s with null for %s",
						method,
						path,
						v.field,
					)
					continue
				}
				require.Less(t, absent.Code, 500, "%s %s: %s", method, path, absent.Body)
				require.Equal(t, absent.Code, null.Code, "%s %s with null for %s: %s", method, path, v.field, null.Body)
				require.Equal(
					t,
					absent.Body.String(),
					null.Body.String(),
					"%s %s with null for %s",
					method,
					path,
					v.field,
				)
				require.Equal(t, q, askedNull, "%s %s with null for %s", method, path, v.field)
				if null.Code < http.StatusMultipleChoices {
					fields++
				}
			}
		}
	}
	require.Greater(t, fields, 60, "number of optional fields that were tested")
}

func exampleOf(t *testing.T, media *openapi3.MediaType) any {
	t.Helper()
	if media.Example != nil {
		return media.Example
	}
	for _, name := range slices.Sorted(maps.Keys(media.Examples)) {
		return media.Examples[name].Value.Value
	}
	t.Fatal("a body has no example")
	return nil
}

// variant is a value without a field, and the same value with null in this field.
type variant struct {
	field        string
	required     bool
	absent, null any
}

// variants returns the variants of a value for every field of its schema, at every depth. It first adds empty objects
// that the value lacks.
func variants(schema *openapi3.Schema, value any) []variant {
	var all []variant
	within := func(name string, inner []variant, put func(any) any) {
		for _, v := range inner {
			all = append(all, variant{name + "." + v.field, v.required, put(v.absent), put(v.null)})
		}
	}
	for _, part := range slices.Concat(schema.AllOf, schema.OneOf) {
		all = append(all, variants(part.Value, value)...)
	}
	if schema.Items != nil {
		if list, ok := value.([]any); ok && len(list) > 0 {
			within("0", variants(schema.Items.Value, list[0]), func(item any) any {
				changed := slices.Clone(list)
				changed[0] = item
				return changed
			})
		}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return all
	}
	with := func(name string, field any) any {
		changed := maps.Clone(object)
		changed[name] = field
		return changed
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name].Value
		if !property.Nullable {
			absent := maps.Clone(object)
			delete(absent, name)
			all = append(all, variant{name, slices.Contains(schema.Required, name), absent, with(name, nil)})
		}
		field, given := object[name]
		if !given && len(property.Properties) > 0 {
			field = map[string]any{}
		}
		within(name, variants(property, field), func(inner any) any { return with(name, inner) })
	}
	return all
}

func TestTimesInBodiesMayBeInLowerCase(t *testing.T) {
	body := func(at string) []byte { return []byte(`{"roles":["user"],"expires_at":"` + at + `"}`) }
	_, upper := postJSON(t, http.MethodPut, "/v1/accounts/acme/members/bob", body("2030-01-31T17:00:00.5Z"))
	answer, lower := postJSON(t, http.MethodPut, "/v1/accounts/acme/members/bob", body("2030-01-31t17:00:00.5z"))
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	require.Equal(t, upper, lower)
	require.Contains(t, lower, "PutAccountMember")
	for other, usual := range map[string]string{
		"2030-12-31T23:59:60Z":          "2031-01-01T00:00:00Z",
		"2031-01-01t01:59:60.999+02:00": "2031-01-01T02:00:00+02:00",
		`2030-01-31\u007417:00:00z`:     "2030-01-31T17:00:00Z",
	} {
		answer, read := postJSON(t, http.MethodPut, "/v1/accounts/acme/members/bob", body(other))
		require.Equal(t, http.StatusOK, answer.Code, answer.Body)
		_, same := postJSON(t, http.MethodPut, "/v1/accounts/acme/members/bob", body(usual))
		require.Equal(t, same, read, other)
	}
	for _, wrong := range []string{"2030-01-31x17:00:00z", "2030-01-31 17:00:00Z", "2030-01-31t17:00:00"} {
		if answer, _ := postJSON(t, http.MethodPut, "/v1/accounts/acme/members/bob", body(wrong)); answer.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", wrong, answer.Code, answer.Body)
		}
	}
}
