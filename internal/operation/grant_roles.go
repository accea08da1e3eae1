package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// accountGrants returns the actions that give a person roles on an account.
func accountGrants(ctx context.Context, p *plan, who authz.ID, account accountFacts) (grants []Grant, err error) {
	change, err := readChange(ctx, p, account.object, account.set, who, nil)
	if err != nil {
		return nil, err
	}
	through, err := readGroupRoles(ctx, p, account.object, who)
	if err != nil {
		return nil, err
	}
	id := account.object.ID
	holders := append(holdersOf(account.object, account.set), subscriptionHolders(account.subscription)...)
	for _, roles := range choices(account.set, rolesOf(change.held)) {
		change.wanted, change.until = roles, baseEnd(account.set, change.held)
		if slices.Contains(roles, account.set.Required) {
			change.until = time.Time{}
		}
		grant := roleGrant(account.object, account.set, change)
		grant.Action = GiveAccountRoles{Account: id, Person: who, Roles: roles, Until: change.until}
		grant.Holders = holders
		grant.Needs = []authz.Permission{"assign_roles"}
		if change.invites(account.set.Default) && len(through) == 0 {
			grant.Needs = []authz.Permission{"invite_members"}
		}
		for _, info := range account.set.Roles {
			if change.gives(info.Name) && !account.subscription.has(info.Requires) {
				grant.Requires = info.Requires
				grant.Before = featureGrant(account.subscription, info.Requires)
			}
		}
		grants = append(grants, grant)
	}
	return grants, nil
}

// subscriptionGrants returns the actions that give a person roles on a subscription.
func subscriptionGrants(
	ctx context.Context, p *plan, who authz.ID, facts subscriptionFacts,
) (grants []Grant, err error) {
	change, err := readChange(ctx, p, facts.object, facts.set, who, nil)
	if err != nil {
		return nil, err
	}
	id := facts.object.ID
	for _, roles := range choices(facts.set, rolesOf(change.held)) {
		change.wanted = roles
		grant := roleGrant(facts.object, facts.set, change)
		grant.Action = GiveSubscriptionRoles{Subscription: id, Person: who, Roles: roles}
		grant.Holders = subscriptionHolders(facts)
		for _, role := range facts.set.Names() {
			if change.gives(role) || change.takes(role) {
				grant.Needs = append(grant.Needs, neededToGive(facts.set, role))
			}
		}
		grants = append(grants, grant)
	}
	if facts.set.Transferred && !change.had(facts.set.Required) {
		transfer, err := newTransferGrant(ctx, p, who, facts)
		if err != nil {
			return nil, err
		}
		grants = append(grants, transfer)
	}
	return grants, nil
}

// newTransferGrant returns the action that makes a person the one owner of a subscription.
func newTransferGrant(ctx context.Context, p *plan, who authz.ID, facts subscriptionFacts) (Grant, error) {
	owner := authz.Relation(facts.set.Required)
	grant := Grant{
		Action: TransferOwnership{Subscription: facts.object.ID, To: who},
		On:     facts.object, Needs: []authz.Permission{"transfer_ownership"}, NeedsOn: facts.object,
		Holders: []Holder{{facts.object, owner, facts.object}},
		Effect:  []authz.Update{touching(facts.object, owner, person(who))},
	}
	owners, err := p.Find(ctx, authz.Filter{Type: facts.object.Type, ID: facts.object.ID, Relation: owner})
	for _, r := range owners {
		grant.Effect = append(grant.Effect, deleting(r.Resource, r.Relation, r.Subject))
	}
	return grant, err
}

// roleGrant returns a grant of roles, without its action and approvers.
func roleGrant(object authz.Object, set authz.RoleSet, change roleChange) Grant {
	grant := Grant{On: object, NeedsOn: object, Roles: change.wanted}
	for _, role := range set.Names() {
		switch {
		case change.gives(role):
			row := set.Row(object, role, person(change.who))
			grant.Effect = append(grant.Effect, touching(row.Resource, row.Relation, row.Subject))
		case change.takes(role):
			row := set.Row(object, role, person(change.who))
			grant.Effect = append(grant.Effect, deleting(row.Resource, row.Relation, row.Subject))
		}
	}
	return grant
}

// choices returns the sets of roles that can be given to a person who holds some roles already. Each choice adds at
// most one additional role, and no custom role. Smaller choices come first. No choice removes the required role of
// the set. Owner is not a choice if only a transfer changes the owner.
func choices(set authz.RoleSet, held Roles) [][]authz.Role {
	var base, additional []authz.Role
	for _, info := range set.Roles {
		if info.Additional {
			additional = append(additional, info.Name)
		} else if !info.IsCustom() && (!set.Transferred || info.Name != set.Required) {
			base = append(base, info.Name)
		}
	}
	var chosen [][]authz.Role
	add := func(roles ...authz.Role) {
		names := texts(roles)
		for _, role := range held {
			if info, _ := set.Role(role); info.Additional || info.IsCustom() || set.SeveralRoles {
				names = append(names, string(role))
			}
		}
		parsed, err := set.Parse(names)
		lost := slices.Contains(held, set.Required) && !slices.Contains(parsed, set.Required)
		same := func(other []authz.Role) bool { return slices.Equal(other, parsed) }
		if err == nil && !lost && !same(held) && !slices.ContainsFunc(chosen, same) {
			chosen = append(chosen, parsed)
		}
	}
	for _, role := range base {
		add(role)
	}
	for _, role := range base {
		for _, beside := range additional {
			add(role, beside)
		}
	}
	return chosen
}

// featureGrant returns the action that turns on a feature of a subscription.
func featureGrant(facts subscriptionFacts, feature authz.Feature) *Grant {
	features := append(slices.Clone(facts.features), feature)
	action := TurnOnFeature{Subscription: facts.object.ID, Features: features}
	return &Grant{Action: action, On: facts.object, Backend: true}
}

func holdersOf(object authz.Object, set authz.RoleSet) []Holder {
	var holders []Holder
	for _, info := range set.Roles {
		if !info.Additional && !info.IsCustom() {
			holders = append(holders, Holder{object, authz.Relation(info.Name), object})
		}
	}
	return holders
}

func subscriptionHolders(facts subscriptionFacts) []Holder {
	return append(holdersOf(facts.object, facts.set), Holder{platform, authz.Relation(authz.RoleAdministrator), platform})
}

func texts[S ~string](names []S) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}
