package job

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// running is a job that Run performs.
type running struct {
	Job
	attempts *tx.Attempts // attempts at the next step
	token    authz.Token  // token of the last write
	cause    error        // why the job was canceled
}

func start(job Job) *running { return &running{Job: job, attempts: tx.NewAttempts(job.Conflict())} }

// advance makes one attempt at the next step. If the step must wait for other jobs, advance writes nothing and
// returns these jobs.
func (r *running) advance(ctx context.Context, store Store) (waitFor []Job, err error) {
	step, err := r.Next(ctx, r.attempts.Failed())
	if err == nil && len(step.WaitFor) > 0 {
		return step.WaitFor, nil
	}
	token := r.token
	if err == nil {
		token, err = step.write(ctx, store, r.token)
	}
	if err != nil {
		return nil, r.attempts.Retry(ctx, err)
	}
	*r = running{Job: step.Then, attempts: tx.NewAttempts(step.Then.Conflict()), token: token, cause: step.Cause}
	return nil, nil
}

// Run performs a job until it ends, and returns the ended job with the token of its last write. If the job must wait
// for other jobs, Run performs these first; it does not matter whether they are completed or canceled. If the job
// itself is canceled, the error is its Step.Cause. If a step of any of these jobs fails too often at its
// preconditions, the error has CodeConflict. Run also returns every other error of Next and of a write. After an
// error, the returned job is in its state after its last write.
//
// Two servers may run the same job at the same time. Each write requires as a precondition that the record of the job
// still exists, so it does not matter which server makes the last write.
func Run(ctx context.Context, store Store, job Job) (Job, authz.Token, error) {
	first := start(job)
	stack := []*running{first} // each job waits for the jobs after it
	for {
		last := stack[len(stack)-1]
		if last.State().hasEnded() {
			if last == first {
				return first.Job, first.token, first.cause
			}
			stack = stack[:len(stack)-1]
			continue
		}
		waitFor, err := last.advance(ctx, store)
		if err != nil {
			return first.Job, "", err
		}
		for _, other := range waitFor {
			if isIn(stack, other) {
				return first.Job, "", authz.Errorf(
					authz.CodeConflict, "%s and %s wait for each other", last.Record(), other.Record(),
				)
			}
		}
		for i := range waitFor {
			stack = append(stack, start(waitFor[len(waitFor)-1-i]))
		}
	}
}

// isIn reports whether stack contains a job with the same record.
func isIn(stack []*running, job Job) bool {
	for _, r := range stack {
		if r.Record() == job.Record() {
			return true
		}
	}
	return false
}
