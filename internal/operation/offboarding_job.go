package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// runOffboarding performs the rest of an offboarding, write by write; the last write ends it. It needs no permission,
// since the actor who started it had it. If two requests run it at the same time, either may finish it.
//
// A write of the person's that was in progress when their roles ended may become visible later, see cleanup. So the
// last write requires that no creation of theirs is left. That can be required only if they created nothing
// elsewhere.
func (s *Service) runOffboarding(
	ctx context.Context, by Caller, operation string, d offboarding,
) (token authz.Token, err error) {
	const conflict = "other requests kept changing what this removal depends on; repeat the call to finish it"
	halved := 0
	for ends := false; !ends; {
		err := tx.Retry(ctx, conflict, func(attempt int) (err error) {
			token, ends, err = s.writeOffboarding(ctx, by, operation, d, halved+attempt)
			if err == nil {
				halved = max(0, halved+attempt-1)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return token, nil
}

// writeOffboarding performs the next write of an offboarding, and reports whether it was the last.
func (s *Service) writeOffboarding(
	ctx context.Context, by Caller, operation string, d offboarding, halved int,
) (token authz.Token, ends bool, err error) {
	p := newPlan(s.engine, by)
	p.LimitWriteTime(maxWriteTime)
	p.halved = halved
	if _, err := p.head(ctx); err != nil {
		return "", false, err
	}
	if now, under, err := readOffboarding(ctx, p, d.who); err != nil || !under || now != d {
		return p.Snapshot(), true, err
	}
	for _, row := range d.relationships() {
		p.Require(row)
	}
	if ends, err = s.planOffboarding(ctx, p, by, operation, d); err != nil {
		return "", false, err
	}
	if token, err = p.commit(ctx, operation); err != nil {
		return "", false, err
	}
	if !ends {
		countReassigned(p)
	}
	return token, ends, nil
}

// planOffboarding plans the next write of an offboarding, and reports whether it is the last.
func (s *Service) planOffboarding(
	ctx context.Context, p *plan, by Caller, operation string, d offboarding,
) (ends bool, err error) {
	var orphaned places
	if !d.keepsRoles {
		fits := func() bool { return fitsOffboarding(p, maxUpdatesPerPlace) }
		if orphaned, err = deleteRoles(ctx, p, d, fits); err != nil {
			return false, err
		}
	}
	if err := orphaned.err(); err != nil { // another holder lost the role since, or the person got a new one
		return false, errors.Join(err, s.cancelOffboarding(ctx, by, d))
	}
	if err := settleMemberships(ctx, p); err != nil {
		return false, err
	}
	if more, err := p.Split(); more || err != nil {
		return false, err
	}
	if len(p.Updates()) == 0 {
		if err := deleteClosedInvitations(ctx, p, d.who); err != nil {
			return false, err
		}
	}
	if len(p.Updates()) == 0 {
		if err := planCleanup(ctx, p, d); err != nil {
			return false, err
		}
	}
	if len(p.Updates()) > 0 {
		return false, nil
	}
	if err := s.cleanUpDisconnected(ctx, by, operation, d.requestedBy); err != nil {
		return false, err
	}
	if d.erases() {
		if more, err := s.eraseRemaining(ctx, p, by, operation, d); err != nil || more {
			return false, err
		}
	}
	if err := requireNothingLeft(ctx, p, d); err != nil {
		return false, err
	}
	return true, endOffboarding(ctx, p, d)
}

// endOffboarding plans that an offboarding is no longer under way.
func endOffboarding(ctx context.Context, p *plan, d offboarding) error {
	closed, err := readWithdrawals(ctx, p, d.who)
	for _, row := range append(d.relationships(), closed...) {
		p.Delete(row)
	}
	return err
}

// requireNothingLeft makes the last write require that nothing is left for this offboarding to delete or reassign.
func requireNothingLeft(ctx context.Context, p *plan, d offboarding) error {
	if d.erases() {
		p.Forbid(authz.Filter{SubjectType: user, SubjectID: d.who})
		return nil
	}
	if closed, err := readWithdrawals(ctx, p, d.who); err != nil || len(closed) > 0 {
		err = errors.Join(err, requireNoneInvited(ctx, p, d.who))
		if err != nil {
			return err
		}
	}
	if !d.reassigns() {
		return nil
	}
	for _, typ := range createdTypes() {
		rows, err := p.Find(ctx, creatorRows(typ, d.who))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			p.Forbid(creatorRows(typ, d.who))
		}
	}
	return nil
}

// cancelOffboarding ends an offboarding before it is complete; its earlier writes remain. The invitations that it
// closed do not open again: it deletes them first.
func (s *Service) cancelOffboarding(ctx context.Context, by Caller, d offboarding) error {
	for {
		p := newPlan(s.engine, by)
		if _, err := p.head(ctx); err != nil {
			return err
		}
		if err := deleteClosedInvitations(ctx, p, d.who); err != nil {
			return err
		}
		ends := len(p.Updates()) == 0
		if ends {
			if err := endOffboarding(ctx, p, d); err != nil {
				return err
			}
			if by.Idempotency != nil {
				p.Delete(by.done())
			}
		}
		if _, err := p.commit(ctx, "cancel_offboarding"); err != nil || ends {
			return err
		}
	}
}

// cleanUpDisconnected finishes the deletions of the connections that an offboarding cut off.
func (s *Service) cleanUpDisconnected(
	ctx context.Context, by Caller, operation string, requestedBy authz.Subject,
) error {
	p := newPlan(s.engine, by)
	under, err := p.FindSome(
		ctx,
		authz.Filter{
			Type:        deletionType,
			Relation:    deletionRequestedBy,
			SubjectType: requestedBy.Type,
			SubjectID:   requestedBy.ID,
		},
		0,
	)
	if err != nil {
		return err
	}
	for _, deletion := range under {
		object := deletedObject(deletion.Resource)
		if object.Type != "connection" {
			continue
		}
		placed, err := p.FindSome(
			ctx, authz.Filter{Type: object.Type, ID: object.ID, Relation: kindOf(object.Type).place}, 1,
		)
		if err != nil {
			return err
		}
		if len(placed) > 0 {
			continue
		}
		if _, err := s.cleanUp(ctx, by, operation, deletion); err != nil {
			return err
		}
	}
	return nil
}
