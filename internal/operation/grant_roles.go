package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// accountGrants are the roles that the person can be given on an account.
func accountGrants(
	ctx context.Context, p *plan, who authz.ID, account accountFacts,
) (grants []Grant, err error) {
	change, err := readChange(ctx, p, account.object, account.set, who, nil)
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
		until := change.until
		grant := roleGrant(account.object, account.set, change)
		grant.Path = path("accounts", string(id), "members", string(who))
		grant.Holders = holders
		grant.Needs = []authz.Permission{"assign_roles"}
		if change.invites(account.set.Default) {
			grant.Needs = []authz.Permission{"invite_members"}
		}
		for _, info := range account.set.Roles {
			if change.gives(info.Name) && !account.subscription.has(info.Requires) {
				grant.Requires = info.Requires
				grant.Before = featureGrant(account.subscription, info.Requires)
			}
		}
		grant.perform = func(ctx context.Context, s *Service, by Caller) error {
			_, _, err := s.PutAccountMember(ctx, by, id, who, texts(roles), until)
			return err
		}
		grants = append(grants, grant)
	}
	return grants, nil
}

// subscriptionGrants are the roles that the person can be given on a subscription.
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
		grant.Path = path("subscriptions", string(id), "members", string(who))
		grant.Holders = subscriptionHolders(facts)
		for _, role := range facts.set.Names() {
			if change.gives(role) || change.takes(role) {
				grant.Needs = append(grant.Needs, authz.Permission("invite_"+role))
			}
		}
		grant.perform = func(ctx context.Context, s *Service, by Caller) error {
			_, _, err := s.PutSubscriptionMember(ctx, by, id, who, texts(roles))
			return err
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

// newTransferGrant makes the person the one owner of a subscription.
func newTransferGrant(ctx context.Context, p *plan, who authz.ID, facts subscriptionFacts) (Grant, error) {
	owner := authz.Relation(facts.set.Required)
	grant := Grant{
		Method: "POST", Path: path("subscriptions", string(facts.object.ID), "transfer"), Body: map[string]any{"to": string(who)},
		On: facts.object, Needs: []authz.Permission{"transfer_ownership"}, NeedsOn: facts.object,
		Holders: []Holder{{facts.object, owner, facts.object}},
		Effect:  []authz.Update{touching(facts.object, owner, person(who))},
		perform: func(ctx context.Context, s *Service, by Caller) error {
			_, err := s.TransferSubscription(ctx, by, facts.object.ID, who)
			return err
		},
	}
	owners, err := p.Find(ctx, authz.Filter{Type: facts.object.Type, ID: facts.object.ID, Relation: owner})
	for _, r := range owners {
		grant.Effect = append(grant.Effect, deleting(r.Resource, r.Relation, r.Subject))
	}
	return grant, err
}

// roleGrant is what giving roles on an account and on a subscription have in common.
func roleGrant(object authz.Object, set authz.RoleSet, change roleChange) Grant {
	grant := Grant{
		Method: "PUT", Body: map[string]any{"roles": texts(change.wanted)}, On: object, NeedsOn: object, Roles: change.wanted,
	}
	if !change.until.IsZero() {
		grant.Body["expires_at"] = change.until.Format(time.RFC3339)
	}
	for _, role := range set.Names() {
		switch {
		case change.gives(role):
			grant.Effect = append(grant.Effect, touching(object, authz.Relation(role), person(change.who)))
		case change.takes(role):
			grant.Effect = append(grant.Effect, deleting(object, authz.Relation(role), person(change.who)))
		}
	}
	return grant
}

// choices are the roles that somebody who holds some of a set can be given to hold: with one more additional role at most,
// the smaller ones first. Nobody is to lose the role that cannot die out, and one that moves by transfer is none of them.
func choices(set authz.RoleSet, held Roles) [][]authz.Role {
	var base, additional []authz.Role
	for _, info := range set.Roles {
		if info.Additional {
			additional = append(additional, info.Name)
		} else if !set.Transferred || info.Name != set.Required {
			base = append(base, info.Name)
		}
	}
	var chosen [][]authz.Role
	add := func(roles ...authz.Role) {
		names := texts(roles)
		for _, role := range held {
			if info, _ := set.Role(role); info.Additional || set.SeveralRoles {
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

// featureGrant turns a feature of a subscription on.
func featureGrant(facts subscriptionFacts, feature authz.Feature) *Grant {
	features := texts(append(slices.Clone(facts.features), feature))
	return &Grant{
		Method: "PUT", Path: path("subscriptions", string(facts.object.ID), "features"), Body: map[string]any{"features": features},
		On: facts.object, Backend: true,
		perform: func(ctx context.Context, s *Service, by Caller) error {
			_, _, err := s.PutFeatures(ctx, by, facts.object.ID, features)
			return err
		},
	}
}

func holdersOf(object authz.Object, set authz.RoleSet) []Holder {
	var holders []Holder
	for _, info := range set.Roles {
		if !info.Additional {
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
