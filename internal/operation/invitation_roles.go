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
	roles, err := parseRoles(set, in.Roles)
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

// withoutInvitee says which role of a set may be offered to whoever knows the invitation.
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

// join plans that the actor gives somebody roles on an account or a subscription, beside those that they hold where a person
// may hold both, and else instead of them.
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
	roles, err := parseRoles(facts.set, names)
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
	if change, err = change.joining(to, facts.set); err != nil {
		return nil, err
	}
	return roles, p.giveOnSubscription(ctx, facts, change)
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
	roles, err := parseRoles(account.set, names)
	if err != nil {
		return nil, err
	}
	change, err := p.change(ctx, to, account.set, who, roles)
	if err != nil {
		return nil, err
	}
	if change, err = change.joining(to, account.set); err != nil {
		return nil, err
	}
	return roles, p.giveOnAccount(ctx, g, account, change)
}

// joining is the change, but for what the person keeps of what they hold. Roles that they come to beside some that end, end
// with them. The error is CodeConflict if they would lose the role that cannot die out.
func (c roleChange) joining(object authz.Object, set authz.RoleSet) (roleChange, error) {
	if c.takes(set.Guardian) && !set.SeveralRoles {
		return c, authz.Errorf(authz.CodeConflict, "%s is %s of %s, which no invitation takes from them", c.who, set.Guardian, object)
	}
	offered := texts(c.wanted)
	kept, additional := offered, offered
	for _, role := range rolesOf(c.held) {
		kept = append(slices.Clone(kept), string(role))
		if info, _ := set.Role(role); info.Additional {
			additional = append(slices.Clone(additional), string(role))
		}
	}
	together, err := set.Parse(kept)
	if err != nil {
		c.wanted, err = set.Parse(additional)
		return c, err
	}
	if c.wanted = together; !slices.Contains(together, set.Guardian) {
		c.until = firstEnd(c.held)
	}
	return c, nil
}
