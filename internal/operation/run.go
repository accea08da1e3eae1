package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
	"github.com/sluice-authz/sluice/internal/tx"
)

// Done is the result of an operation that changes something.
type Done struct {
	// Token names a state that includes the change.
	Token authz.Token

	// IsReplay is set if the operation was performed before under the same idempotency key. Then nothing is written.
	// Sluice does not store the earlier answer: this answer has the values that the same caller can read now.
	IsReplay bool

	// IsHidden is set for a replay if the caller may not read the values, or they no longer exist. Then the answer has
	// only the ids in the request.
	IsHidden bool
}

// run performs one operation. build plans an attempt, and run commits the plan as one write. If a precondition fails,
// run plans again on a newer snapshot, so build must not keep results of an earlier attempt.
//
// If the operation was performed before under the same idempotency key, run calls build once to find unfinished work of
// an interruption, and writes nothing. It ignores an error of build that says that the operation is no longer possible.
// The caller must not show the values that build then determines, see runWithResult.
func (s *Service) run(
	ctx context.Context, by Caller, operation string, build func(context.Context, *plan) error,
) (Done, error) {
	done, err := s.perform(ctx, by, operation, build)
	return done.Done, err
}

// performed is the result of an operation, with the objects that it reassigned.
type performed struct {
	Done

	reassigned []reassignment
}

// perform does the work of run, and also returns the objects that the operation reassigned.
func (s *Service) perform(
	ctx context.Context, by Caller, operation string, build func(context.Context, *plan) error,
) (performed, error) {
	var result performed
	for more := true; more; {
		done, err := s.writeOnce(ctx, by, operation, build)
		if err != nil {
			return performed{}, err
		}
		result.Done, more = done.Done, done.more
		result.reassigned = append(result.reassigned, done.reassigned...)
		for _, begun := range done.jobs {
			ended, token, err := job.Run(ctx, s.engine, begun)
			if err != nil && hasCutOff(ended.State()) && endsRoles(begun) {
				err = accessEnded(err)
			}
			if err != nil {
				return performed{}, err
			}
			result.Token = token
			if ended, ok := ended.(offboardingJob); ok {
				result.reassigned = append(result.reassigned, ended.reassigned...)
			}
		}
		if len(done.formerMembers) > 0 {
			result.Token, err = s.endNamedSince(ctx, by, operation, result.Token, done.formerMembers)
			if err != nil {
				return performed{}, err
			}
		}
	}
	return result, nil
}

// outcome is the result of one write of an operation.
type outcome struct {
	Done

	// more is set if the operation must be planned again: this write was only a part of it, or it wrote nothing yet.
	more bool
	// jobs must be finished before the operation ends or is planned again.
	jobs          []job.Job
	reassigned    []reassignment
	formerMembers []formerMember
}

// writeOnce plans and commits one write of an operation, and retries it while preconditions fail.
func (s *Service) writeOnce(
	ctx context.Context, by Caller, operation string, build func(context.Context, *plan) error,
) (outcome, error) {
	attempts := tx.NewAttempts("other requests kept changing what this operation depends on; try again")
	for {
		done, err := s.attempt(ctx, by, operation, attempts.Failed() > 0, build)
		if err == nil {
			return done, nil
		}
		if err := attempts.Retry(ctx, err); err != nil {
			return outcome{}, err
		}
	}
}

// attempt makes one attempt at a write of an operation.
func (s *Service) attempt(
	ctx context.Context, by Caller, operation string, isRetry bool, build func(context.Context, *plan) error,
) (outcome, error) {
	p := newPlan(s.engine, by)
	p.now, p.isRetry = s.now(), isRetry
	err := requireActor(ctx, p)
	if err != nil {
		return outcome{}, err
	}
	if p.isReplay, err = findReplay(ctx, p); err != nil {
		return outcome{}, err
	}
	err = build(ctx, p)
	if err == nil && !p.isReplay {
		err = completePlan(ctx, p)
	}
	var wait *underWayError
	switch {
	case errors.As(err, &wait):
		done := outcome{more: true}
		for _, d := range wait.offboardings {
			done.jobs = append(done.jobs, s.offboardingJob(by, "finish_offboarding", d).in(wait.state))
		}
		for _, group := range wait.groups {
			done.jobs = append(done.jobs, s.groupWithdrawal(by, "finish_withdrawal", group))
		}
		return done, nil
	case p.isReplay:
		done := outcome{Done: Done{IsReplay: true}}
		if err == nil { // the earlier request may have stopped after its write
			done.formerMembers = p.formerMembers
		}
		done.Token, err = answerReplay(ctx, p, err)
		return done, err
	case err != nil:
		return outcome{}, err
	}
	return s.write(ctx, p, operation)
}

// write commits as much of a plan as fits one write.
func (s *Service) write(ctx context.Context, p *plan, operation string) (done outcome, err error) {
	if again, err := p.portions.replan(p); again || err != nil {
		return outcome{more: again}, err
	}
	deletesOnly, err := p.Split()
	if err != nil {
		return outcome{}, err
	}
	done.more = deletesOnly || p.portions.more() || p.chunks.more() || p.leaving.more()
	if !done.more {
		rememberKey(p, s.now().Add(rememberFor))
	}
	if done.Token, err = p.commit(ctx, operation); err != nil {
		if errors.Is(err, authz.ErrPrecondition) {
			p.portions.halve()
		}
		return outcome{}, err
	}
	done.reassigned = p.reassigned
	done.formerMembers = p.formerMembers
	if !deletesOnly {
		p.portions.written()
		p.chunks.written()
		p.leaving.written()
		for _, d := range p.offboardings {
			done.jobs = append(done.jobs, s.offboardingJob(p.by, operation, d))
		}
		for _, group := range p.withdrawingGroups {
			done.jobs = append(done.jobs, s.groupWithdrawal(p.by, operation, group))
		}
	}
	return done, nil
}

// answered returns the result of an operation. It drops the value if there is an error: the value may contain facts
// that the actor may not know.
func answered[T any, D Done | authz.Token](value T, done D, err error) (T, D, error) {
	if err != nil {
		var none T
		var undone D
		return none, undone, err
	}
	return value, done, nil
}

// read performs an operation that changes nothing.
func (s *Service) read(ctx context.Context, by Caller, build func(context.Context, *plan) error) (authz.Token, error) {
	p := newPlan(s.engine, by, tx.WithMaxRead(s.maxRead))
	err := requireActor(ctx, p)
	if err == nil {
		err = build(ctx, p)
	}
	return p.Snapshot(), err
}
