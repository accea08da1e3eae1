package operation

import (
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// accessEnded adds to an error that ends a call after its cut-off: the access has already ended, and a repetition of
// the call finishes the rest. It changes only errors that say that the call was interrupted.
func accessEnded(err error) error {
	var known *authz.Error
	if !errors.As(err, &known) || !slices.Contains(interruptions, known.Code) {
		return err
	}
	ended := *known
	ended.Message += "; the access has already ended: repeat the call to finish the rest"
	ended.Cause = err
	return &ended
}

// interruptions are the codes of errors that interrupt a call at any point.
var interruptions = []authz.Code{authz.CodeUnavailable, authz.CodeDeadline, authz.CodeCanceled}

// endsRoles reports whether the job belongs to an operation that ends roles.
func endsRoles(j job.Job) bool {
	d, isOffboarding := j.(offboardingJob)
	return !isOffboarding || !d.keepsRoles
}

// hasCutOff reports whether a job has ended access.
func hasCutOff(state job.State) bool { return state == job.Cleaning || state == job.Canceling }

// removedFirst adds to the error of a reassignment that the person is already removed.
func removedFirst(who, to authz.ID, err error) error {
	var known *authz.Error
	if !errors.As(err, &known) {
		return err
	}
	removed := *known
	removed.Message = string(who) + " is removed, but " + string(to) + " did not get everything that " + string(who) +
		" created: " + known.Message
	removed.Cause = err
	return &removed
}
