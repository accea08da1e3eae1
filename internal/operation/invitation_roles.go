package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// offerRoles plans a grant of the roles by the actor, and returns the roles. Without an invitee, it only checks
// that an invitation may offer the roles to anybody.
func offerRoles(ctx context.Context, p *plan, in NewInvitation) (Roles, error) {
	if in.Invitee != "" {
		return joinPlace(ctx, p, in.To, in.Invitee, in.Roles)
	}
	if _, err := readPermissions(ctx, p, in.To); err != nil {
		return nil, err
	}
	set, err := readRoleSetOf(ctx, p, in.To)
	if err != nil {
		return nil, err
	}
	if set, err = withCustomRoles(ctx, p, in.To, set, in.Roles); err != nil {
		return nil, err
	}
	roles, err := parseOfferedRoles(set, in.Roles)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(roles, []authz.Role{set.Default}) {
		return nil, authz.Errorf(
			authz.CodeInvalid, "an invitation that offers %s on %s must name its invitee: %s", list(roles), in.To,
			withoutInvitee(set),
		)
	}
	g, err := readPermissions(ctx, p, in.To, "invite_members", "assign_roles") // only accounts have a default role
	if err != nil || g.allowed["assign_roles"] {
		return roles, err
	}
	return roles, g.need("invite_members")
}

// withoutInvitee says which role of a set an invitation without an invitee may offer, as text for an error.
func withoutInvitee(set authz.RoleSet) string {
	if set.Default == "" {
		return "no role of " + string(set.Name) + " may be offered to everybody"
	}
	return "only " + string(set.Default) + " may be offered to everybody"
}

// readRoleSetOf reads the role set of a subscription or an account.
func readRoleSetOf(ctx context.Context, p *plan, object authz.Object) (authz.RoleSet, error) {
	place, err := readRolePlace(ctx, p, object)
	return place.set, err
}

// joinPlace plans that the actor adds roles to those that a person holds on an account or a subscription. If the
// person can hold only one role there, they get the stronger one.
func joinPlace(ctx context.Context, p *plan, to authz.Object, who authz.ID, names []string) (Roles, error) {
	if to.Type == "account" {
		return joinAccount(ctx, p, to, who, names)
	}
	if _, err := readPermissions(ctx, p, to); err != nil {
		return nil, err
	}
	facts, err := readSubscription(ctx, p, to.ID)
	if err != nil {
		return nil, err
	}
	if facts.set, err = withCustomRoles(ctx, p, to, facts.set, names); err != nil {
		return nil, err
	}
	roles, err := parseOfferedRoles(facts.set, names)
	if err != nil {
		return nil, err
	}
	if facts.set.Transferred && slices.Contains(roles, facts.set.Required) {
		if len(roles) > 1 {
			return nil, authz.Errorf(
				authz.CodeInvalid, "an invitation to become %s of %s cannot offer other roles as well",
				facts.set.Required, to,
			)
		}
		return roles, planTransfer(ctx, p, to, who)
	}
	change, err := readChange(ctx, p, to, facts.set, who, roles)
	if err != nil {
		return nil, err
	}
	return roles, giveSubscriptionRoles(ctx, p, facts, change.joining(facts.set))
}

// joinAccount is joinPlace for an account.
func joinAccount(ctx context.Context, p *plan, to authz.Object, who authz.ID, names []string) (Roles, error) {
	g, err := readPermissions(ctx, p, to, "invite_members", "assign_roles")
	if err != nil {
		return nil, err
	}
	account, err := readAccount(ctx, p, to.ID)
	if err != nil {
		return nil, err
	}
	if account.set, err = withCustomRoles(ctx, p, to, account.set, names); err != nil {
		return nil, err
	}
	roles, err := parseOfferedRoles(account.set, names)
	if err != nil {
		return nil, err
	}
	if err := requireMayGiveSome(g, account.set, roles); err != nil {
		return nil, err
	}
	change, err := readChange(ctx, p, to, account.set, who, roles)
	if err != nil {
		return nil, err
	}
	if change, err = limitEnd(ctx, p, account, change.joining(account.set)); err != nil {
		return nil, err
	}
	return roles, giveAccountRoles(ctx, p, g, account, change)
}

// joining returns the change that adds the offered roles to the roles that the person holds. If the person may hold
// only one role, it removes the weaker one. It changes no end. If the person's base role after the change has an end,
// the offered roles get the same end.
func (c roleChange) joining(set authz.RoleSet) roleChange {
	c.adds, c.asked = true, c.wanted
	c.wanted = set.Union(rolesOf(c.held), c.asked)
	if !slices.Contains(c.wanted, set.Required) {
		c.until = baseEnd(set, c.held)
	}
	return c
}
