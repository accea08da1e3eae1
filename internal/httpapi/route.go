package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/api"
	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
)

// scopesExtension names, in the contract, the scopes of which a key needs one for a call; none means any key.
const scopesExtension = "x-scopes"

// unknownFieldsExtension says "ignore" for the calls of a standard that others define: fields of the body that the
// contract does not name are ignored.
const unknownFieldsExtension = "x-unknown-fields"

// costExtension says as how many requests a call counts against the rate of its key; 1 if it is left out. A call that
// counts as more is one of those of which few are answered at a time.
const costExtension = "x-cost"

// personExtension and personKeysExtension are true on a schema of the contract whose value, or whose keys, are ids of
// people: "user:bob" and "bob" mean the same there.
const (
	personExtension     = "x-person"
	personKeysExtension = "x-person-keys"
)

const actorHeader = "Sluice-Actor"

// route is what the contract says about one call.
type route struct {
	path      string // as the contract has it, with {id}
	operation string
	open      bool // without a key
	scopes    apikey.Scopes
	actor     bool                // names an actor, though a key with inspect may do without
	cost      int                 // as how many requests it counts against the rate of its key
	once      bool                // may be repeated under an Idempotency-Key
	body      *openapi3.SchemaRef // of the request; nil if it has none
	lenient   bool                // ignores unknown fields of the body
	query     []*openapi3.Parameter
	segments  []*openapi3.Parameter // parameters in the path
	pages     bool                  // takes a cursor and answers with next_cursor
	streams   bool                  // answers line by line to whoever accepts that
	endless   bool                  // answers for as long as the client stays
}

// product reports whether the call is an operation of the product, which other schemas do not have.
func (r *route) product() bool { return r.scopes.Any(apikey.Operate | apikey.Provision) }

// actorOrBackend reports whether a person performs the operation with the scope operate, or the backend itself, without
// an actor, with the scope provision.
func (r *route) actorOrBackend() bool {
	return r.actor && r.operation != previewOperation && r.scopes.Any(apikey.Operate) && r.scopes.Any(apikey.Provision)
}

// contractRoutes are the calls of the contract; they are read once, as they are the same for every server in the
// process.
var contractRoutes = sync.OnceValues(func() (map[string]*route, error) { return readRoutes(api.Contract) })

// readRoutes reads the calls of a contract, by method and gin's form of the path.
func readRoutes(contract []byte) (map[string]*route, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract)
	if err != nil {
		return nil, err
	}
	routes := make(map[string]*route)
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			r, err := readRoute(path, operation)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			routes[method+" "+ginPath(path)] = r
		}
	}
	return routes, nil
}

func readRoute(path string, operation *openapi3.Operation) (*route, error) {
	r := &route{
		path: path, operation: operation.OperationID,
		open:    operation.Security != nil && len(*operation.Security) == 0,
		lenient: operation.Extensions[unknownFieldsExtension] == "ignore",
	}
	if operation.RequestBody != nil {
		content := operation.RequestBody.Value.Content.Get(gin.MIMEJSON)
		if content == nil {
			return nil, fmt.Errorf("the body of a request is %s", gin.MIMEJSON)
		}
		r.body = content.Schema
		r.pages = r.body.Value.Properties[cursorParameter] != nil
	}
	r.cost = 1
	if cost, given := operation.Extensions[costExtension].(float64); given {
		r.cost = int(cost)
	}
	names, declared := operation.Extensions[scopesExtension].([]any)
	if declared == r.open {
		return nil, fmt.Errorf("a call has either security: [] or %s", scopesExtension)
	}
	for _, name := range names {
		scope, err := apikey.ParseScopes(fmt.Sprint(name))
		if err != nil {
			return nil, err
		}
		r.scopes |= scope
	}
	for _, parameter := range operation.Parameters {
		switch parameter.Value.In {
		case openapi3.ParameterInHeader:
			r.actor = r.actor || parameter.Value.Name == actorHeader
			r.once = r.once || parameter.Value.Name == idempotencyHeader
		case openapi3.ParameterInQuery:
			r.query = append(r.query, parameter.Value)
			r.pages = r.pages || parameter.Value.Name == cursorParameter
		case openapi3.ParameterInPath:
			r.segments = append(r.segments, parameter.Value)
		}
	}
	if answer := operation.Responses.Status(http.StatusOK); answer != nil {
		r.streams = answer.Value.Content[ndjson] != nil
		r.endless = answer.Value.Content[eventStream] != nil
	}
	return r, nil
}

// hasPath reports whether the contract has the path: of some segments it names the words that can stand there.
func (r *route) hasPath(params gin.Params) bool {
	for _, segment := range r.segments {
		words := segment.Schema.Value.Enum
		if len(words) > 0 && !slices.Contains(words, any(params.ByName(segment.Name))) {
			return false
		}
	}
	return true
}

func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// checkQuery checks that the query has the parameters of the route and no others, each at most once and of its type.
func (r *route) checkQuery(query map[string][]string) error {
	for name := range query {
		if r.parameter(name) == nil {
			return authz.Errorf(authz.CodeInvalid, "the parameter %q does not exist here; %s", name, r.parameters())
		}
	}
	for _, parameter := range r.query {
		values := query[parameter.Name]
		switch {
		case len(values) == 0 && !parameter.Required:
		case len(values) == 0:
			return authz.Errorf(authz.CodeInvalid, "the parameter %q is missing", parameter.Name)
		case len(values) > 1:
			return authz.Errorf(authz.CodeInvalid, "the parameter %q is given more than once", parameter.Name)
		default:
			if problem := mismatch(parameter.Schema.Value, values[0]); problem != "" {
				return authz.Errorf(authz.CodeInvalid, "the parameter %q %s", parameter.Name, problem)
			}
		}
	}
	return nil
}

func (r *route) parameter(name string) *openapi3.Parameter {
	for _, parameter := range r.query {
		if parameter.Name == name {
			return parameter
		}
	}
	return nil
}

func (r *route) parameters() string {
	if len(r.query) == 0 {
		return "this call has none"
	}
	names := make([]string, len(r.query))
	for i, parameter := range r.query {
		names[i] = parameter.Name
	}
	return "the parameters are " + strings.Join(names, ", ")
}

// mismatch says what is wrong with a parameter's value; nothing is wrong if it says nothing.
func mismatch(schema *openapi3.Schema, value string) string {
	switch {
	case !utf8.ValidString(value):
		return "is not valid UTF-8"
	case schema.Type.Is(openapi3.TypeBoolean) && value != "true" && value != "false":
		return "must be true or false"
	case schema.Type.Is(openapi3.TypeInteger):
		n, err := strconv.Atoi(value)
		if err != nil || float64(n) < *schema.Min || float64(n) > *schema.Max {
			return fmt.Sprintf("must be a number from %g to %g", *schema.Min, *schema.Max)
		}
	case schema.Type.Is(openapi3.TypeString) && value == "" && schema.MinLength > 0:
		return "must not be empty"
	case schema.Type.Is(openapi3.TypeString) && value != "" && strings.TrimSpace(value) == "":
		return "must not be blank"
	}
	if c, found := authz.Invisible(value); found {
		return fmt.Sprintf("must not contain control or other invisible characters; this one contains %U", c)
	}
	return ""
}

// contractServer is the line of the contract that names the server.
var contractServer = []byte("  - url: http://127.0.0.1:8080\n")

// contractAt returns the contract with the address of the server in it.
func contractAt(contract []byte, publicURL string) ([]byte, error) {
	if publicURL == "" {
		return contract, nil
	}
	if bytes.Count(contract, contractServer) != 1 {
		return nil, fmt.Errorf("the contract does not name its server as %q", contractServer)
	}
	quoted, err := json.Marshal(publicURL) // JSON is YAML
	if err != nil {
		return nil, err
	}
	return bytes.Replace(contract, contractServer, fmt.Appendf(nil, "  - url: %s\n", quoted), 1), nil
}

// knownMethod returns the method, or "other" for one that is none of HTTP's usual ones.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet,
		http.MethodHead,
		http.MethodPost,
		http.MethodPut,
		http.MethodPatch,
		http.MethodDelete,
		http.MethodOptions:
		return method
	default:
		return "other"
	}
}
