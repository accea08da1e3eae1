package spicedb

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	// maxCanceled is the largest number of evaluations of one call. A call is evaluated again if SpiceDB itself has
	// canceled the evaluation.
	maxCanceled = 10

	// canceledPause is the pause before the second evaluation. Each later pause is twice as long. During the pause, the
	// canceled parts of the previous evaluation end. Without it, the next evaluation could get the error of such a
	// part.
	canceledPause = time.Millisecond
)

// isCanceledInside reports whether SpiceDB v1.56.0 canceled a call whose caller still waits. SpiceDB cancels parts of
// an evaluation that it no longer needs. In rare cases, the error of such a part becomes the answer.
func isCanceledInside(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (status.Code(err) == codes.Canceled || errors.Is(err, context.Canceled))
}

// untilNotCanceled evaluates a call, and evaluates it again while SpiceDB itself cancels the evaluation. The handler,
// which evaluates the call, must only read.
func untilNotCanceled(
	ctx context.Context, handler func(context.Context) (any, error),
) (answer any, err error) {
	pauses := &backoff.ExponentialBackOff{InitialInterval: canceledPause, Multiplier: 2, MaxInterval: time.Second}
	_, _ = backoff.Retry(ctx, func() (struct{}, error) {
		if answer, err = handler(ctx); isCanceledInside(ctx, err) {
			return struct{}{}, err
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(maxCanceled))
	return answer, err
}

// replayed is a stream with a single request. The request is read once, and several evaluations receive it, one after
// the other.
type replayed struct {
	grpc.ServerStream
	request proto.Message // nil before the request is received
	sent    bool          // the caller may have received a part of the answer
}

// again returns a stream from which the next evaluation receives the request.
func (r *replayed) again() *replay { return &replay{replayed: r} }

type replay struct {
	*replayed
	received bool
}

// RecvMsg implements grpc.ServerStream.
func (r *replay) RecvMsg(m any) error {
	message, ok := m.(proto.Message)
	if !ok || r.received || r.request == nil {
		err := r.ServerStream.RecvMsg(m)
		if ok && err == nil && !r.received {
			r.received, r.request = true, proto.Clone(message)
		}
		return err
	}
	r.received = true
	proto.Merge(message, r.request)
	return nil
}

// SendMsg implements grpc.ServerStream.
func (r *replay) SendMsg(m any) error {
	r.sent = true
	return r.ServerStream.SendMsg(m)
}
