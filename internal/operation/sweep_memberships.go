package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// membershipBatch is for how many people one write deals with reasons for their memberships.
const membershipBatch = 50

// endMemberships removes reasons for memberships that a deleted account was, and ends each membership that has none left.
func (w *sweeper) endMemberships(ctx context.Context, reasons []authz.Relationship) error {
	for batch := range slices.Chunk(reasons, membershipBatch) {
		if err := w.endSomeMemberships(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (w *sweeper) endSomeMemberships(ctx context.Context, reasons []authz.Relationship) error {
	for attempt := 0; attempt < maxAttempts; attempt++ {
		if err := pause(ctx, attempt); err != nil {
			return err
		}
		p := newPlan(w.engine, w.by)
		if _, err := p.head(ctx); err != nil {
			return err
		}
		for _, c := range w.marked() {
			found, err := p.findSome(ctx, c.Filter, 1)
			if err != nil {
				return err
			}
			if len(found) > 0 == c.Absent {
				return errFinished
			}
			p.precondition(c)
		}
		more := false
		err := p.endReasons(ctx, reasons)
		if err == nil {
			more, err = p.splitDeletes()
		}
		if err == nil {
			_, err = p.commit(ctx, w.operation)
		}
		switch {
		case err == nil && more:
			attempt = -1
		case !errors.Is(err, authz.ErrPrecondition):
			return err
		}
	}
	return authz.Errorf(authz.CodeConflict, "other requests kept changing the memberships that end with this deletion; try again")
}

// endReasons plans that accounts, which hold no roles any more, are no reasons for memberships.
func (p *plan) endReasons(ctx context.Context, reasons []authz.Relationship) error {
	var changes []*membershipChange
	for _, r := range reasons {
		p.delete(r)
		who := memberOf(r.Resource)
		if who == "" { // another tool wrote it
			continue
		}
		roles, err := p.find(ctx, authz.Filter{Type: "subscription", SubjectType: user, SubjectID: who})
		if err != nil {
			return err
		}
		for _, role := range roles {
			if membershipOf(who, role.Resource) != r.Resource {
				continue
			}
			facts, err := p.multiOwner(ctx, role.Resource)
			if err != nil {
				return err
			}
			if facts != nil {
				changes = append(changes, &membershipChange{who: who, subscription: *facts})
			}
		}
	}
	return p.settle(ctx, changes)
}
