package spicedb

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/authzed/spicedb/pkg/datalayer"
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

	// anyStep begins the names of the spans of steps, lookupStep is that of a look-up of resources, expandStep that of
	// an expansion, and checkStep begins that of a check.
	anyStep, lookupStep, expandStep, checkStep = "Dispatch", "DispatchLookupResources2", "DispatchExpand", "DispatchCheck "
)

const depthMessage = "the relationships behind this are nested too deeply, or in a circle"

// checkDepth fails at the last step of a look-up of resources that SpiceDB would follow. SpiceDB v1.56.0 checks
// the resources that it finds there, if the permission has an intersection or an exclusion, with a filter for no
// steps at all: adding to it is a loop that never ends, in which SpiceDB notices nothing of what it reads or of
// the end of the call.
func checkDepth(ctx context.Context) error {
	if depthOf(ctx) >= maxDepth {
		return status.Error(codes.ResourceExhausted, depthMessage)
	}
	return nil
}

// depthOf is how many steps of a look-up of resources lead to a context.
func depthOf(ctx context.Context) int {
	if span, counted := trace.SpanFromContext(ctx).(*stepSpan); counted {
		return span.depth
	}
	return 0
}

// stepSpan is a span that knows how many steps of a look-up of resources lead to it, and which check it belongs to.
type stepSpan struct {
	trace.Span

	depth int
	check *work   // nil outside of checks
	ended []*work // for which a step ends with the span
	stop  func()  // releases the context of the span; nil if that is the one before it
}

// End implements trace.Span.
func (s *stepSpan) End(options ...trace.SpanEndOption) {
	for _, one := range s.ended {
		one.end()
	}
	if s.stop != nil {
		s.stop()
	}
	s.Span.End(options...)
}

// stepCounter is the global provider of tracers, so that the steps of calls are counted: SpiceDB evaluates each
// step under a new context that has nothing of the one before it but the span and the data layer. The provider
// that replaces it, if any, makes the spans.
var stepCounter trace.TracerProvider = &stepProvider{}

func init() { otel.SetTracerProvider(stepCounter) }

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
func (t *stepTracer) Start(
	ctx context.Context, name string, options ...trace.SpanStartOption,
) (context.Context, trace.Span) {
	next := &stepSpan{}
	before, within := trace.SpanFromContext(ctx).(*stepSpan)
	if within {
		next.depth, next.check = before.depth, before.check
	}
	if bound, ok := stepOf(ctx, name); ok {
		if name == lookupStep {
			next.depth++
		}
		isCheck := strings.HasPrefix(name, checkStep)
		if next.check == nil && isCheck {
			next.check = newWork(bound.check)
		}
		if isCheck || name == expandStep {
			ctx, next.stop = bound.untilEnd(ctx)
		}
		next.ended = append(next.ended, bound.call)
		if next.check != nil {
			next.ended = append(next.ended, next.check)
		}
		for _, one := range next.ended {
			one.begin()
		}
	}
	ctx, span := t.own().Start(ctx, name, options...)
	if !within && next.ended == nil {
		return ctx, span
	}
	if same, ok := span.(*stepSpan); ok { // a tracer without spans of its own returns the one that there is
		span = same.Span
	}
	next.Span = span
	return trace.ContextWithSpan(ctx, next), next
}

// stepOf returns what bounds the call whose step begins; false if none begins, or the call is not bounded.
func stepOf(ctx context.Context, name string) (*bounded, bool) {
	if !strings.HasPrefix(name, anyStep) {
		return nil, false
	}
	bound, ok := datalayer.FromContext(ctx).(*bounded)
	return bound, ok && bound.call != nil
}

// own is the tracer of the provider that has replaced this one; without one, it makes no spans.
func (t *stepTracer) own() trace.Tracer {
	provider := otel.GetTracerProvider()
	if provider == stepCounter {
		return noop.Tracer{}
	}
	behind := t.behind.Load()
	if behind == nil || behind.provider != provider {
		behind = &behindTracer{provider, provider.Tracer(t.name, t.options...)}
		t.behind.Store(behind)
	}
	return behind.tracer
}
