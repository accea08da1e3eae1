// Package apitest checks in tests that a server's answers comply with the contract.
package apitest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/sluice-authz/sluice/api"
)

// Transport returns a transport that sends requests through next and checks each exchange against the contract. The
// test fails if the status, the headers or the body of an answer break the contract; every field of the body must be
// documented. It also fails if the server accepts a request that the contract forbids. If the contract lacks the path
// or method, the answer must be a problem document.
func Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	contract, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return &transport{t: t, next: next, contract: contract}
}

type transport struct {
	t        testing.TB
	next     http.RoundTripper
	contract *openapi3.T
}

// load reads the contract and makes it stricter: an object may have only the fields that the contract names. The
// contract itself lets a later server add fields to answers. Two parts of a request remain open: a schema with
// x-judged-alone accepts any value, and a body with x-unknown-fields: ignore accepts unknown fields.
var load = sync.OnceValues(func() (*openapi3.T, error) {
	contract, err := openapi3.NewLoader().LoadFromData(api.Contract)
	if err != nil {
		return nil, err
	}
	lenient := make(map[*openapi3.Schema]bool)
	for _, item := range contract.Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.Extensions["x-unknown-fields"] == "ignore" {
				collect(operation.RequestBody.Value.Content.Get("application/json").Schema, lenient)
			}
		}
	}
	for _, schema := range contract.Components.Schemas {
		s := schema.Value
		if lenient[s] {
			s.AdditionalProperties = openapi3.AdditionalProperties{Has: new(true)}
		}
		if s.Extensions["x-judged-alone"] == true {
			*s = openapi3.Schema{Nullable: true}
		}
		if s.Type.Is(openapi3.TypeObject) && len(s.Properties) > 0 && !lenient[s] {
			s.AdditionalProperties = openapi3.AdditionalProperties{Has: new(false)}
		}
	}
	return contract, nil
})

// collect adds a schema and the schemas of its fields.
func collect(schema *openapi3.SchemaRef, into map[*openapi3.Schema]bool) {
	if into[schema.Value] {
		return
	}
	into[schema.Value] = true
	for _, field := range schema.Value.Properties {
		collect(field, into)
	}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, req, err := copyRequest(req)
	if err != nil {
		return nil, err
	}
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if isStream(res) {
		return res, nil
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	if err := check(req.Context(), t.contract, req, sent, res, body); err != nil {
		t.t.Errorf(
			"%s %s answered %d, which breaks the contract: %v\n%s", req.Method, req.URL.EscapedPath(), res.StatusCode, err, body,
		)
	}
	return res, nil
}

// isStream reports whether the answer is a stream, which may have no end.
func isStream(res *http.Response) bool {
	contentType := res.Header.Get("Content-Type")
	return strings.HasPrefix(contentType, "text/event-stream") || strings.HasPrefix(contentType, "application/x-ndjson")
}

// copyRequest returns the body of a request, and a request with that body to send.
func copyRequest(req *http.Request) ([]byte, *http.Request, error) {
	if req.Body == nil {
		return nil, req, nil
	}
	body, err := io.ReadAll(req.Body)
	if err = errors.Join(err, req.Body.Close()); err != nil {
		return nil, nil, err
	}
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	return body, req, nil
}

// check returns an error unless a request and its answer comply with the contract.
func check(
	ctx context.Context, contract *openapi3.T, req *http.Request, sent []byte, res *http.Response, body []byte,
) error {
	if res.Header.Get("X-Request-ID") == "" {
		return errors.New("the answer has no X-Request-ID")
	}
	if err := checkStatus(contract, res, body); err != nil {
		return err
	}
	if req.Method == http.MethodHead { // the contract treats HEAD as GET without the body
		if len(body) > 0 {
			return errors.New("the answer to HEAD has a body")
		}
		req = req.Clone(ctx)
		req.Method = http.MethodGet
	}
	input := &openapi3filter.ResponseValidationInput{
		Status: res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: isHead(res),
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}
	route, params := find(contract, req)
	if route == nil {
		return checkProblem(ctx, contract, res, body)
	}
	copied := req.Clone(ctx)
	if copied.Header.Get("Content-Encoding") != "" && res.StatusCode < http.StatusBadRequest {
		copied.Header.Del("Content-Encoding")
		sent = unpack(sent)
	}
	copied.Body, copied.GetBody = io.NopCloser(bytes.NewReader(strict(sent, route.Operation))), nil
	input.RequestValidationInput = &openapi3filter.RequestValidationInput{
		Request: copied, PathParams: params, Route: route, Options: input.Options,
	}
	if res.StatusCode < http.StatusBadRequest {
		if err := openapi3filter.ValidateRequest(ctx, input.RequestValidationInput); err != nil {
			return fmt.Errorf("the server accepted a request that the contract forbids: %w", err)
		}
	}
	return openapi3filter.ValidateResponse(ctx, input)
}

// unpack returns a body decompressed. It returns a body that is not compressed unchanged.
func unpack(body []byte) []byte {
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	unpacked, err := io.ReadAll(reader)
	if err != nil {
		return body
	}
	return unpacked
}

// strict returns a body without optional fields that are null, and with times in upper case, as the schema requires.
// The introduction of the contract allows null fields and times in lower case too.
func strict(body []byte, operation *openapi3.Operation) []byte {
	if operation.RequestBody == nil {
		return body
	}
	media := operation.RequestBody.Value.Content.Get("application/json")
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if media == nil || decoder.Decode(&value) != nil {
		return body
	}
	written, err := json.Marshal(strictValue(value, media.Schema))
	if err != nil {
		return body
	}
	return written
}

func strictValue(value any, schema *openapi3.SchemaRef) any {
	if schema == nil {
		return value
	}
	for _, part := range slices.Concat(schema.Value.AllOf, schema.Value.OneOf) {
		value = strictValue(value, part)
	}
	switch v := value.(type) {
	case string:
		if schema.Value.Format == "date-time" {
			return strings.ToUpper(v)
		}
	case []any:
		for i, item := range v {
			v[i] = strictValue(item, schema.Value.Items)
		}
	case map[string]any:
		for name, field := range v {
			property := schema.Value.Properties[name]
			if property == nil {
				continue
			}
			if field == nil && !property.Value.Nullable && !slices.Contains(schema.Value.Required, name) {
				delete(v, name)
				continue
			}
			v[name] = strictValue(field, property)
		}
	}
	return value
}

// isHead reports whether the answer is to a HEAD request, and so has no body.
func isHead(res *http.Response) bool {
	return res.Request != nil && res.Request.Method == http.MethodHead
}

// find returns the operation of the contract that a request calls, and the values of the path parameters.
func find(contract *openapi3.T, req *http.Request) (*routers.Route, map[string]string) {
	segments := strings.Split(req.URL.EscapedPath(), "/")
	var best *routers.Route
	var params map[string]string
	for path, item := range contract.Paths.Map() {
		operation := item.GetOperation(req.Method)
		found, ok := match(strings.Split(path, "/"), segments)
		// If two paths match, the one with fewer parameters wins.
		if operation == nil || !ok || best != nil && len(params) <= len(found) {
			continue
		}
		best = &routers.Route{Spec: contract, Path: path, PathItem: item, Method: req.Method, Operation: operation}
		params = found
	}
	return best, params
}

func match(template, segments []string) (map[string]string, bool) {
	if len(template) != len(segments) {
		return nil, false
	}
	params := make(map[string]string)
	for i, part := range template {
		if name, isParam := strings.CutPrefix(part, "{"); isParam {
			value, err := url.PathUnescape(segments[i])
			if err != nil || value == "" {
				return nil, false
			}
			params[strings.TrimSuffix(name, "}")] = value
		} else if part != segments[i] {
			return nil, false
		}
	}
	return params, true
}

// checkStatus returns an error unless a problem document has the status that the contract assigns to its code.
func checkStatus(contract *openapi3.T, res *http.Response, body []byte) error {
	if res.Header.Get("Content-Type") != "application/problem+json" || len(body) == 0 {
		return nil
	}
	var problem struct {
		Code   string
		Status int
	}
	if err := json.Unmarshal(body, &problem); err != nil {
		return err
	}
	statuses, _ := contract.Components.Schemas["Code"].Value.Extensions["x-status"].(map[string]any)
	if wanted := fmt.Sprint(statuses[problem.Code]); wanted != strconv.Itoa(res.StatusCode) ||
		problem.Status != res.StatusCode {
		return fmt.Errorf("the code %q has the status %s, and the document says %d", problem.Code, wanted, problem.Status)
	}
	return nil
}

func checkProblem(ctx context.Context, contract *openapi3.T, res *http.Response, body []byte) error {
	if res.StatusCode < http.StatusBadRequest {
		return errors.New("the contract has no such call")
	}
	problem := openapi3.NewResponse().WithDescription("A problem.").WithContent(openapi3.Content{
		"application/problem+json": openapi3.NewMediaType().WithSchemaRef(contract.Components.Schemas["Problem"]),
	})
	operation := openapi3.NewOperation()
	operation.Responses = openapi3.NewResponses(openapi3.WithStatus(res.StatusCode, &openapi3.ResponseRef{Value: problem}))
	return openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: res.Request, Route: &routers.Route{Spec: contract, Operation: operation},
		},
		Status: res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: isHead(res)},
	})
}
