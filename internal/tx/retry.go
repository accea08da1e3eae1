package tx

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/sluice-authz/sluice/internal/authz"
)

// MaxAttempts is how often Retry runs an attempt at most.
const MaxAttempts = 16

// The random pause before a retry is up to twice firstPause, and doubles with every attempt up to maxPause.
const (
	firstPause = 2 * time.Millisecond
	maxPause   = 128 * time.Millisecond
)

// Retry runs an attempt until it returns no error, or an error other than authz.ErrPrecondition, which it returns. It
// pauses for a random time before each retry, so that requests that collide do not collide again. The attempt receives
// its number, from 0. After MaxAttempts the error is CodeConflict with the message. If ctx ends meanwhile, the error is
// CodeDeadline or CodeCanceled.
func Retry(ctx context.Context, conflict string, attempt func(number int) error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, maxPause
	pauses.Multiplier, pauses.RandomizationFactor = 2, 1
	number := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := attempt(number)
		number++
		if err != nil && !errors.Is(err, authz.ErrPrecondition) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(MaxAttempts), backoff.WithMaxElapsedTime(0))
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) { // which the last attempt returned
		err = permanent.Unwrap()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) && isContextError(err):
		return authz.Errorf(authz.CodeDeadline, "the operation took longer than its time limit")
	case errors.Is(err, context.Canceled) && isContextError(err):
		return authz.Errorf(authz.CodeCanceled, "the caller closed the request")
	case errors.Is(err, authz.ErrPrecondition):
		return authz.Errorf(authz.CodeConflict, "%s", conflict)
	}
	return err
}

// isContextError reports whether an error is the end of a context itself, and not an authz.Error that it caused.
func isContextError(err error) bool {
	var known *authz.Error
	return !errors.As(err, &known)
}
