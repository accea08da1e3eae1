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

// scopesExtension lists the scopes of a call in the contract. The key needs one of them. An empty list accepts any key.
const scopesExtension = "x-scopes"

// unknownFieldsExtension is "ignore" for calls that ignore unknown fields of the body. They belong to AuthZEN, which
// requires this.
const unknownFieldsExtension = "x-unknown-fields"

// costExtension is the cost of a call: how many requests it counts in the rate limit of its key. The default is 1.
// Calls with a higher cost also share the limit Config.Expensive.
const costExtension = "x-cost"

// personExtension marks a schema whose value is the id of a person. personKeysExtension marks the schema of an object
// whose keys are ids of people. In both, "user:bob" means the same as "bob".
const (
	personExtension     = "x-person"
	personKeysExtension = "x-person-keys"
)

const actorHeader = "Sluice-Actor"

// route is the description of one call in the contract.
type route struct {
	path        string // path in the form of the contract, with {id}
	operation   string
	open        bool // needs no key
	scopes      apikey.Scopes
	actor       bool                // the call takes an actor, which may be optional
	cost        int                 // how many requests the call counts in the rate limit
	idempotent  bool                // accepts an Idempotency-Key
	conditional bool                // accepts an If-Match
	write       *write              // how to decode the operation, if it changes something
	body        *openapi3.SchemaRef // schema of the body, or nil
	lenient     bool                // ignores unknown fields of the body
	query       []*openapi3.Parameter
	segments    []*openapi3.Parameter // parameters in the path
	pages       bool                  // takes a cursor and answers with next_cursor
	streams     bool                  // can answer as a stream of lines
	endless     bool                  // streams until the client disconnects
}

// isProductOperation reports whether the call is an operation of the product, which other schemas do not have. Writes
// of other types are such operations too: their idempotency keys and deletions have types of the product.
func (r *route) isProductOperation() bool {
	return r.scopes.Any(apikey.Operate | apikey.Provision | apikey.Write)
}

// actorOrBackend reports whether two callers may perform the operation: a person (scope operate, with an actor), and
// the backend itself (scope provision, without an actor).
func (r *route) actorOrBackend() bool {
	return r.actor && r.operation != previewOperation && r.scopes.Any(apikey.Operate) && r.scopes.Any(apikey.Provision)
}

// contractRoutes returns the routes of the contract. It reads them once for all servers of the process.
var contractRoutes = sync.OnceValues(func() (map[string]*route, error) { return readRoutes(api.Contract) })

// readRoutes reads the routes of a contract, by method and gin's form of the path.
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
			return nil, fmt.Errorf("the body of a request must be %s", gin.MIMEJSON)
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
		return nil, fmt.Errorf("a call must have either security: [] or %s", scopesExtension)
	}
	for _, name := range names {
		scope, types, err := apikey.ParseScopes(fmt.Sprint(name))
		if err != nil {
			return nil, err
		}
		if len(types) > 0 {
			return nil, fmt.Errorf("%s names a type; a call needs write", scopesExtension)
		}
		r.scopes |= scope
	}
	for _, parameter := range operation.Parameters {
		switch parameter.Value.In {
		case openapi3.ParameterInHeader:
			r.actor = r.actor || parameter.Value.Name == actorHeader
			r.conditional = r.conditional || parameter.Value.Name == ifMatchHeader
			r.idempotent = r.idempotent || parameter.Value.Name == idempotencyHeader
		case openapi3.ParameterInQuery:
			r.query = append(r.query, parameter.Value)
			r.pages = r.pages || parameter.Value.Name == cursorParameter
		case openapi3.ParameterInPath:
			r.segments = append(r.segments, parameter.Value)
		}
	}
	if r.idempotent {
		w, found := writes[r.operation]
		if !found {
			return nil, fmt.Errorf(
				"the operation %s accepts an %s, but the variable writes has no entry for it", r.operation, idempotencyHeader,
			)
		}
		r.write = &w
	}
	if answer := operation.Responses.Status(http.StatusOK); answer != nil {
		r.streams = answer.Value.Content[ndjson] != nil
		r.endless = answer.Value.Content[eventStream] != nil
	}
	return r, nil
}

// hasPath reports whether the contract allows the segments of the path. It limits some segments to a list of words.
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

// checkQuery checks that the query has only parameters of the route, each at most once and of the right type.
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
			return authz.Errorf(authz.CodeInvalid, "the parameter %q is missing%s", parameter.Name, exampleOf(parameter))
		case len(values) > 1:
			return authz.Errorf(authz.CodeInvalid, "the parameter %q is given more than once; give it once", parameter.Name)
		default:
			if problem := mismatch(parameter, values[0]); problem != "" {
				return authz.Errorf(authz.CodeInvalid, "the parameter %q %s", parameter.Name, problem)
			}
		}
	}
	return nil
}

// exampleOf returns the end of an error message, which shows a valid value of a parameter. It returns an empty string
// if the contract has no example of the parameter.
func exampleOf(parameter *openapi3.Parameter) string {
	if parameter.Example == nil {
		return ""
	}
	return fmt.Sprintf("; for example %s=%v", parameter.Name, parameter.Example)
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

// mismatch says why the value of a parameter is not valid, or returns an empty string if it is.
func mismatch(parameter *openapi3.Parameter, value string) string {
	schema := parameter.Schema.Value
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
		return "must not be empty" + exampleOf(parameter)
	case schema.Type.Is(openapi3.TypeString) && value != "" && strings.TrimSpace(value) == "":
		return "must not be blank" + exampleOf(parameter)
	}
	if c, found := authz.Invisible(value); found {
		return fmt.Sprintf("must not contain control or other invisible characters; this one contains %U", c)
	}
	return ""
}

// contractServer is the line of the contract with the address of the server.
var contractServer = []byte("  - url: http://127.0.0.1:8080\n")

// contractAt returns the contract with the given address of the server.
func contractAt(contract []byte, publicURL string) ([]byte, error) {
	if publicURL == "" {
		return contract, nil
	}
	if bytes.Count(contract, contractServer) != 1 {
		return nil, fmt.Errorf("api/openapi.yaml must contain the line %q exactly once", contractServer)
	}
	quoted, err := json.Marshal(publicURL) // a JSON string is valid YAML
	if err != nil {
		return nil, err
	}
	return bytes.Replace(contract, contractServer, fmt.Appendf(nil, "  - url: %s\n", quoted), 1), nil
}

// knownMethod returns the method, or "other" if it is unusual, to bound the values of the metric label.
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
