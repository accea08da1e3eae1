package httpapi

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxWait is how long an expensive call waits for others to end before it is refused.
const maxWait = time.Second

// expensive runs what costs up to a thousand checks, for one of the few calls that may do so at a time. The body of the
// request has been read before, so that a slow client keeps nobody waiting. After maxWait the error has CodeLimited.
func (s *server) expensive(ctx context.Context, run func() (any, error)) (any, error) {
	select {
	case s.places <- struct{}{}:
	default:
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
	defer func() { <-s.places }()
	return run()
}

// wait waits for a place, and takes it.
func (s *server) wait(ctx context.Context) error {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case s.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return &authz.Error{
			Code:    authz.CodeLimited,
			Message: "the server answers as many calls of this kind as it may at a time; try again shortly", Cause: errBusy,
		}
	}
}

// busy is the cause of an error about too many calls at a time. It asks for another try after maxWait.
type busy struct{}

// Error implements error.
func (busy) Error() string { return "too many expensive calls at a time" }

var errBusy error = busy{}
