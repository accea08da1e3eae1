package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
)

// commit writes the plan. A plan that changes nothing is not written.
func (p *plan) commit(ctx context.Context, operation string) (authz.Token, error) {
	if len(p.updates) == 0 {
		return p.head(ctx)
	}
	if err := p.checkForeign(); err != nil {
		return "", err
	}
	p.forbidDepartures()
	if err := p.checkSize(); err != nil {
		return "", err
	}
	attempt := ctx
	if p.patience > 0 {
		var cancel context.CancelFunc
		attempt, cancel = context.WithTimeout(ctx, p.patience)
		defer cancel()
	}
	token, err := p.engine.Write(attempt, authz.Write{Updates: p.updates, Preconditions: p.preconditions, Metadata: p.by.metadata(operation)})
	// SpiceDB, which knows the deadline, can notice its end a moment before this process does.
	tookTooLong := attempt.Err() != nil || p.patience > 0 && errors.Is(err, authz.CodeDeadline)
	if err != nil && tookTooLong && ctx.Err() == nil {
		err = &authz.Error{Code: authz.CodeConflict, Message: "others got ahead of the write", Cause: authz.ErrPrecondition}
	}
	return token, err
}

// splitDeletes reports whether the plan is too large for one write and may delete first. The plan is then a part of what it
// deletes, and the operation is planned again after it.
func (p *plan) splitDeletes() (more bool, err error) {
	const most = authz.MaxUpdates - 1 // one is for what remembers the call
	var first []authz.Update
	full := 0 // how much of first one write holds
	for _, group := range p.first {
		for _, r := range group {
			if p.planned(r) < 0 {
				first = append(first, authz.Update{Action: authz.Delete, Relationship: r})
			}
		}
		if len(first) <= most {
			full = len(first)
		}
	}
	if len(first) > 0 && len(p.updates)+len(first) > most {
		p.updates = first[:full]
		return true, nil
	}
	p.updates = append(p.updates, first...)
	if !p.deletesFirst || len(p.updates) <= most {
		return false, nil
	}
	var deletes []authz.Update
	for _, u := range p.updates {
		if u.Action == authz.Delete {
			deletes = append(deletes, u)
		}
	}
	if others := len(p.updates) - len(deletes); others > most {
		return false, tooManyUpdates(others)
	}
	p.updates = deletes[:min(len(deletes), most)]
	return true, nil
}

// checkSize returns an error with CodeTooLarge if the plan does not fit one write.
func (p *plan) checkSize() error {
	updates, preconditions := len(p.updates), len(p.preconditions)+min(len(p.arriving), 1) // see forbidDepartures
	if p.by.Once != nil && p.planned(p.by.done()) < 0 {                                    // see remember
		updates, preconditions = updates+1, preconditions+1
	}
	if updates > authz.MaxUpdates {
		return tooManyUpdates(updates)
	}
	if preconditions > authz.MaxUpdates {
		return authz.Errorf(authz.CodeTooLarge, "the operation needs %s, more than the %d that fit one write; split it",
			authz.Count(preconditions, "precondition", "preconditions"), authz.MaxUpdates)
	}
	return nil
}

func tooManyUpdates(n int) error {
	return authz.Errorf(authz.CodeTooLarge, "the operation needs %s, more than the %d that fit one write; split it", authz.Count(n, "change", "changes"), authz.MaxUpdates)
}

// head returns the token of what the plan read; where nothing gave one yet, that of the newest state.
func (p *plan) head(ctx context.Context) (authz.Token, error) {
	if p.snapshot != "" {
		return p.snapshot, nil
	}
	_, token, err := p.engine.Check(ctx, authz.Check{Subject: only(platform), Permission: "administer", Resource: platform}, authz.Fully())
	p.snapshot = token
	return token, err
}

// fitsWrite returns an error with CodeTooLarge if the plan writes more than one write holds; what it deletes, and what only takes
// access away, may be split. A loop that plans updates asks it before it reads for more.
func (p *plan) fitsWrite() error {
	written := -p.lowered
	for _, u := range p.updates {
		if u.Action != authz.Delete {
			written++
		}
	}
	if written > authz.MaxUpdates {
		return tooManyUpdates(written)
	}
	return nil
}
