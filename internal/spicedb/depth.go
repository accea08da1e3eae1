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
	// maxDepth is the largest number of nested steps that SpiceDB evaluates. It is SpiceDB's default.
	maxDepth = 50

	// Names of the trace spans that SpiceDB creates for steps: anyStep and checkStep are prefixes for all steps and for
	// checks. lookupStep is a look-up of resources, and expandStep an expansion.
	anyStep, lookupStep, expandStep, checkStep = "Dispatch", "DispatchLookupResources2", "DispatchExpand", "DispatchCheck "
)

const depthMessage = "the relationships are nested too deeply, or form a cycle"

// checkDepth returns an error if a look-up of resources has reached the last step that SpiceDB would evaluate.
// Without this error, SpiceDB v1.56.0 can loop endlessly. If the permission has an intersection or exclusion, SpiceDB
// checks the found resources with a Bloom filter that is sized for zero steps, and adding to such a filter never
// ends. The loop ignores failed reads and the end of the call.
func checkDepth(ctx context.Context) error {
	if depthOf(ctx) >= maxDepth {
		return status.Error(codes.ResourceExhausted, depthMessage)
	}
	return nil
}

// depthOf returns the number of nested steps around the context in a look-up of resources.
func depthOf(ctx context.Context) int {
	if span, counted := trace.SpanFromContext(ctx).(*stepSpan); counted {
		return span.depth
	}
	return 0
}

// stepSpan is a span with the number of nested steps around it in a look-up of resources, and the check to which it
// belongs.
type stepSpan struct {
	trace.Span

	depth int
	check *work   // work of the check; nil outside of checks
	ended []*work // End ends one step in each of them
	stop  func()  // releases the context of the span; nil if the span has no context of its own
	turns *turns  // if the span is an exclusion: makes its parts wait
	base  *turns  // if the span is the base of an exclusion: that exclusion's turns
}

// End implements trace.Span.
func (s *stepSpan) End(options ...trace.SpanEndOption) {
	for _, one := range s.ended {
		one.end()
	}
	if s.stop != nil {
		s.stop()
	}
	if s.base != nil {
		s.base.endBase()
	}
	s.Span.End(options...)
}

// stepCounter is the global provider of tracers. It counts the steps of calls through the spans that SpiceDB creates,
// because SpiceDB evaluates each step under a new context, which keeps only the span and the data layer of the previous
// one. If the process sets another provider later, that one creates the spans.
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
	current atomic.Pointer[foreignTracer]
}

// foreignTracer is a tracer of another provider, which the process has set in place of stepCounter.
type foreignTracer struct {
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
	if within && before.check != nil {
		next.takeTurn(ctx, name, before.turns)
	}
	ctx, span := t.foreign().Start(ctx, name, options...)
	if !within && next.ended == nil {
		return ctx, span
	}
	if same, ok := span.(*stepSpan); ok { // a tracer without spans returns the existing span
		span = same.Span
	}
	next.Span = span
	return trace.ContextWithSpan(ctx, next), next
}

// takeTurn makes the subtracted parts of an exclusion wait until its base has ended. of has the turns of the
// exclusion to which the span belongs, or is nil.
func (s *stepSpan) takeTurn(ctx context.Context, name string, of *turns) {
	bound, ok := datalayer.FromContext(ctx).(*bounded)
	switch {
	case !ok || !bound.alone:
	case of != nil && name == unionSpan:
		s.base = of
	case of != nil && name == intersectionSpan:
		of.await(ctx, bound.request)
	case name == exclusionSpan:
		s.turns = newTurns()
	}
}

// stepOf returns the bounded of the call in which a step starts. It returns false if no step starts, or if the call is
// not limited.
func stepOf(ctx context.Context, name string) (*bounded, bool) {
	if !strings.HasPrefix(name, anyStep) {
		return nil, false
	}
	bound, ok := datalayer.FromContext(ctx).(*bounded)
	return bound, ok && bound.call != nil
}

// foreign returns a tracer of the provider that the process has set in place of stepCounter. If there is none, it
// returns a tracer that makes no spans.
func (t *stepTracer) foreign() trace.Tracer {
	provider := otel.GetTracerProvider()
	if provider == stepCounter {
		return noop.Tracer{}
	}
	current := t.current.Load()
	if current == nil || current.provider != provider {
		current = &foreignTracer{provider, provider.Tracer(t.name, t.options...)}
		t.current.Store(current)
	}
	return current.tracer
}
