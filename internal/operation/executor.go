package operation

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// How often an operation is planned anew when what it rested on changed, and how long it steps aside in between.
const (
	maxAttempts = 16
	backoff     = 2 * time.Millisecond
)

// run performs one operation: it lets build plan, writes the plan as one change, and begins anew if something that
// the plan rested on is no longer so. The token names a state that includes the operation. build must not keep results
// of an attempt that was not written, and is not run again once an attempt was. It is also run for an operation that was done
// before, see Once, for its results alone: what it plans is not written then, and its refusals count for nothing. So build
// keeps a stored fact as a result only after the check that lets the actor know it.
func (s *Service) run(ctx context.Context, by Caller, operation string, build func(context.Context, *plan) error) (authz.Token, error) {
	for attempt := 0; attempt < maxAttempts; {
		if err := pause(ctx, attempt); err != nil {
			return "", err
		}
		p := newPlan(s.engine, by)
		p.now = s.now()
		p.repeated = attempt > 0
		if err := p.recall(ctx); err != nil {
			return "", err
		}
		err := build(ctx, p)
		if err == nil && !by.replayed() {
			err = p.complete(ctx)
		}
		switch {
		case errors.Is(err, errUnderWay):
			if err := s.finish(ctx, by, p.unfinished); err != nil {
				return "", err
			}
			continue
		case by.replayed():
			return p.replay(ctx, err)
		case errors.Is(err, errPromoted):
			attempt++
			continue
		case err != nil:
			return "", err
		}
		if again, err := p.portions.replan(p); again || err != nil {
			if err != nil {
				return "", err
			}
			continue
		}
		deletesOnly, err := p.splitDeletes()
		if err != nil {
			return "", err
		}
		more := deletesOnly || p.portions.more()
		if !more {
			p.remember(s.now().Add(remembered))
		}
		token, err := p.commit(ctx, operation)
		switch {
		case errors.Is(err, authz.ErrPrecondition):
			p.portions.halve()
			attempt++
			continue
		case err != nil:
			return "", err
		}
		p.countReassigned()
		if deletesOnly {
			attempt = 0
			continue
		}
		p.portions.written()
		if len(p.departing) > 0 {
			if token, err = s.carryOutAll(ctx, by, operation, p.departing); err != nil {
				return "", err
			}
		}
		if !more {
			return token, nil
		}
		attempt = 0
	}
	return "", authz.Errorf(authz.CodeConflict, "others kept changing what this operation rests on; try again")
}

// answered is the answer of an operation. No value comes together with an error: the value may hold facts that were read before
// a later check refused the operation.
func answered[T any](value T, token authz.Token, err error) (T, authz.Token, error) {
	if err != nil {
		var none T
		return none, "", err
	}
	return value, token, nil
}

// read performs an operation that changes nothing.
func (s *Service) read(ctx context.Context, by Caller, build func(context.Context, *plan) error) (authz.Token, error) {
	p := newPlan(s.engine, by)
	p.mayRead = s.maxRead
	err := build(ctx, p)
	return p.snapshot, err
}

// pause steps aside for a random time that grows with the attempts, so that two who collide do not do so again.
func pause(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return nil
	}
	wait := rand.N(backoff << min(attempt, 6)) //nolint:gosec // spreading load needs no secrecy
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return authz.Errorf(authz.CodeDeadline, "the operation took longer than its time limit")
		}
		return authz.Errorf(authz.CodeCanceled, "the caller went away")
	}
}
