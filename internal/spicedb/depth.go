package spicedb

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxDepth is how many steps SpiceDB follows one behind the other; SpiceDB's default.
	maxDepth = 50

	// lookupStep is the span of one step of a look-up of resources.
	lookupStep = "DispatchLookupResources2"
)

const depthMessage = "the relationships behind this are nested too deeply, or in a circle"

// checkDepth fails at the last step of a look-up of resources that SpiceDB would follow. SpiceDB v1.56.0 checks the resources that it
// finds there, if the permission has an intersection or an exclusion, with a filter for no steps at all: adding to it is a loop that
// never ends, in which SpiceDB notices nothing of what it reads or of the end of the call.
func checkDepth(ctx context.Context) error {
	if depthOf(ctx) >= maxDepth {
		return status.Error(codes.ResourceExhausted, depthMessage)
	}
	return nil
}

// depthOf is how many steps of a look-up of resources lead to a context.
func depthOf(ctx context.Context) int {
	if span, counted := trace.SpanFromContext(ctx).(stepSpan); counted {
		return span.depth
	}
	return 0
}

// stepSpan is a span that knows how many steps of a look-up of resources lead to it.
type stepSpan struct {
	trace.Span

	depth int
}

// steps is the global provider of tracers, so that the steps of look-ups are counted: SpiceDB evaluates each step under a new context
// that has nothing of the one before it but the span and the data layer. The provider that replaces it, if any, makes the spans.
var steps trace.TracerProvider = &stepProvider{}

func init() { otel.SetTracerProvider(steps) }

type stepProvider struct{ embedded.TracerProvider }

// Tracer implements trace.TracerProvider.
func (p *stepProvider) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return &stepTracer{name: name, options: options}
}

type stepTracer struct {
	embedded.Tracer

	name    string
	options []trace.TracerOption
	behind  atomic.Pointer[behindTracer]
}

// behindTracer is the tracer of a provider.
type behindTracer struct {
	provider trace.TracerProvider
	tracer   trace.Tracer
}

// Start implements trace.Tracer.
func (t *stepTracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	depth := depthOf(ctx)
	if name == lookupStep {
		depth++
	}
	ctx, span := t.own().Start(ctx, name, options...)
	if depth == 0 {
		return ctx, span
	}
	counted := stepSpan{span, depth}
	return trace.ContextWithSpan(ctx, counted), counted
}

// own is the tracer of the provider that has replaced this one; without one, it makes no spans.
func (t *stepTracer) own() trace.Tracer {
	provider := otel.GetTracerProvider()
	if provider == steps {
		return noop.Tracer{}
	}
	behind := t.behind.Load()
	if behind == nil || behind.provider != provider {
		behind = &behindTracer{provider, provider.Tracer(t.name, t.options...)}
		t.behind.Store(behind)
	}
	return behind.tracer
}
