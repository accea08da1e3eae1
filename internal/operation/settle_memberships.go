package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// settleMemberships plans which memberships of subscriptions begin and end because the plan changes roles. It works
// for every operation, since it reads the updates of the plan. Only its first call for a plan has an effect.
func settleMemberships(ctx context.Context, p *plan) error {
	if p.settled || p.isReplay {
		return nil
	}
	p.settled = true
	changes, err := readMembershipChanges(ctx, p)
	if err != nil {
		return err
	}
	return settleChanges(ctx, p, changes)
}

// settleChanges plans the memberships that begin and end with the changes.
func settleChanges(ctx context.Context, p *plan, changes []*membershipChange) error {
	if err := readMemberships(ctx, p, changes); err != nil {
		return err
	}
	var promotions []authz.Write
	for _, c := range changes {
		promotion, err := settleMembership(ctx, p, *c)
		if err != nil {
			return err
		}
		if promotion != nil {
			promotions = append(promotions, *promotion)
		}
	}
	// The plan does not fit one write. The caller plans the change again with fewer entries.
	if p.portions != nil && checkSize(p) != nil {
		return nil
	}
	return promoteFirst(ctx, p, promotions)
}

// settleMembership plans whether one membership begins or ends. If another write must come first, it returns this
// write, see promotion.
func settleMembership(ctx context.Context, p *plan, c membershipChange) (first *authz.Write, err error) {
	m, err := readMembership(ctx, p, c)
	if err != nil {
		return nil, err
	}
	for _, r := range m.gone {
		p.Delete(r)
	}
	for _, account := range c.changed { // so that no other request makes the role permanent at the same time
		if !m.records(account) && !slices.Contains(c.gained, account) {
			requireSome(p, []authz.Precondition{{Absent: true, Filter: authz.Filter{
				Type: membershipType, ID: c.object().ID, SubjectType: account.Type, SubjectID: account.ID,
			}}})
		}
	}
	granted := reason(c.object(), furtherReason, c.subscription.object)
	switch {
	case m.leaves:
		if m.explicit {
			p.Delete(granted)
		} else if len(m.stored) > 0 {
			requireSome(p, []authz.Precondition{{Absent: true, Filter: authz.Exactly(granted)}})
		}
		return nil, nil //nolint:nilnil // no other write must come first
	case c.granted:
		if len(m.stored) == 0 {
			requireSome(p, []authz.Precondition{{Absent: true, Filter: reasonsOf(c.object())}})
		} else if !m.explicit {
			p.Update(authz.Touch, granted)
		}
		return nil, nil //nolint:nilnil // no other write must come first
	case len(c.gained) > 0:
		return nil, makeMember(ctx, p, c, m)
	case m.derived() && len(m.gone) > 0:
		return endDerivedMembership(ctx, p, c, m)
	}
	return nil, nil //nolint:nilnil // no other write must come first
}

// makeMember makes the person a member of the subscription, unless they are one already.
func makeMember(ctx context.Context, p *plan, c membershipChange, m membership) error {
	isNew := len(m.held) == 0
	role := roleChange{who: c.who, held: m.held, wanted: rolesOf(m.held)}
	if isNew {
		role.wanted = []authz.Role{authz.RoleMember}
	}
	if err := requireNoOffboarding(ctx, p, c.who, isNew); err != nil {
		return err
	}
	writeRoleChanges(p, c.subscription.object, c.subscription.set.BuiltIn(), []roleChange{role})
	switch {
	case isNew && m.explicit: // another tool left an explicit grant without a membership
		p.Delete(reason(c.object(), furtherReason, c.subscription.object))
	case isNew:
	case m.derived():
		// So that no other request writes an explicit grant at the same time.
		p.Require(m.stored[0])
	default:
		return nil
	}
	relation := furtherReason
	if isNew && !slices.ContainsFunc(m.kept, func(r authz.Relationship) bool { return r.Relation == firstReason }) {
		relation = firstReason
	}
	for _, account := range c.gained {
		if !m.records(account) {
			p.Update(authz.Touch, reason(c.object(), relation, account))
			relation = furtherReason
		}
	}
	return nil
}

// endDerivedMembership plans to end a membership that came from roles on accounts, unless a reason for it is left.
// The write requires as preconditions that this reason is still stored, or that there is still none.
func endDerivedMembership(
	ctx context.Context, p *plan, c membershipChange, m membership,
) (first *authz.Write, err error) {
	if len(m.kept) > 0 {
		p.Require(m.kept[0])
		return nil, nil //nolint:nilnil // no other write must come first
	}
	role, err := findUnrecordedReason(ctx, p, c, m)
	if err != nil {
		return nil, err
	}
	if role != nil {
		p.Require(*role)
		p.Update(authz.Touch, reason(c.object(), furtherReason, role.Resource))
		return nil, nil //nolint:nilnil // no other write must come first
	}
	if len(m.gone) > 1 || m.gone[0].Relation != firstReason {
		return promotion(m.gone), nil
	}
	p.Require(m.gone[0])
	p.Forbid(authz.Filter{Type: membershipType, ID: c.object().ID, Relation: furtherReason})
	p.Delete(m.held[0])
	return nil, withdrawFromMembership(ctx, p, c.who, c.subscription.object)
}

// promotion returns a write that makes one stored reason the first reason, and deletes the others. The person stays a
// member, and no reason is lost, since the roles behind the deleted reasons are still stored.
func promotion(reasons []authz.Relationship) *authz.Write {
	kept := max(0, slices.IndexFunc(reasons, func(r authz.Relationship) bool { return r.Relation == firstReason }))
	write := &authz.Write{Preconditions: []authz.Precondition{{Filter: authz.Exactly(reasons[kept])}}}
	for i, r := range reasons {
		if i != kept || r.Relation != firstReason {
			write.Updates = append(write.Updates, authz.Update{Action: authz.Delete, Relationship: r})
		}
	}
	if r := reasons[kept]; r.Relation != firstReason {
		r.Relation = firstReason
		write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: r})
		write.Preconditions = append(write.Preconditions, authz.Precondition{
			Absent: true, Filter: authz.Filter{Type: membershipType, ID: r.Resource.ID, Relation: firstReason},
		})
	}
	return write
}

// errPromoted makes run plan the operation again.
var errPromoted = &authz.Error{
	Code: authz.CodeConflict, Message: "the reasons for a membership are read again", Cause: authz.ErrPrecondition,
}

// promoteFirst performs writes that must come before the plan's, and then returns errPromoted.
func promoteFirst(ctx context.Context, p *plan, promotions []authz.Write) error {
	if len(promotions) == 0 {
		return nil
	}
	together := authz.Write{Metadata: p.by.metadata("end_membership")}
	write := func() error {
		_, err := p.engine.Write(ctx, together)
		together.Updates, together.Preconditions = nil, nil
		if errors.Is(err, authz.ErrPrecondition) { // the next attempt reads the change
			return nil
		}
		return err
	}
	for _, w := range promotions {
		if len(together.Updates) > 0 && len(together.Updates)+len(w.Updates) > authz.MaxUpdates ||
			len(together.Preconditions)+len(w.Preconditions) > authz.MaxUpdates {
			if err := write(); err != nil {
				return err
			}
		}
		together.Updates = append(together.Updates, w.Updates...)
		together.Preconditions = append(together.Preconditions, w.Preconditions...)
	}
	if err := write(); err != nil {
		return err
	}
	return errPromoted
}
