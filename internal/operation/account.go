package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// CreateAccount creates an account in a subscription. Under the role set multi_owner, the actor gets the strongest
// role of the account's role set, which comes first in the set.
func (s *Service) CreateAccount(ctx context.Context, by Caller, in NewAccount) (Account, Done, error) {
	set, err := authz.ParseRoleSet(in.RoleSet, "account")
	if err != nil {
		return Account{}, Done{}, err
	}
	build := func(ctx context.Context, p *plan) (Account, error) {
		created := Account{ID: in.ID, Subscription: in.Subscription, RoleSet: set.Name}
		if err := requirePermission(ctx, p, subscriptionObject(in.Subscription), "create_account"); err != nil {
			return created, err
		}
		subscription, err := readSubscription(ctx, p, in.Subscription)
		if err != nil {
			return created, err
		}
		object := accountObject(in.ID)
		if err := claimID(ctx, p, object); err != nil {
			return created, err
		}
		p.Create(object, "subscription", only(subscription.object))
		for _, row := range flagRows(object, authz.Relation(set.Name)) {
			p.Create(object, row.Relation, row.Subject)
		}
		if subscription.set.Name != authz.MultiOwner {
			return created, nil
		}
		// The schema lets only people create accounts in a subscription.
		if err := requireNoOffboarding(ctx, p, by.Actor.Person(), true); err != nil {
			return created, err
		}
		created.Roles = Roles{set.Roles[0].Name}
		// Touch and not Create, because an expired relationship of an earlier account with this id may still be
		// stored.
		p.Touch(object, authz.Relation(set.Roles[0].Name), p.actor())
		return created, nil
	}
	return runWithResult(ctx, s, by, "create_account", s.accountResult(by, in.ID), build)
}

// GetAccount returns an account that the actor may view. Subscription is empty if the actor may not view the
// subscription.
func (s *Service) GetAccount(ctx context.Context, by Caller, id authz.ID) (Account, authz.Token, error) {
	var account Account
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Existence(accountObject(id))); err != nil {
			return err
		}
		facts, err := readAccount(ctx, p, id)
		if err != nil {
			return err
		}
		held, err := readHolderRoles(ctx, p, facts.object, facts.set, authz.Holder(by.Actor.Object()))
		if err != nil {
			return err
		}
		account = Account{ID: id, RoleSet: facts.set.Name, Roles: rolesOf(held)}
		isVisible, err := mayViewSubscriptions(ctx, p, facts.subscription.object.ID)
		if err == nil && isVisible[facts.subscription.object.ID] {
			account.Subscription = facts.subscription.object.ID
		}
		return err
	})
	return answered(account, token, err)
}

// AccountMembers returns a page of the people who have a role on an account, directly or through groups. If holders is
// the type of groups or service accounts, it returns those that hold a role there. If role is not empty, it returns
// only members who have this role.
func (s *Service) AccountMembers(
	ctx context.Context, by Caller, id authz.ID, holders authz.Type, role string, page Page,
) (Members, authz.Token, error) {
	if !slices.Contains(authz.HolderTypes, holders) {
		return Members{}, "", authz.Errorf(
			authz.CodeInvalid, "holder_type must be %s, not %q", list(authz.HolderTypes), holders,
		)
	}
	var members Members
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Roles(accountObject(id))); err != nil {
			return err
		}
		facts, err := readAccount(ctx, p, id)
		if err != nil {
			return err
		}
		if role != "" {
			if facts.set, err = withCustomRoles(ctx, p, facts.object, facts.set, []string{role}); err != nil {
				return err
			}
		}
		found, err := readMembersOf(ctx, p, facts, holders)
		if err != nil {
			return err
		}
		if err := keepRole(found, facts.set, role); err != nil {
			return err
		}
		members, err = pageOfMembers(found, page.of("account members "+string(holders)+" "+role, id))
		return err
	})
	return answered(members, token, err)
}

// PutAccountMember sets the roles of a person on an account to exactly these. If an end is given, the roles expire
// then. The actor needs invite_members to give the role set's default role to a person without a role, and
// assign_roles for any other change. Without an actor, the backend adds an owner or administrator, and must give a
// reason.
func (s *Service) PutAccountMember(
	ctx context.Context, by Caller, id, who authz.ID, roles []string, until time.Time,
) (Member, Done, error) {
	until = fullSecond(until)
	if by.Actor == "" {
		return s.addRequiredRole(ctx, by, id, who, roles, until)
	}
	build := func(ctx context.Context, p *plan) (Member, error) {
		if err := s.inFuture(until); err != nil {
			return Member{}, err
		}
		g, err := readPermissions(ctx, p, accountObject(id), "invite_members", "assign_roles")
		if err != nil {
			return Member{}, err
		}
		account, err := readAccount(ctx, p, id)
		if err != nil {
			return Member{}, err
		}
		if account.set, err = withCustomRoles(ctx, p, account.object, account.set, roles); err != nil {
			return Member{}, err
		}
		wanted, err := parseRoles(account.set, roles)
		if err != nil {
			return Member{}, err
		}
		if err := requireMayGiveSome(g, account.set, wanted); err != nil {
			return Member{}, err
		}
		change, err := readChangeUntil(ctx, p, account, who, wanted, until)
		if err != nil {
			return Member{}, err
		}
		if change, err = limitEnd(ctx, p, account, change); err != nil {
			return Member{}, err
		}
		member := Member{User: who, Roles: wanted, ExpiresAt: change.until}
		return member, giveAccountRoles(ctx, p, g, account, change)
	}
	return runWithResult(ctx, s, by, "put_account_member", s.accountMemberResult(by, id, who), build)
}

// requireMayGiveSome returns an error if the actor may grant no role on an account. The error depends only on the
// request, since such an actor may not learn which roles other people hold.
func requireMayGiveSome(g grants, set authz.RoleSet, wanted []authz.Role) error {
	switch {
	case g.allowed["assign_roles"] || g.allowed["invite_members"]:
		return nil
	case slices.Equal(wanted, []authz.Role{set.Default}):
		return g.need("invite_members")
	}
	return g.need("assign_roles")
}

// giveAccountRoles plans a change of one person's roles on an account. g says whether the actor has invite_members
// and assign_roles there.
func giveAccountRoles(ctx context.Context, p *plan, g grants, account accountFacts, change roleChange) error {
	needed := authz.Permission("assign_roles")
	if change.invites(account.set.Default) && !g.allowed[needed] {
		needed = "invite_members"
	}
	if err := g.need(needed); err != nil {
		return err
	}
	if err := change.requireBaseRole(account.set); err != nil {
		return err
	}
	if needed == "invite_members" && len(change.held) == 0 {
		if err := requireNoGroupRole(ctx, p, account.object, change.who); err != nil {
			return err
		}
		if err := requireNotRemoved(ctx, p, account, change.who); err != nil {
			return err
		}
	}
	return changeAccount(ctx, p, account, change)
}

// parseRoles parses the names of the roles that a person is to hold. It returns an error with CodeInvalid if no
// role is named.
func parseRoles(set authz.RoleSet, names []string) ([]authz.Role, error) {
	if err := someRole(set, names); err != nil {
		return nil, err
	}
	return set.Parse(names)
}

// parseOfferedRoles parses the names of the roles that an invitation offers, in addition to those that the invitee
// holds. It returns an error with CodeInvalid if no role is named.
func parseOfferedRoles(set authz.RoleSet, names []string) ([]authz.Role, error) {
	if err := someRole(set, names); err != nil {
		return nil, err
	}
	return set.ParseAdded(names)
}

// someRole returns an error with CodeInvalid if names is empty.
func someRole(set authz.RoleSet, names []string) error {
	if len(names) == 0 {
		return authz.Errorf(
			authz.CodeInvalid, "roles must name at least one of %s; to remove a member, use DELETE", list(set.Names()),
		)
	}
	return nil
}

// PatchAccountMembers sets the roles of many people on an account: each person gets exactly the roles in their
// entry. If the entry has an end, the roles expire then. A person whose entry is empty loses all roles. A change
// that fits one write is atomic. A larger change takes several writes, see portions.
func (s *Service) PatchAccountMembers(
	ctx context.Context, by Caller, id authz.ID, members map[authz.ID][]string, until time.Time,
) ([]Member, Done, error) {
	if len(members) == 0 {
		return nil, Done{}, authz.Errorf(authz.CodeInvalid, "members must name at least one person")
	}
	until = fullSecond(until)
	people := sortedKeys(members)
	changed := make([]Member, len(people))
	divided := newPortionsOfPeople(people)
	build := func(ctx context.Context, p *plan) ([]Member, error) {
		p.portions = divided
		if err := s.inFuture(until); err != nil {
			return nil, err
		}
		if err := requirePermission(ctx, p, accountObject(id), "assign_roles"); err != nil {
			return nil, err
		}
		account, err := readAccount(ctx, p, id)
		if err != nil {
			return nil, err
		}
		if err := readRolesOfMany(ctx, p, account, divided.next()); err != nil {
			return nil, err
		}
		for _, who := range divided.next() {
			if account.set, err = withCustomRoles(ctx, p, account.object, account.set, members[who]); err != nil {
				return nil, atEntry("members", who, err)
			}
		}
		divided.shared = len(p.Preconditions())
		var changes []roleChange
		for _, who := range divided.next() {
			wanted, err := account.set.Parse(members[who])
			if err != nil {
				return nil, atEntry("members", who, err)
			}
			change, err := readChangeUntil(ctx, p, account, who, wanted, until)
			if err != nil {
				return nil, atEntry("members", who, err)
			}
			if change, err = limitEnd(ctx, p, account, change); err != nil {
				return nil, atEntry("members", who, err)
			}
			changes = append(changes, change)
			i, _ := slices.BinarySearch(people, who)
			changed[i] = Member{User: who, Roles: wanted}
			if len(wanted) > 0 {
				changed[i].ExpiresAt = change.until
			}
		}
		divided.arrangePeople(account.set, by.Actor.Person(), changes)
		if err := divided.checkPeopleFit(ctx, p, account, changes); err != nil {
			return nil, err
		}
		return changed, changeAccount(ctx, p, account, changes...)
	}
	return runWithResult(ctx, s, by, "patch_account_members", s.accountMembersResult(by, id, people), build)
}

// accountMembersResult reads the roles that people hold on an account. A person may hold none. The actor needs
// list_members.
func (s *Service) accountMembersResult(by Caller, id authz.ID, people []authz.ID) result[[]Member] {
	return result[[]Member]{nil, func(ctx context.Context) ([]Member, authz.Token, error) {
		members := make([]Member, len(people))
		token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
			if err := viewOf(p).Require(ctx, visibility.Roles(accountObject(id))); err != nil {
				return err
			}
			account, err := readAccount(ctx, p, id)
			if err != nil {
				return err
			}
			if err := readRolesOfMany(ctx, p, account, people); err != nil {
				return err
			}
			for i, who := range people {
				held, err := readRoles(ctx, p, account.object, account.set, who)
				if err != nil {
					return err
				}
				members[i] = Member{User: who, Roles: rolesOf(held), ExpiresAt: lastEnd(held)}
			}
			return nil
		})
		return answered(members, token, err)
	}}
}
