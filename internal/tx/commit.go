package tx

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxSplit is how many updates Split puts into one write: one less than SpiceDB accepts, so that an idempotency key
// fits, too.
const maxSplit = authz.MaxUpdates - 1

// Commit writes the updates as one atomic change, if all preconditions hold, and returns its token. A Unit without
// updates writes nothing and must have a snapshot, whose token is returned. The error is authz.ErrPrecondition if a
// precondition fails, and has CodeTooLarge if the updates or preconditions do not fit one write. SpiceDB stores the
// metadata with the transaction.
func (u *Unit) Commit(ctx context.Context, metadata map[string]any) (authz.Token, error) {
	if len(u.updates) == 0 {
		return u.snapshot, nil
	}
	if err := CheckSize(len(u.updates), len(u.preconditions)); err != nil {
		return "", err
	}
	limited := ctx
	if u.maxWrite > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, u.maxWrite)
		defer cancel()
	}
	token, err := u.store.Write(limited, authz.Write{
		Updates: u.updates, Preconditions: u.preconditions, Metadata: metadata,
	})
	// SpiceDB also knows the deadline, and may return CodeDeadline a moment before the context ends here.
	tookTooLong := limited.Err() != nil || u.maxWrite > 0 && errors.Is(err, authz.CodeDeadline)
	if err != nil && tookTooLong && ctx.Err() == nil {
		err = &authz.Error{
			Code: authz.CodeConflict, Message: "concurrent requests delayed the write", Cause: authz.ErrPrecondition,
		}
	}
	return token, err
}

// LimitWriteTime limits the time of the commit. A commit that takes longer fails with authz.ErrPrecondition, so that
// the caller retries with a smaller write. Without LimitWriteTime, the deadline of the request is the limit.
func (u *Unit) LimitWriteTime(limit time.Duration) { u.maxWrite = limit }

// DeleteFirst adds relationships to delete together in one write. If they do not fit beside the other updates, Split
// deletes them in an earlier write.
func (u *Unit) DeleteFirst(together []authz.Relationship) {
	u.deletedFirst = append(u.deletedFirst, together)
}

// AllowSplit lets Split move deletes into writes of their own, before the other updates.
func (u *Unit) AllowSplit() { u.splits = true }

// Split prepares the next commit. If all updates, including the deletes of DeleteFirst, fit one write, it returns
// false. Otherwise it keeps only as many deletes as fit and returns true: the caller commits them, and plans the
// operation again on a new Unit. The error has CodeTooLarge if the updates other than deletes do not fit one write.
func (u *Unit) Split() (more bool, err error) {
	var first []authz.Update
	full := 0 // how many elements of first fit one write
	for _, together := range u.deletedFirst {
		for _, r := range together {
			if u.indexOf(r) < 0 {
				first = append(first, authz.Update{Action: authz.Delete, Relationship: r})
			}
		}
		if len(first) <= maxSplit {
			full = len(first)
		}
	}
	if len(first) > 0 && len(u.updates)+len(first) > maxSplit {
		u.setUpdates(first[:full])
		return true, nil
	}
	u.setUpdates(append(u.updates, first...))
	if !u.splits || len(u.updates) <= maxSplit {
		return false, nil
	}
	var deletes []authz.Update
	for _, update := range u.updates {
		if update.Action == authz.Delete {
			deletes = append(deletes, update)
		}
	}
	if others := len(u.updates) - len(deletes); others > maxSplit {
		return false, CheckSize(others+1, 0)
	}
	u.setUpdates(deletes[:min(len(deletes), maxSplit)])
	return true, nil
}

// CheckSize returns an error with CodeTooLarge if one write cannot hold so many updates and preconditions.
func CheckSize(updates, preconditions int) error {
	const text = "the operation needs %s, more than the %d that fit one write; split it"
	if updates > authz.MaxUpdates {
		return authz.Errorf(authz.CodeTooLarge, text, authz.Count(updates, "change", "changes"), authz.MaxUpdates)
	}
	if preconditions > authz.MaxUpdates {
		return authz.Errorf(authz.CodeTooLarge, text,
			authz.Count(preconditions, "precondition", "preconditions"), authz.MaxUpdates)
	}
	return nil
}
