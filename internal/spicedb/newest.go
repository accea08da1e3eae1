package spicedb

import (
	"context"

	"github.com/authzed/spicedb/pkg/cmd/server"
	"github.com/authzed/spicedb/pkg/datalayer"
	"github.com/authzed/spicedb/pkg/datastore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// newest makes "fully consistent" mean what it says. SpiceDB lets requests share one question for the newest revision, as
// long as one of them still waits for the answer: under load a request is given an answer from before it came, and misses
// writes that had ended by then. In an embedded SpiceDB each request asks the datastore itself.
type newest struct {
	datalayer.DataLayer
	store datastore.Datastore
}

// HeadRevision is the newest revision at the time of the call. The schema hash is that of SpiceDB's default schema mode.
func (n newest) HeadRevision(ctx context.Context) (datastore.Revision, datalayer.SchemaHash, error) {
	head, err := n.store.HeadRevision(ctx)
	if err != nil {
		return datastore.NoRevision, datalayer.NoSchemaHashInLegacyMode, err
	}
	return head.Revision, datalayer.NoSchemaHashInLegacyMode, nil
}

// withNewest puts newest, and the bound of what a request reads, before the part of SpiceDB that chooses the revision
// of a request.
func withNewest(store datastore.Datastore, divisor int64) server.ConfigOption {
	in := func(ctx context.Context, method string) context.Context {
		return datalayer.ContextWithDataLayer(ctx, newBounded(ctx, newest{datalayer.MustFromContext(ctx), store}, method, divisor))
	}
	unary := func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		evaluate := func(ctx context.Context) (any, error) { return handler(in(ctx, info.FullMethod), request) }
		if !evaluates(info.FullMethod) {
			return evaluate(ctx)
		}
		return untilNotCanceled(ctx, evaluate)
	}
	stream := func(service any, s grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		evaluate := func(ctx context.Context, s grpc.ServerStream) error {
			return handler(service, streamWith{ServerStream: s, ctx: in(ctx, info.FullMethod)})
		}
		if !evaluates(info.FullMethod) {
			return evaluate(s.Context(), s)
		}
		request := &replayed{ServerStream: s}
		_, err := untilNotCanceled(s.Context(), func(ctx context.Context) (any, error) {
			err := evaluate(ctx, request.again())
			if request.sent && isCanceledInside(ctx, err) { // the reader has a part of the answer already
				return nil, status.Error(codes.Unavailable, "the look-up was cut off; it goes on after the last cursor")
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

func before[T grpc.UnaryServerInterceptor | grpc.StreamServerInterceptor](interceptor T) server.MiddlewareModification[T] {
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
