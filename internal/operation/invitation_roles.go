package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// offer plans that the roles are given now, to the invitee or, if anybody may accept, to a stranger, and returns them.
func (p *plan) offer(ctx context.Context, in NewInvitation) (Roles, error) {
	if in.Invitee != "" {
		return p.join(ctx, in.To, in.Invitee, in.Roles)
	}
	if _, err := p.permissions(ctx, in.To); err != nil {
		return nil, err
	}
	set, err := p.roleSetOf(ctx, in.To)
	if err != nil {
		return nil, err
	}
	roles, err := parseOffer(set, in.Roles)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(roles, []authz.Role{set.Default}) {
		return nil, authz.Errorf(authz.CodeInvalid, "an invitation that offers %s on %s names its invitee: %s", list(roles), in.To, withoutInvitee(set))
	}
	g, err := p.permissions(ctx, in.To, "invite_members", "assign_roles") // only accounts have such a role
	if err != nil || g.allowed["assign_roles"] {
		return roles, err
	}
	return roles, g.need("invite_members")
}

// withoutInvitee names the role of a set that may be offered to anybody who knows the invitation.
func withoutInvitee(set authz.RoleSet) string {
	if set.Default == "" {
		return "no role of " + string(set.Name) + " is for everybody"
	}
	return "only " + string(set.Default) + " is for everybody"
}

func (p *plan) roleSetOf(ctx context.Context, object authz.Object) (authz.RoleSet, error) {
	marks, err := p.marks(ctx, object)
	if err != nil {
		return authz.RoleSet{}, err
	}
	return p.roleSet(object, marks)
}

// join plans that the actor gives somebody roles on an account or a subscription, beside those that they hold. Where a person
// holds one role, the stronger stays.
func (p *plan) join(ctx context.Context, to authz.Object, who authz.ID, names []string) (Roles, error) {
	if to.Type == "account" {
		return p.joinAccount(ctx, to, who, names)
	}
	if _, err := p.permissions(ctx, to); err != nil {
		return nil, err
	}
	facts, err := p.subscription(ctx, to.ID)
	if err != nil {
		return nil, err
	}
	roles, err := parseOffer(facts.set, names)
	if err != nil {
		return nil, err
	}
	if facts.set.Transferred && slices.Contains(roles, facts.set.Guardian) {
		if len(roles) > 1 {
			return nil, authz.Errorf(authz.CodeInvalid, "an invitation to be %s of %s offers no other role beside", facts.set.Guardian, to)
		}
		return roles, p.transfer(ctx, to, who)
	}
	change, err := p.change(ctx, to, facts.set, who, roles)
	if err != nil {
		return nil, err
	}
	return roles, p.giveOnSubscription(ctx, facts, change.joining(facts.set))
}

func (p *plan) joinAccount(ctx context.Context, to authz.Object, who authz.ID, names []string) (Roles, error) {
	g, err := p.permissions(ctx, to, "invite_members", "assign_roles")
	if err != nil {
		return nil, err
	}
	account, err := p.account(ctx, to.ID)
	if err != nil {
		return nil, err
	}
	roles, err := parseOffer(account.set, names)
	if err != nil {
		return nil, err
	}
	change, err := p.change(ctx, to, account.set, who, roles)
	if err != nil {
		return nil, err
	}
	if change, err = p.limit(ctx, account, change.joining(account.set)); err != nil {
		return nil, err
	}
	return roles, p.giveOnAccount(ctx, g, account, change)
}

// joining is the change to what the person holds with the offered roles beside it. It takes nothing but a weaker role where
// a person holds one, and moves no end: offered roles end when the base role of the person ends, unless the base role that
// they hold afterwards never ends.
func (c roleChange) joining(set authz.RoleSet) roleChange {
	c.adds, c.asked = true, c.wanted
	c.wanted = set.Union(rolesOf(c.held), c.asked)
	if !slices.Contains(c.wanted, set.Guardian) {
		c.until = baseEnd(set, c.held)
	}
	return c
}
