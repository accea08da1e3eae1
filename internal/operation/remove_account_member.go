package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// RemoveAccountMember deletes all roles of a person on an account. It also deletes the connection shares and
// workspace memberships of the person there, and withdraws the open invitations to the account that the person
// received or sent. The actor needs assign_roles to remove an owner or administrator, and remove_members to remove
// another member. All members may remove themselves.
//
// The person keeps the access that they have through groups, see RemoveAccountMemberAndGroups.
func (s *Service) RemoveAccountMember(ctx context.Context, by Caller, id, who authz.ID) (Done, error) {
	return s.removeAccountMember(ctx, by, id, who, false)
}

func (s *Service) removeAccountMember(
	ctx context.Context, by Caller, id, who authz.ID, leavesGroups bool,
) (Done, error) {
	groups := &leaving{who: who, account: id}
	return s.run(ctx, by, "remove_account_member", func(ctx context.Context, p *plan) error {
		if groups.isPending {
			return groups.plan(ctx, p)
		}
		if err := planRemovalFromAccount(ctx, p, id, who); err != nil || !leavesGroups {
			return err
		}
		return groups.plan(ctx, p)
	})
}

// planRemovalFromAccount plans that the actor removes a person from an account.
func planRemovalFromAccount(ctx context.Context, p *plan, id, who authz.ID) error {
	if who == p.by.Actor.Person() {
		if done, err := leavePlace(ctx, p, accountObject(id)); done || err != nil {
			return err
		}
		account, err := readAccount(ctx, p, id)
		if err != nil {
			return err
		}
		rememberRemoval(p, account.object, who)
		return removeAccountRoles(ctx, p, account, who)
	}
	g, err := readPermissions(ctx, p, accountObject(id), "remove_members", "assign_roles")
	if err != nil {
		return err
	}
	if !g.allowed["assign_roles"] {
		// This check comes before the person's roles are read, so that its error does not depend on them.
		if err := g.need("remove_members"); err != nil {
			return err
		}
	}
	account, err := readAccount(ctx, p, id)
	if err != nil {
		return err
	}
	held, err := readRoles(ctx, p, account.object, account.set, who)
	if err != nil {
		return err
	}
	needed := authz.Permission("remove_members")
	if account.set.Required != "" && (roleChange{held: held}).had(account.set.Required) {
		needed = "assign_roles"
	}
	if err := g.need(needed); err != nil {
		return err
	}
	through, err := readGroupRoles(ctx, p, account.object, who)
	if err != nil {
		return err
	}
	if err := removeAccountRoles(ctx, p, account, who); err != nil {
		return err
	}
	if needed == "remove_members" && (len(held)+len(through) > 0 || withdrawsOffer(p, who)) {
		rememberRemoval(p, account.object, who)
	}
	return nil
}

// withdrawsOffer reports whether the plan withdraws an invitation that somebody other than the actor sent to the
// person. Then the person counts as removed, so that the actor cannot replace the offer by a weaker one. withdrawsOffer
// is also true if there are too many invitations to read before the write.
func withdrawsOffer(p *plan, who authz.ID) bool {
	return slices.ContainsFunc(p.withdrawing, func(w withdrawal) bool {
		return w.many || slices.ContainsFunc(w.open, func(stored storedInvitation) bool {
			return stored.Invitee == who && stored.Inviter != p.by.Actor
		})
	})
}

func removeAccountRoles(ctx context.Context, p *plan, account accountFacts, who authz.ID) error {
	change, err := readChange(ctx, p, account.object, account.set, who, nil)
	if err != nil {
		return err
	}
	return changeAccount(ctx, p, account, change)
}
