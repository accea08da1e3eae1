// Package httpapi serves the HTTP API of the contract in api/openapi.yaml. The contract defines the form of each
// request and the scopes that it needs. An operation that changes something has an entry in writes. Every other
// operation of the contract has a handler.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-authz/sluice/api"
	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/owntype"
)

// defaultTimeout is the default of Config.Timeout.
const defaultTimeout = 30 * time.Second

// Engine is the part of authz.Engine that the API needs.
type Engine interface {
	authz.Checker
	authz.ResourceFinder
	authz.SubjectFinder
	authz.Reader
}

// Config has the dependencies and settings of the API.
type Config struct {
	// Engine decides checks and reads relationships.
	Engine Engine

	// Operations performs the product operations. It is nil if the served schema lacks the definitions of the product.
	// Then each product operation answers with the code not_found.
	Operations Operations

	// Operate returns the operations on another engine, for previews. Previewer computes the effects of previewed
	// operations. Both are required if Operations is set.
	Operate   func(operation.Engine) Operations
	Previewer Previewer

	// Explainer explains decisions.
	Explainer Explainer

	// History is the audit log. If it is nil, the calls about the audit log answer not_found.
	History History

	// Stopping ends when the server begins to stop, which ends endless streams. It may be nil.
	Stopping context.Context //nolint:containedctx // the context ends with the server

	// Definitions returns the definitions of the served schema. It is called for every request that needs them.
	Definitions func(context.Context) ([]authz.Definition, error)

	// OwnTypes say which relationships callers may write. They are required if Operations is set.
	OwnTypes *owntype.Rules

	// CaveatParameters are the parameter names of all caveats in the served schema. Of the properties and the context
	// of an AuthZEN request, the engine receives only these parts.
	CaveatParameters []string

	// Ready returns nil if the server can decide checks.
	Ready func(context.Context) error

	// Keys are the API keys of the server.
	Keys *apikey.Keys

	// PublicURL is the address of the server for clients. The served contract names this address.
	PublicURL string

	// Expensive is how many explanations, previews and queries of past access may run at a time. Zero means one per
	// processor.
	Expensive int

	// Timeout is the longest duration of a request. Zero means 30 seconds.
	Timeout time.Duration

	// Logger receives a line for each request. Nil means no log.
	Logger *slog.Logger

	// Metrics counts requests. If it is nil, nobody can read the counts.
	Metrics *Metrics

	// ActiveRequests tracks the requests that are being answered. It may be nil.
	ActiveRequests *ActiveRequests

	// Tracing creates the spans of requests. Nil means none.
	Tracing trace.TracerProvider
}

// Operations has all product operations. Each file of handlers declares those that it uses.
type Operations interface {
	platformOperations
	subscriptionOperations
	subscriptionMemberOperations
	groupOperations
	roleOperations
	serviceAccountOperations
	accountOperations
	accountMemberOperations
	offboardingOperations
	invitationOperations
	importerOperations
	connectionOperations
	workspaceOperations
	partOperations
	contentOperations
	relationshipOperations
}

// server performs the checks that all requests share, and calls the handler of each request. The handlers are methods
// of the embedded structs.
type server struct {
	*responder
	*decisionAPI
	authZENAPI
	auditAPI
	explainAPI
	previewAPI
	productAPI
	systemAPI

	config Config
	routes map[string]*route // routes by method and gin's path, for example "GET /v1/accounts/:id"
}

var _ ServerInterface = (*server)(nil)

// New returns the handler of the API.
func New(config Config) (http.Handler, error) {
	switch {
	case config.Engine == nil, config.Explainer == nil, config.Definitions == nil, config.Ready == nil, config.Keys == nil:
		return nil, errors.New("the API needs Engine, Explainer, Definitions, Ready and Keys")
	case config.Operations != nil && config.OwnTypes == nil:
		return nil, errors.New("the API needs OwnTypes for Operations")
	}
	if config.Timeout == 0 {
		config.Timeout = defaultTimeout
	}
	if config.Expensive == 0 {
		config.Expensive = runtime.GOMAXPROCS(0)
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Metrics == nil {
		config.Metrics = NewMetrics()
	}
	if config.ActiveRequests == nil {
		config.ActiveRequests = new(ActiveRequests)
	}
	routes, err := contractRoutes()
	if err != nil {
		return nil, fmt.Errorf("reading the contract: %w", err)
	}
	contract, err := contractAt(api.Contract, config.PublicURL)
	if err != nil {
		return nil, err
	}
	return newServer(config, routes, newStaticFile("application/yaml", contract)).handler(), nil
}

// newServer creates each part of the server with its dependencies.
func newServer(config Config, routes map[string]*route, contract staticFile) *server {
	respond := &responder{definitions: config.Definitions, logger: config.Logger}
	hasProduct := config.Operations != nil
	inspect := inspector{schema: config.Definitions, hasProduct: hasProduct}
	expensive := make(slots, config.Expensive)
	decide := &decisionAPI{
		responder: respond, inspector: inspect, engine: config.Engine, metrics: config.Metrics, timeout: config.Timeout,
	}
	return &server{
		responder: respond, config: config, routes: routes,
		decisionAPI: decide,
		authZENAPI: authZENAPI{
			decisionAPI: decide, caveatParameters: config.CaveatParameters, publicURL: config.PublicURL,
		},
		auditAPI: auditAPI{
			responder: respond, history: config.History, expensive: expensive, keys: config.Keys,
			stopping: config.Stopping, timeout: config.Timeout,
		},
		explainAPI: explainAPI{
			responder: respond, inspector: inspect, explainer: config.Explainer, expensive: expensive,
			metrics: config.Metrics,
		},
		previewAPI: previewAPI{
			responder: respond, engine: config.Engine, operate: config.Operate, previewer: config.Previewer,
			expensive: expensive, matcher: newMatcher(routes), hasProduct: hasProduct, own: config.OwnTypes,
		},
		productAPI: productAPI{responder: respond, operations: config.Operations},
		systemAPI: systemAPI{
			responder: respond, contract: contract, metrics: config.Metrics, ready: config.Ready,
		},
	}
}

// newRouter returns a router without routes.
func newRouter() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	// Match paths as the client sent them, so that an id may contain any byte; guard unescapes the ids. Gin itself
	// would unescape them like a query, in which '+' is a space.
	engine.UseEscapedPath = true
	engine.UnescapePathValues = false
	engine.RedirectTrailingSlash = false
	engine.HandleMethodNotAllowed = true
	engine.ForwardedByClientIP = false
	return engine
}

func (s *server) handler() http.Handler {
	engine := newRouter()
	engine.Use(s.trackRequest)
	if s.config.Tracing != nil {
		engine.Use(otelgin.Middleware("sluice", otelgin.WithTracerProvider(s.config.Tracing)), hidePath)
	}
	engine.Use(s.recoverPanic, s.limitBody, s.guard)
	engine.NoRoute(s.noRoute)
	engine.NoMethod(s.noMethod)
	s.registerWrites(engine)
	RegisterHandlersWithOptions(engine, s, GinServerOptions{ErrorHandler: s.rejectParameter})
	return limitHeaders(headAsGet(engine))
}

func (s *server) noRoute(c *gin.Context) { s.problem(c, errNoRoute) }

var (
	errNoRoute   = authz.Errorf(authz.CodeNotFound, "this path does not exist; GET /openapi.yaml lists all paths")
	errNoProduct = authz.Errorf(
		authz.CodeNotFound,
		"the schema of this server lacks the definitions of the product, so there are no product operations",
	)
)

func (s *server) noMethod(c *gin.Context) {
	allow := allowHead(c.Writer.Header().Get("Allow"))
	c.Header("Allow", allow)
	s.problem(c, noMethodError(callOf(c).method, allow))
}

// noMethodError returns the error for a path that accepts only other methods, which allow lists.
func noMethodError(method, allow string) error {
	return authz.Errorf(
		authz.CodeMethodNotAllowed, "this path does not accept %s; it accepts %s", authz.Echo(method), allow,
	)
}

// rejectParameter answers a request with a parameter that the generated code could not bind. guard has already checked
// all parameters, so it is not expected to run.
func (s *server) rejectParameter(c *gin.Context, err error, _ int) {
	s.problem(c, &authz.Error{Code: authz.CodeInvalid, Message: "a parameter of the request is malformed", Cause: err})
}
