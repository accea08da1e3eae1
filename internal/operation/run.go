package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// run performs one operation and returns a token whose state includes it. build plans an attempt; run commits the plan
// as one write, and plans it again on a newer snapshot if a precondition no longer holds. build must not keep results of an
// attempt that was not written.
//
// If the operation was performed before under the same idempotency key, build runs once for its results, and nothing is
// written: its refusals do not count. So build keeps a stored fact as a result only after the check that lets the actor
// know it.
func (s *Service) run(
	ctx context.Context, by Caller, operation string, build func(context.Context, *plan) error,
) (token authz.Token, err error) {
	for more := true; more; {
		done, err := s.runOnce(ctx, by, operation, build)
		if err == nil && len(done.finishFirst) > 0 {
			err = s.finishOffboardings(ctx, by, done.finishFirst)
		}
		if err != nil {
			return "", err
		}
		token, more = done.token, done.more
		if len(done.offboardings) > 0 {
			if token, err = s.runOffboardings(ctx, by, operation, done.offboardings); err != nil {
				return "", err
			}
		}
		if len(done.formerMembers) > 0 {
			if token, err = s.endNamedSince(ctx, by, operation, token, done.formerMembers); err != nil {
				return "", err
			}
		}
	}
	return token, nil
}

// outcome is what one committed write of an operation leads to.
type outcome struct {
	token         authz.Token
	more          bool          // the operation is planned again: this write was a part of it, or nothing was written yet
	finishFirst   []offboarding // finished before the operation is planned again
	offboardings  []offboarding // what the write began
	formerMembers []formerMember
}

// runOnce plans and commits one write of an operation, and retries it while preconditions fail.
func (s *Service) runOnce(
	ctx context.Context, by Caller, operation string, build func(context.Context, *plan) error,
) (done outcome, err error) {
	const conflict = "other requests kept changing what this operation depends on; try again"
	err = tx.Retry(ctx, conflict, func(attempt int) error {
		p := newPlan(s.engine, by)
		p.now, p.isRetry = s.now(), attempt > 0
		if err := findReplay(ctx, p); err != nil {
			return err
		}
		err := build(ctx, p)
		if err == nil && !by.replayed() {
			err = completePlan(ctx, p)
		}
		switch {
		case errors.Is(err, errOffboardingUnderWay):
			done = outcome{more: true, finishFirst: p.unfinished}
			return nil
		case by.replayed():
			if err == nil { // a removal may have been interrupted after its write
				done.formerMembers = p.formerMembers
			}
			done.token, err = answerReplay(ctx, p, err)
			return err
		case err != nil:
			return err
		}
		done, err = s.write(ctx, p, operation)
		return err
	})
	return done, err
}

// write commits what fits one write of a plan.
func (s *Service) write(ctx context.Context, p *plan, operation string) (done outcome, err error) {
	if again, err := p.portions.replan(p); again || err != nil {
		return outcome{more: again}, err
	}
	deletesOnly, err := p.Split()
	if err != nil {
		return outcome{}, err
	}
	done.more = deletesOnly || p.portions.more()
	if !done.more {
		rememberKey(p, s.now().Add(rememberFor))
	}
	if done.token, err = p.commit(ctx, operation); err != nil {
		if errors.Is(err, authz.ErrPrecondition) {
			p.portions.halve()
		}
		return outcome{}, err
	}
	countReassigned(p)
	done.formerMembers = p.formerMembers
	if !deletesOnly {
		p.portions.written()
		done.offboardings = p.offboardings
	}
	return done, nil
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
	p := newPlan(s.engine, by, tx.WithMaxRead(s.maxRead))
	err := build(ctx, p)
	return p.Snapshot(), err
}
