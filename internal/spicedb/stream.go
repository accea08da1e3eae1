package spicedb

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
)

// errSilent is the cause with which a stream is canceled if it sends no message within the time limit.
var errSilent = errors.New("SpiceDB sent nothing within the time limit")

// sequence returns a sequence of the items that produce yields. If produce returns an error, the error comes last.
func sequence[T any](c *Client, method string, produce func(yield func(T) bool) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		start := time.Now()
		err := produce(func(item T) bool { return yield(item, nil) })
		c.observe(method, start, &err)
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

// stream calls each with the messages of a stream, until the stream ends, each returns false, or ctx ends. The time
// limit applies to each message, and excludes the time that the function each takes.
func stream[M any](
	ctx context.Context, c *Client, open func(context.Context) (grpc.ServerStreamingClient[M], error), each func(*M) bool,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(c.options.Timeout, func() { cancel(errSilent) })
	defer timer.Stop()

	messages, err := open(ctx)
	if err != nil {
		return c.failure(ctx, err)
	}
	for {
		timer.Reset(c.options.Timeout)
		message, err := messages.Recv()
		timer.Stop()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.failure(ctx, err)
		case !each(message):
			return nil
		}
	}
}

// paginate yields the messages of a page, with the position after each message. It splits the page into requests of the
// size that SpiceDB allows.
func paginate[M interface{ GetAfterResultCursor() *v1.Cursor }](
	at authz.Consistency, page authz.Page,
	portion func(from position, consistency *v1.Consistency, each func(M) bool) error,
	yield func(M, position) bool,
) error {
	p, err := begin(at, page)
	if err != nil {
		return err
	}
	consistency, err := toConsistency(p.at)
	if err != nil {
		return err
	}
	for total := 0; ; {
		received, enough := uint32(0), false
		err := portion(p, consistency, func(message M) bool {
			received++
			total++
			p.cursor = message.GetAfterResultCursor().GetToken()
			enough = !yield(message, p) || total == page.Limit
			return !enough
		})
		if err != nil || enough || p.limit == 0 || received < p.limit || p.cursor == "" {
			return err
		}
	}
}
