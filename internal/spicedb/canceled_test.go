package spicedb

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// TestCallsThatSpiceDBCancelsAreEvaluatedAgain checks in which cases a canceled evaluation is repeated.
func TestCallsThatSpiceDBCancelsAreEvaluatedAgain(t *testing.T) {
	t.Parallel()
	waits := func(t *testing.T) context.Context { t.Helper(); return t.Context() }
	left := func(t *testing.T) context.Context {
		t.Helper()
		ctx, leave := context.WithCancel(t.Context())
		leave()
		return ctx
	}
	inside := status.Error(codes.Canceled, "a part was canceled")
	for name, c := range map[string]struct {
		context     func(*testing.T) context.Context
		errs        []error // results of the evaluations; the last error repeats
		evaluations int
		want        error
	}{
		"once inside":       {waits, []error{inside, nil}, 2, nil},
		"as Go's error":     {waits, []error{context.Canceled, context.Canceled, nil}, 3, nil},
		"always inside":     {waits, []error{inside}, maxCanceled, inside},
		"the caller left":   {left, []error{inside}, 1, inside},
		"another error":     {waits, []error{errAnother}, 1, errAnother},
		"inside, then this": {waits, []error{inside, errAnother}, 2, errAnother},
	} {
		synctest.Test(t, func(t *testing.T) {
			evaluations := 0
			_, err := untilNotCanceled(c.context(t), func(context.Context) (any, error) {
				evaluations++
				return nil, c.errs[min(evaluations, len(c.errs))-1]
			})
			require.ErrorIs(t, err, c.want, name)
			require.Equal(t, c.evaluations, evaluations, name)
		})
	}
}

var errAnother = errors.New("another error")

// oneRequest is a stream that has one request.
type oneRequest struct {
	grpc.ServerStream
	received int
}

func (s *oneRequest) RecvMsg(m any) error {
	s.received++
	proto.Merge(m.(proto.Message), &v1.LookupResourcesRequest{Permission: "view"})
	return nil
}

func (s *oneRequest) SendMsg(any) error { return nil }

// TestEachEvaluationReceivesTheRequest checks that every evaluation receives the request of a stream, and that the
// stream records sent messages.
func TestEachEvaluationReceivesTheRequest(t *testing.T) {
	t.Parallel()
	stream := &oneRequest{}
	request := &replayed{ServerStream: stream}
	for range 3 {
		var got v1.LookupResourcesRequest
		require.NoError(t, request.again().RecvMsg(&got))
		require.Equal(t, "view", got.GetPermission())
	}
	require.Equal(t, 1, stream.received)
	require.False(t, request.sent)
	require.NoError(t, request.again().SendMsg(&v1.LookupResourcesResponse{}))
	require.True(t, request.sent)
}
