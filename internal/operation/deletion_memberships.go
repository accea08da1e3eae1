package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// membershipBatch is how many reasons for memberships one write deletes.
const membershipBatch = 50

// endMemberships deletes the reasons for memberships that a deleted account was, and ends each membership without
// another reason.
func (w *cleanup) endMemberships(ctx context.Context, reasons []authz.Relationship) error {
	for batch := range slices.Chunk(reasons, membershipBatch) {
		if err := w.endSomeMemberships(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// endSomeMemberships ends the memberships of one batch of reasons, in as many writes as they need.
func (w *cleanup) endSomeMemberships(ctx context.Context, reasons []authz.Relationship) error {
	const conflict = "other requests kept changing the memberships that end with this deletion; try again"
	for more := true; more; {
		err := tx.Retry(ctx, conflict, func(int) (err error) {
			more, err = w.writeMemberships(ctx, reasons)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeMemberships ends memberships in one write, and reports whether another write must follow. It returns
// errFinished if the deletion is no longer under way.
func (w *cleanup) writeMemberships(ctx context.Context, reasons []authz.Relationship) (more bool, err error) {
	p := newPlan(w.engine, w.by)
	if _, err := p.head(ctx); err != nil {
		return false, err
	}
	for _, c := range w.underWay() {
		found, err := p.FindSome(ctx, c.Filter, 1)
		if err != nil {
			return false, err
		}
		if len(found) > 0 == c.Absent {
			return false, errFinished
		}
		p.AddPrecondition(c)
	}
	if err := endReasons(ctx, p, reasons); err != nil {
		return false, err
	}
	if more, err = p.Split(); err != nil {
		return false, err
	}
	_, err = p.commit(ctx, w.operation)
	return more, err
}

// endReasons plans that accounts, which hold no roles any more, are no longer reasons for memberships.
func endReasons(ctx context.Context, p *plan, reasons []authz.Relationship) error {
	var changes []*membershipChange
	for _, r := range reasons {
		p.Delete(r)
		who := memberOf(r.Resource)
		if who == "" { // another tool wrote it
			continue
		}
		roles, err := p.Find(ctx, authz.Filter{Type: "subscription", SubjectType: user, SubjectID: who})
		if err != nil {
			return err
		}
		for _, role := range roles {
			if membershipOf(who, role.Resource) != r.Resource {
				continue
			}
			facts, err := readMultiOwner(ctx, p, role.Resource)
			if err != nil {
				return err
			}
			if facts != nil {
				changes = append(changes, &membershipChange{who: who, subscription: *facts})
			}
		}
	}
	return settleChanges(ctx, p, changes)
}
