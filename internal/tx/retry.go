package tx

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/sluice-authz/sluice/internal/authz"
)

// MaxAttempts is how often one write is attempted at most.
const MaxAttempts = 16

// The random pause before a retry is up to twice firstPause, and doubles with every attempt up to maxPause.
const (
	firstPause = 2 * time.Millisecond
	maxPause   = 128 * time.Millisecond
)

// Attempts counts the attempts at one write, and pauses between them.
type Attempts struct {
	conflict string
	failed   int
	pauses   backoff.ExponentialBackOff
}

// NewAttempts returns Attempts without a failure. conflict is the error message after MaxAttempts failures.
func NewAttempts(conflict string) *Attempts {
	return &Attempts{conflict: conflict, pauses: backoff.ExponentialBackOff{
		InitialInterval: firstPause, MaxInterval: maxPause, Multiplier: 2, RandomizationFactor: 1,
	}}
}

// Failed returns how many attempts have failed.
func (a *Attempts) Failed() int { return a.failed }

// Retry handles the error of an attempt. If the error is authz.ErrPrecondition, Retry pauses and returns nil: the
// caller makes another attempt. The pause is random, so that requests that collide do not collide again. Otherwise
// Retry returns the final error: with CodeConflict after MaxAttempts, with CodeDeadline or CodeCanceled if ctx has
// ended, and any other error unchanged.
func (a *Attempts) Retry(ctx context.Context, err error) error {
	a.failed++
	switch {
	case !errors.Is(err, authz.ErrPrecondition):
		return contextError(err)
	case a.failed >= MaxAttempts:
		return authz.Errorf(authz.CodeConflict, "%s", a.conflict)
	case ctx.Err() != nil:
		return contextError(context.Cause(ctx))
	}
	pause := time.NewTimer(a.pauses.NextBackOff())
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return contextError(context.Cause(ctx))
	}
}

// contextError returns an error with a code for the error of a context. It returns any other error unchanged.
func contextError(err error) error {
	var known *authz.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return authz.Errorf(authz.CodeDeadline, "the operation took longer than its time limit")
	case errors.Is(err, context.Canceled):
		return authz.Errorf(authz.CodeCanceled, "the caller closed the request")
	}
	return err
}
