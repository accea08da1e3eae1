// Package job runs work that takes more than one write, and that must be finished even if the server stops meanwhile.
// While a job is under way, an object in the store records it. Run performs a job, one write at a time, until it
// ends. If a job was interrupted, the server reads it from its record and calls Run again. It does so when it starts,
// when a client repeats the call, and when an operation must wait for the job.
//
// The package has no rules of the product. A type that implements Job plans the writes of one kind of work.
package job

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// State is how far a job has got. A job never returns to an earlier state.
type State int

const (
	// Requested is the state of a job before its cut-off, the write that ends access. A job is also in this state if
	// it is unknown whether the cut-off was written.
	Requested State = iota

	// Cleaning is the state after the cut-off. Each further write deletes some of the remaining relationships.
	Cleaning

	// Canceling is the state of a job that must not be completed. The next write deletes its record; its earlier
	// writes are not undone.
	Canceling

	// Canceled is the state of a job that ended incomplete.
	Canceled

	// Done is the state of a complete job.
	Done
)

// String returns the name of the state.
func (s State) String() string {
	return [...]string{"requested", "cleaning", "canceling", "canceled", "done"}[s]
}

// hasEnded reports whether the job needs no further write.
func (s State) hasEnded() bool { return s == Canceled || s == Done }

// Job is the state of one job between two of its writes. A Job is immutable: the Job after a write is in Step.Then.
type Job interface {
	// Record returns the object that records the job. Jobs with the same record are the same job.
	Record() authz.Object

	// State returns how far the job has got.
	State() State

	// Next reads the newest data of the store and plans the next step, which Run writes. Next reads again how much
	// work is left, so a job can continue without data from its earlier steps. failed is the number of attempts at
	// this step that failed because a precondition did not hold. If Next returns authz.ErrPrecondition, Run calls it
	// again.
	Next(ctx context.Context, failed int) (Step, error)

	// Conflict returns the error message for a step whose preconditions failed in too many attempts.
	Conflict() string
}

// Step is the next write of a job.
type Step struct {
	// WaitFor are other jobs that must end first. Run performs them, and then calls Next again. If WaitFor is not
	// empty, Run ignores the other fields.
	WaitFor []Job

	// Unit holds the updates and preconditions of the write. If Unit is nil or has no updates, nothing is written.
	Unit *tx.Unit

	// DeleteAll replaces the updates of Unit if it is set. The write then deletes every relationship that the filter
	// matches, provided that the preconditions of Unit hold.
	DeleteAll *authz.Filter

	// Metadata is stored by SpiceDB together with the write.
	Metadata map[string]any

	// Then is the job after the write.
	Then Job

	// Cause is the error that explains why the job is canceled. It is set only if Then is a canceled job.
	Cause error
}

// Store stores the writes of jobs.
type Store interface {
	tx.Store

	DeleteAll(
		ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
	) (authz.Token, error)
}

// write performs the write of the step and returns the token of the write. For a step without a Unit, it returns
// previous.
func (s Step) write(ctx context.Context, store Store, previous authz.Token) (authz.Token, error) {
	switch {
	case s.DeleteAll != nil:
		return store.DeleteAll(ctx, *s.DeleteAll, s.Unit.Preconditions(), s.Metadata)
	case s.Unit != nil:
		return s.Unit.Commit(ctx, s.Metadata)
	}
	return previous, nil
}
