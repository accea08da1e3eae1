package spicedb

import (
	"context"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/cmd/server"
	"github.com/authzed/spicedb/pkg/datalayer"
	"google.golang.org/grpc"
)

// SpiceDB lets requests that arrive together share one question for the newest revision. A fully consistent request can so
// be given the answer to a question that was asked before it came, and miss a write that had ended by then. An embedded
// SpiceDB therefore asks once more in advance: when that is answered, every question from before is over, and whatever
// the request then shares was asked after it came.

// unaryNewest and streamNewest put that in front of SpiceDB's choice of the revision.
func unaryNewest() server.MiddlewareModification[grpc.UnaryServerInterceptor] {
	return server.MiddlewareModification[grpc.UnaryServerInterceptor]{
		DependencyMiddlewareName: server.DefaultInternalMiddlewareConsistency,
		Operation:                server.OperationPrepend,
		Middlewares: []server.ReferenceableMiddleware[grpc.UnaryServerInterceptor]{{
			Name: "newest",
			Middleware: func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				if err := awaitNewest(ctx, request); err != nil {
					return nil, err
				}
				return handler(ctx, request)
			},
		}},
	}
}

func streamNewest() server.MiddlewareModification[grpc.StreamServerInterceptor] {
	return server.MiddlewareModification[grpc.StreamServerInterceptor]{
		DependencyMiddlewareName: server.DefaultInternalMiddlewareConsistency,
		Operation:                server.OperationPrepend,
		Middlewares: []server.ReferenceableMiddleware[grpc.StreamServerInterceptor]{{
			Name: "newest",
			Middleware: func(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				return handler(service, newestStream{stream})
			},
		}},
	}
}

type newestStream struct{ grpc.ServerStream }

func (s newestStream) RecvMsg(request any) error {
	if err := s.ServerStream.RecvMsg(request); err != nil {
		return err
	}
	return awaitNewest(s.Context(), request)
}

// awaitNewest does nothing for a request that does not ask for the newest state.
func awaitNewest(ctx context.Context, request any) error {
	_, newest := request.(*v1.ReadSchemaRequest)
	if r, ok := request.(interface{ GetConsistency() *v1.Consistency }); ok {
		newest = r.GetConsistency().GetFullyConsistent()
	}
	if r, ok := request.(interface{ GetOptionalCursor() *v1.Cursor }); ok && r.GetOptionalCursor() != nil {
		newest = false // it reads at the cursor's revision
	}
	if !newest {
		return nil
	}
	_, _, err := datalayer.MustFromContext(ctx).HeadRevision(ctx)
	return err
}
