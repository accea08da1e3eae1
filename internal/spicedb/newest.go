package spicedb

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/authzed/spicedb/pkg/cmd/server"
	"github.com/authzed/spicedb/pkg/datalayer"
	"github.com/authzed/spicedb/pkg/datastore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// newest makes fully consistent requests include every finished write: each request of an embedded SpiceDB then reads
// the newest revision itself. SpiceDB would let a new request share the result of a request that is already reading
// the newest revision. Under load, such a result can lack writes that ended before the new request arrived.
type newest struct {
	datalayer.DataLayer
	store datastore.Datastore
}

// HeadRevision returns the newest revision at the time of the call. The schema hash is that of SpiceDB's default
// schema mode.
func (n newest) HeadRevision(ctx context.Context) (datastore.Revision, datalayer.SchemaHash, error) {
	head, err := n.store.HeadRevision(ctx)
	if err != nil {
		return datastore.NoRevision, datalayer.NoSchemaHashInLegacyMode, err
	}
	return head.Revision, datalayer.NoSchemaHashInLegacyMode, nil
}

// limited configures the limits of calls. The zero value is valid.
type limited struct {
	divisor      int64                           // divides the limits of a call; zero means 1
	together     *allowance                      // shared by the look-ups of subjects of all calls; nil means no limit
	cached       bool                            // SpiceDB caches parts of checks
	stalledAfter time.Duration                   // zero means the constant stalledAfter
	worked       func(method string, done *work) // called after each evaluation of permissions; only tests set it
}

// withNewest installs newest and the limits of calls in front of the interceptor of SpiceDB that selects the revision
// of a request.
func withNewest(store datastore.Datastore, limited limited) server.ConfigOption {
	// bound evaluates a call within its limits.
	bound := func(
		ctx context.Context, method string, request any, evaluate func(context.Context) (any, error),
	) (any, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		bound := newBounded(ctx, newest{datalayer.MustFromContext(ctx), store}, method, request, limited)
		ctx = datalayer.ContextWithDataLayer(ctx, bound)
		if bound.call == nil {
			return evaluate(ctx)
		}
		stalled := bound.watchStall(cmp.Or(limited.stalledAfter, stalledAfter), cancel)
		answer, err := evaluate(ctx)
		if err == nil && bound.alone {
			err = plainTokens(answer)
		}
		switch {
		case stalled():
			answer, err = nil, tooManySteps()
		case isOfOtherCall(bound, err):
			answer, err = nil, errOfOtherCall
		}
		if maxStepsOf(ctx) > 0 {
			sendSteps(ctx, bound.call, limited.divisor)
		}
		if limited.worked != nil {
			limited.worked(nameOf(method), bound.call)
		}
		return answer, err
	}
	unary := func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		evaluate := func(ctx context.Context) (any, error) {
			return bound(ctx, info.FullMethod, request, func(ctx context.Context) (any, error) { return handler(ctx, request) })
		}
		if !evaluates(info.FullMethod) {
			return evaluate(ctx)
		}
		return untilNotCanceled(ctx, evaluate)
	}
	stream := func(service any, s grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		request := &replayed{ServerStream: s}
		evaluate := func(ctx context.Context, s grpc.ServerStream) error {
			_, err := bound(ctx, info.FullMethod, request, func(ctx context.Context) (any, error) {
				return nil, handler(service, streamWith{s, ctx})
			})
			return err
		}
		if !evaluates(info.FullMethod) {
			return evaluate(s.Context(), s)
		}
		_, err := untilNotCanceled(s.Context(), func(ctx context.Context) (any, error) {
			err := evaluate(ctx, request.again())
			// After the caller has received a part of the answer, the call cannot be evaluated again.
			if request.sent && isCanceledInside(ctx, err) {
				return nil, status.Error(codes.Unavailable, "the look-up was interrupted; continue after the last cursor")
			}
			return nil, err
		})
		return err
	}
	return func(c *server.Config) {
		server.WithUnaryMiddlewareModification(before[grpc.UnaryServerInterceptor](unary))(c)
		server.WithStreamingMiddlewareModification(before[grpc.StreamServerInterceptor](stream))(c)
	}
}

// errOfOtherCall replaces an error for which isOfOtherCall returns true. It makes the server evaluate the call again.
var errOfOtherCall = status.Error(codes.Canceled, "a part that another call evaluates has exceeded a limit")

// isOfOtherCall reports whether a call has received the error of another call. If several concurrent look-ups share a
// part, SpiceDB evaluates it only once, under the limits of one of them.
func isOfOtherCall(bound *bounded, err error) bool {
	return status.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), boundMessage) &&
		!bound.refused.Load() && bound.simulate == nil
}

func before[T grpc.UnaryServerInterceptor | grpc.StreamServerInterceptor](
	interceptor T,
) server.MiddlewareModification[T] {
	return server.MiddlewareModification[T]{
		DependencyMiddlewareName: server.DefaultInternalMiddlewareConsistency,
		Operation:                server.OperationPrepend,
		Middlewares:              []server.ReferenceableMiddleware[T]{{Name: "newest", Middleware: interceptor}},
	}
}

type streamWith struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a gRPC stream carries its context
}

func (s streamWith) Context() context.Context { return s.ctx }

// SendMsg implements grpc.ServerStream. While a call waits for a slow reader, it does not count as stalled.
func (s streamWith) SendMsg(m any) error {
	if bound, ok := datalayer.FromContext(s.ctx).(*bounded); ok {
		bound.waiting.Add(1)
		defer bound.waiting.Add(-1)
	}
	return s.ServerStream.SendMsg(m)
}
