package spicedb

import (
	"context"

	"github.com/authzed/spicedb/pkg/cmd/server"
	"github.com/authzed/spicedb/pkg/datalayer"
	"github.com/authzed/spicedb/pkg/datastore"
	"google.golang.org/grpc"
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
		return handler(in(ctx, info.FullMethod), request)
	}
	stream := func(service any, s grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return handler(service, streamWith{ServerStream: s, ctx: in(s.Context(), info.FullMethod)})
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
