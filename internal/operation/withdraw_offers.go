package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// withdrawOffers plans to withdraw open invitations to the account or subscription that would undo a role change: an
// invitation that offers a person more than the roles that the change sets. It also withdraws invitations that the
// actor could not withdraw directly. A change that only adds roles, for example an acceptance, withdraws none. If the
// invitations do not fit the operation's write, earlier writes withdraw them.
func withdrawOffers(
	ctx context.Context, p *plan, place authz.Object, set authz.RoleSet, changes []roleChange,
) error {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c roleChange) bool { return c.adds || len(c.wanted) == 0 })
	filters := make([]authz.Filter, len(changes))
	for i, c := range changes {
		filters[i] = authz.Filter{Type: invitationType, Relation: invitationFor, SubjectType: user, SubjectID: c.who}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return err
	}
	for i, c := range changes {
		if len(changes) <= maxGuardedMemberships {
			if _, err := requireLatestInvitation(ctx, p, c.who); err != nil {
				return err
			}
		}
		open, err := filterOpen(ctx, p, handlesIn(found[i]))
		if err != nil {
			return err
		}
		for _, stored := range open {
			if stored.To != place || slices.Equal(set.Union(c.wanted, stored.Roles), c.wanted) {
				continue
			}
			// A first role reduces nothing, and the actor may lack the permission to withdraw the offer. So the offer
			// stays open.
			if c.arrives() && p.by.Actor != "" {
				if err := requireMayWithdraw(ctx, p, stored); errors.Is(err, authz.CodeForbidden) {
					continue
				} else if err != nil {
					return err
				}
			}
			p.DeleteFirst(deletedWith(stored))
		}
	}
	return nil
}
