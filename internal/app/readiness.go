package app

import (
	"context"
	"time"
)

// maxReadyAge and maxFailureAge are how long a result of the readiness check is used. A failure is used for a shorter
// time, so that a starting server is soon reported as ready.
const (
	maxReadyAge   = time.Second
	maxFailureAge = 100 * time.Millisecond
)

// readiness checks whether SpiceDB is ready, and uses each result for a short time. For each check, SpiceDB reads its
// whole schema, and GET /readyz needs no key. So without this, anybody could cause much work.
type readiness struct {
	ask  func(context.Context) error
	turn chan struct{} // has an element while one caller asks SpiceDB; the others wait for the result

	until time.Time
	err   error
}

func newReadiness(ask func(context.Context) error) *readiness {
	return &readiness{ask: ask, turn: make(chan struct{}, 1)}
}

// get returns the last result, or asks SpiceDB. It does not store the result if the caller's context has ended.
func (r *readiness) get(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.turn }()
	if time.Now().Before(r.until) {
		return r.err
	}
	err := r.ask(ctx)
	if ctx.Err() != nil {
		return err
	}
	age := maxReadyAge
	if err != nil {
		age = maxFailureAge
	}
	r.err, r.until = err, time.Now().Add(age)
	return err
}
