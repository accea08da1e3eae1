package httpapi

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxWait is the longest time that an expensive call waits for others to end.
const maxWait = time.Second

// expensive runs a call that may cost a thousand checks. Only Config.Expensive such calls run at a time. If none ends
// within maxWait, the error has CodeLimited. The body must have been read before, so that a slow client does not block
// others.
func (s *server) expensive(ctx context.Context, run func() (any, error)) (any, error) {
	select {
	case s.expensiveSlots <- struct{}{}:
	default:
		if err := s.acquireSlot(ctx); err != nil {
			return nil, err
		}
	}
	defer func() { <-s.expensiveSlots }()
	return run()
}

// acquireSlot waits for a slot and takes it.
func (s *server) acquireSlot(ctx context.Context) error {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case s.expensiveSlots <- struct{}{}:
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
