// Package httpapi serves the HTTP API of the contract in api/openapi.yaml. The contract decides what a request may
// look like and which scope it needs; each of its operations has one handler here.
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
	"github.com/sluice-authz/sluice/internal/explain"
)

// DefaultTimeout is how long a request may take, if nothing else is said.
const DefaultTimeout = 30 * time.Second

// Config is what the API stands on.
type Config struct {
	// Engine decides and reads.
	Engine authz.Engine

	// Operations performs the product operations. It is nil when the served schema lacks the product's definitions; then
	// they are not_found.
	Operations Operations

	// Operate returns the operations on another engine, to preview them, and Previewer tells what they would change. Both
	// are there if Operations is.
	Operate   func(authz.Engine) Operations
	Previewer Previewer

	// Explainer says why; nil means one that knows no operations.
	Explainer Explainer

	// History is the audit log; without one its calls are not_found.
	History History

	// Stopping ends when the server is about to stop; streams that would go on for ever end with it. It may be nil.
	Stopping context.Context //nolint:containedctx // it is the server's

	// Definitions describes the served schema. It is asked on every request that needs it.
	Definitions func(context.Context) ([]authz.Definition, error)

	// CaveatParameters are the names that the caveats of the served schema ask the context for. Of what an AuthZEN request
	// says about its subject, action, resource and context, nothing else reaches the engine.
	CaveatParameters []string

	// Ready returns nil when the server can decide.
	Ready func(context.Context) error

	// Keys are those that requests may carry.
	Keys *apikey.Keys

	// PublicURL is where clients reach the server; the contract that it serves names it.
	PublicURL string

	// Expensive is how many explanations, previews and questions about past access are answered at a time; zero means one
	// a processor.
	Expensive int

	// Timeout is how long a request may take; zero means DefaultTimeout.
	Timeout time.Duration

	// Logger has a line for each request; nil means none.
	Logger *slog.Logger

	// Metrics counts requests; nil means a registry of the API's own.
	Metrics *Metrics

	// UnderWay knows the requests that are being answered; nil means that nobody asks.
	UnderWay *UnderWay

	// Tracing makes the spans of requests; nil means none.
	Tracing trace.TracerProvider
}

// Operations is every product operation, as each file of handlers asks for its own.
type Operations interface {
	platformOperations
	subscriptionOperations
	subscriptionMemberOperations
	accountOperations
	accountMemberOperations
	leavingOperations
	invitationOperations
	importerOperations
	connectionOperations
	workspaceOperations
	partOperations
	contentOperations
}

type server struct {
	Config
	routes   map[string]*route // by method and gin's path, "GET /v1/accounts/:id"
	contract []byte
	places   chan struct{} // one for each expensive call under way

	rehearses bool     // what is asked for is not performed
	uncounted *Metrics // of what is not performed
}

var _ ServerInterface = (*server)(nil)

// New returns the handler of the API.
func New(config Config) (http.Handler, error) {
	switch {
	case config.Engine == nil, config.Definitions == nil, config.Ready == nil, config.Keys == nil:
		return nil, errors.New("the API needs an engine, the definitions of its schema, a readiness and keys")
	}
	if config.Timeout == 0 {
		config.Timeout = DefaultTimeout
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
	if config.UnderWay == nil {
		config.UnderWay = new(UnderWay)
	}
	if config.Explainer == nil {
		config.Explainer = explain.New(config.Engine, config.Definitions, nil)
	}
	routes, err := contractRoutes()
	if err != nil {
		return nil, fmt.Errorf("reading the contract: %w", err)
	}
	contract, err := contractAt(api.Contract, config.PublicURL)
	if err != nil {
		return nil, err
	}
	return (&server{
		Config: config, routes: routes, contract: contract, places: make(chan struct{}, config.Expensive),
		uncounted: NewMetrics(),
	}).handler(), nil
}

func (s *server) handler() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	// Paths are matched as they were sent, so that an id may hold any byte; guard unescapes the ids, once. (Gin's own
	// unescaping is that of queries, in which '+' is a space.)
	engine.UseEscapedPath = true
	engine.UnescapePathValues = false
	engine.RedirectTrailingSlash = false
	engine.HandleMethodNotAllowed = true
	engine.ForwardedByClientIP = false

	engine.Use(s.begin)
	if s.Tracing != nil {
		engine.Use(otelgin.Middleware("sluice", otelgin.WithTracerProvider(s.Tracing)), hidePath)
	}
	engine.Use(s.catch, s.limitBody, s.guard)
	engine.NoRoute(s.noRoute)
	engine.NoMethod(s.noMethod)
	RegisterHandlersWithOptions(engine, s, GinServerOptions{ErrorHandler: s.unbound})
	return limitHeaders(headAsGet(engine))
}

func (s *server) noRoute(c *gin.Context) { s.problem(c, errNoRoute) }

var (
	errNoRoute   = authz.Errorf(authz.CodeNotFound, "there is nothing at this path; GET /openapi.yaml lists what there is")
	errNoProduct = authz.Errorf(
		authz.CodeNotFound,
		"the schema that this server serves lacks the product's definitions, so there are no product operations",
	)
)

func (s *server) noMethod(c *gin.Context) {
	allow := allowHead(c.Writer.Header().Get("Allow"))
	c.Header("Allow", allow)
	s.problem(
		c,
		authz.Errorf(
			authz.CodeMethodNotAllowed, "this path does not take %s; it takes %s", authz.Echo(callOf(c).method), allow,
		),
	)
}

// unbound answers a parameter that the generated code could not bind. As guard has looked at every parameter, it is a
// second line of defence.
func (s *server) unbound(c *gin.Context, err error, _ int) {
	s.problem(c, &authz.Error{Code: authz.CodeInvalid, Message: "a parameter of the request is malformed", Cause: err})
}
