package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// AccountGroups is a page of the groups that hold roles on an account; NextCursor is empty at the end.
type AccountGroups struct {
	Groups     []HolderRoles
	NextCursor string
}

// AccountGroups returns a page of the groups that hold roles on an account, sorted by id. The actor needs list_members.
func (s *Service) AccountGroups(
	ctx context.Context, by Caller, id authz.ID, page Page,
) (AccountGroups, authz.Token, error) {
	var groups AccountGroups
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		account, err := readListedAccount(ctx, p, id)
		if err != nil {
			return err
		}
		found, err := p.FindSome(ctx, holdersRows(account.object, authz.TypeGroup), 0)
		if err != nil {
			return err
		}
		all := rolesOfGroups(found, account.set)
		ids, next, err := page.of("account groups", id).cut(holderIDs(all))
		groups = AccountGroups{NextCursor: next}
		for _, h := range all {
			if _, onPage := slices.BinarySearch(ids, h.Holder.ID); onPage {
				groups.Groups = append(groups.Groups, h)
			}
		}
		return err
	})
	return answered(groups, token, err)
}

// holderIDs returns the ids of holders.
func holderIDs(holders []HolderRoles) []authz.ID {
	ids := make([]authz.ID, len(holders))
	for i, h := range holders {
		ids[i] = h.Holder.ID
	}
	return ids
}

// readListedAccount reads an account whose members the actor may list.
func readListedAccount(ctx context.Context, p *plan, id authz.ID) (accountFacts, error) {
	if err := viewOf(p).Require(ctx, visibility.Roles(accountObject(id))); err != nil {
		return accountFacts{}, err
	}
	return readAccount(ctx, p, id)
}

func groupHolder(id authz.ID) authz.Holder { return authz.Holder{Type: authz.TypeGroup, ID: id} }

// holderRolesOf returns the roles that the relationships of a holder store.
func holderRolesOf(holder authz.Holder, held []authz.Relationship) HolderRoles {
	return HolderRoles{Holder: holder, Roles: rolesOf(held), ExpiresAt: lastEnd(held)}
}

// GetAccountGroup returns the roles of a group on an account. It returns an error with CodeNotFound if the group holds
// none. The actor needs list_members.
func (s *Service) GetAccountGroup(
	ctx context.Context, by Caller, id, group authz.ID,
) (HolderRoles, authz.Token, error) {
	var roles HolderRoles
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		account, err := readListedAccount(ctx, p, id)
		if err != nil {
			return err
		}
		roles, err = readRolesOfHolder(ctx, p, account.object, account.set, groupHolder(group))
		return err
	})
	return answered(roles, token, err)
}

// PutAccountGroup sets the roles of a group on an account to exactly these. If an end is given, the roles expire then.
// The group must be in the account's subscription. The actor needs assign_roles. If the group holds no role on the
// account yet, the actor must be allowed to view the group.
func (s *Service) PutAccountGroup(
	ctx context.Context, by Caller, id, group authz.ID, roles []string, until time.Time,
) (HolderRoles, Done, error) {
	until = fullSecond(until)
	holder := groupHolder(group)
	build := func(ctx context.Context, p *plan) (HolderRoles, error) {
		if err := s.inFuture(until); err != nil {
			return HolderRoles{}, err
		}
		if err := requirePermission(ctx, p, accountObject(id), "assign_roles"); err != nil {
			return HolderRoles{}, err
		}
		account, err := readAccount(ctx, p, id)
		if err != nil {
			return HolderRoles{}, err
		}
		if err := requireKnownGroup(ctx, p, holder, account); err != nil {
			return HolderRoles{}, err
		}
		change, err := readHolderChange(ctx, p, account, holder, roles, until)
		if err != nil {
			return HolderRoles{}, err
		}
		if len(change.held) == 0 {
			if err := endStaleSharesOfMembers(ctx, p, account.object, group); err != nil {
				return HolderRoles{}, err
			}
		}
		given := HolderRoles{Holder: holder, Roles: change.wanted, ExpiresAt: change.until}
		return given, change.writeOfGroup(ctx, p)
	}
	again := result[HolderRoles]{HolderRoles{Holder: holder}, func(ctx context.Context) (HolderRoles, authz.Token, error) {
		return s.GetAccountGroup(ctx, by, id, group)
	}}
	return runWithResult(ctx, s, by, "put_account_group", again, build)
}

// readHolderChange returns the change after which a group or service account holds the named roles on an account. It
// returns an error if the role set, a missing feature or the end of the actor's own right forbids one of the roles.
func readHolderChange(
	ctx context.Context, p *plan, account accountFacts, holder authz.Holder, roles []string, until time.Time,
) (holderChange, error) {
	wanted, err := parseHolderRoles(account.set, roles, holder)
	if err != nil {
		return holderChange{}, err
	}
	held, err := readHolderRoles(ctx, p, account.object, account.set, holder)
	if err != nil {
		return holderChange{}, err
	}
	change := holderChange{
		object: account.object, set: account.set, holder: holder, held: held, wanted: wanted, until: until,
	}
	for _, role := range account.set.Roles {
		if !change.gives(role.Name) {
			continue
		}
		if err := requireFeature(p, account.subscription, role); err != nil {
			return change, err
		}
	}
	return limitHolderEnd(ctx, p, account, change)
}

// RemoveAccountGroup deletes all roles of a group on an account. The actor needs assign_roles.
func (s *Service) RemoveAccountGroup(ctx context.Context, by Caller, id, group authz.ID) (Done, error) {
	return s.run(ctx, by, "remove_account_group", func(ctx context.Context, p *plan) error {
		if err := requirePermission(ctx, p, accountObject(id), "assign_roles"); err != nil {
			return err
		}
		account, err := readAccount(ctx, p, id)
		if err != nil {
			return err
		}
		holder := groupHolder(group)
		held, err := readHolderRoles(ctx, p, account.object, account.set, holder)
		if err != nil {
			return err
		}
		change := holderChange{object: account.object, set: account.set, holder: holder, held: held}
		return change.writeOfGroup(ctx, p)
	})
}

// PutSubscriptionGroupRoles sets the roles of a group on its subscription to exactly these. For each role that it adds
// or removes, the actor needs the permission invite_ROLE.
func (s *Service) PutSubscriptionGroupRoles(
	ctx context.Context, by Caller, id, group authz.ID, roles []string,
) (HolderRoles, Done, error) {
	holder := groupHolder(group)
	build := func(ctx context.Context, p *plan) (HolderRoles, error) {
		facts, err := readSubscriptionOfActor(ctx, p, id)
		if err != nil {
			return HolderRoles{}, err
		}
		wanted, err := parseHolderRoles(facts.set, roles, holder)
		if err != nil {
			return HolderRoles{}, err
		}
		if err := changeSubscriptionGroup(ctx, p, facts, holder, wanted); err != nil {
			return HolderRoles{}, err
		}
		return HolderRoles{Holder: holder, Roles: wanted}, nil
	}
	again := result[HolderRoles]{HolderRoles{Holder: holder}, func(ctx context.Context) (HolderRoles, authz.Token, error) {
		return s.GetSubscriptionGroupRoles(ctx, by, id, group)
	}}
	return runWithResult(ctx, s, by, "put_subscription_group_roles", again, build)
}

// RemoveSubscriptionGroupRoles deletes all roles of a group on its subscription. For each of them, the actor needs the
// permission invite_ROLE.
func (s *Service) RemoveSubscriptionGroupRoles(ctx context.Context, by Caller, id, group authz.ID) (Done, error) {
	return s.run(ctx, by, "remove_subscription_group_roles", func(ctx context.Context, p *plan) error {
		facts, err := readSubscriptionOfActor(ctx, p, id)
		if err != nil {
			return err
		}
		return changeSubscriptionGroup(ctx, p, facts, groupHolder(group), nil)
	})
}

// readSubscriptionOfActor reads a subscription. It returns an error if the actor may not list the members of the
// subscription.
func readSubscriptionOfActor(ctx context.Context, p *plan, id authz.ID) (subscriptionFacts, error) {
	if err := requirePermission(ctx, p, subscriptionObject(id), kindOf("subscription").list); err != nil {
		return subscriptionFacts{}, err
	}
	return readSubscription(ctx, p, id)
}

// changeSubscriptionGroup plans that a group holds exactly the wanted roles on its subscription.
func changeSubscriptionGroup(
	ctx context.Context, p *plan, facts subscriptionFacts, group authz.Holder, wanted []authz.Role,
) error {
	if err := requireGroupIn(ctx, p, group, facts.object); err != nil {
		return err
	}
	held, err := readHolderRoles(ctx, p, facts.object, facts.set, group)
	if err != nil {
		return err
	}
	change := holderChange{object: facts.object, set: facts.set, holder: group, held: held, wanted: wanted}
	for _, role := range facts.set.Names() {
		if !change.changes(role) {
			continue
		}
		if err := requirePermission(ctx, p, facts.object, authz.Permission("invite_"+role)); err != nil {
			return err
		}
	}
	return change.writeOfGroup(ctx, p)
}

// GetSubscriptionGroupRoles returns the roles of a group on its subscription. It returns an error with CodeNotFound if
// the group holds none. The actor needs list_users.
func (s *Service) GetSubscriptionGroupRoles(
	ctx context.Context, by Caller, id, group authz.ID,
) (HolderRoles, authz.Token, error) {
	var roles HolderRoles
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Roles(subscriptionObject(id))); err != nil {
			return err
		}
		facts, err := readSubscription(ctx, p, id)
		if err != nil {
			return err
		}
		roles, err = readRolesOfHolder(ctx, p, facts.object, facts.set, groupHolder(group))
		return err
	})
	return answered(roles, token, err)
}

// readRolesOfHolder reads the roles of a holder on an object. It returns an error with CodeNotFound if the holder has
// none.
func readRolesOfHolder(
	ctx context.Context, p *plan, object authz.Object, set authz.RoleSet, holder authz.Holder,
) (HolderRoles, error) {
	held, err := readHolderRoles(ctx, p, object, set, holder)
	if err == nil && len(held) == 0 {
		err = authz.Errorf(authz.CodeNotFound, "%s holds no role on %s", holder, object)
	}
	return holderRolesOf(holder, held), err
}
