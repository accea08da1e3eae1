package httpapi

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxWait is how long an expensive call waits until another one ends.
const maxWait = time.Second

// slots limits how many expensive calls run at a time. The channel has an element for each running call.
type slots chan struct{}

// run runs a call that may cost as much as a thousand checks. If no slot becomes free within maxWait, the error has
// CodeLimited. The body must have been read before, so that a slow client does not occupy a slot.
func (s slots) run(ctx context.Context, do func() (any, error)) (any, error) {
	select {
	case s <- struct{}{}:
	default:
		if err := s.acquire(ctx); err != nil {
			return nil, err
		}
	}
	defer func() { <-s }()
	return do()
}

// acquire waits for a slot and takes it.
func (s slots) acquire(ctx context.Context) error {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return &authz.Error{
			Code:    authz.CodeLimited,
			Message: "too many explanations, previews and other expensive calls are running; try again shortly", Cause: errBusy,
		}
	}
}

// busy is the cause of the error for too many expensive calls. The answer has a Retry-After of maxWait.
type busy struct{}

// Error implements error.
func (busy) Error() string { return "too many expensive calls at a time" }

var errBusy error = busy{}
