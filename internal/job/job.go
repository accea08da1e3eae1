// Package job runs work that takes more than one write and must be finished even if the server stops. While a job is
// under way, an object in the store records it. Run performs a job, one write at a time, until it ends. After an
// interruption, the job is read from its record and given to Run again: by the start of the server, a repetition of the
// call, or an operation that must wait for the job.
//
// The package knows no product rule. A type that implements Job plans the writes of one kind of work.
package job

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// State is how far a job is. A job advances to later states only.
type State int

const (
	// Requested is the state of a job before its cut-off, or when it is unknown whether the cut-off is written. The
	// cut-off is the write that ends access.
	Requested State = iota

	// Cleaning is the state after the cut-off. Each write deletes some of the relationships that are left.
	Cleaning

	// Canceling is the state of a job that must not be completed. Its earlier writes remain, but its record is deleted.
	Canceling

	// Canceled is the state of a job that ended before it was complete.
	Canceled

	// Done is the state of a complete job.
	Done
)

// String returns the name of the state.
func (s State) String() string {
	return [...]string{"requested", "cleaning", "canceling", "canceled", "done"}[s]
}

// hasEnded reports whether no step follows.
func (s State) hasEnded() bool { return s == Canceled || s == Done }

// Job is the state of a job between two of its writes. A Job is immutable: each Step contains the Job that follows.
type Job interface {
	// Record returns the object that records the job. Jobs with the same record are the same job.
	Record() authz.Object

	// State returns how far the job is.
	State() State

	// Next reads the newest state of the store and plans the next step, which Run writes. Every step reads again how
	// much work is left, so a job can continue without data from its earlier steps. failed is how many attempts at the
	// step failed at a precondition. If Next returns authz.ErrPrecondition, Run plans the step again.
	Next(ctx context.Context, failed int) (Step, error)

	// Conflict returns the error message for a step that failed too often.
	Conflict() string
}

// Step is the next write of a job.
type Step struct {
	// WaitFor are other jobs that must end first. Run runs them, and then asks for the step again. If WaitFor is not
	// empty, Run ignores the other fields.
	WaitFor []Job

	// Unit holds the write. If it is nil or has no updates, nothing is written.
	Unit *tx.Unit

	// DeleteAll replaces the Unit's updates if it is set: the write deletes every matching relationship, if the Unit's
	// preconditions hold.
	DeleteAll *authz.Filter

	// Metadata is stored by SpiceDB together with the write.
	Metadata map[string]any

	// Then is the job after the write.
	Then Job

	// Cause says why the job is canceled, if Then is a canceled job.
	Cause error
}

// Store stores the writes of jobs.
type Store interface {
	tx.Store

	DeleteAll(
		ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
	) (authz.Token, error)
}

// write writes the step and returns the token of the write. If there is nothing to write and nothing was read, it
// returns previous.
func (s Step) write(ctx context.Context, store Store, previous authz.Token) (authz.Token, error) {
	switch {
	case s.DeleteAll != nil:
		return store.DeleteAll(ctx, *s.DeleteAll, s.Unit.Preconditions(), s.Metadata)
	case s.Unit != nil:
		return s.Unit.Commit(ctx, s.Metadata)
	}
	return previous, nil
}
