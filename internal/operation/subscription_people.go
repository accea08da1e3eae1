package operation

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// SubscriptionMembers returns a page of the people who hold a role on a subscription. With byAccount, each entry also
// has the person's roles on accounts, if the actor may list the members of the account.
func (s *Service) SubscriptionMembers(
	ctx context.Context, by Caller, id authz.ID, byAccount bool, page Page,
) (Members, authz.Token, error) {
	list := "subscription members"
	if byAccount {
		list += " by account"
	}
	return s.subscriptionPeople(
		ctx,
		by,
		id,
		page.of(list, id),
		func(ctx context.Context, p *plan, members map[authz.ID]Member) error {
			if !byAccount {
				return nil
			}
			people := maps.Clone(members)
			err := addAccountRoles(ctx, p, id, people)
			for who := range members {
				members[who] = people[who]
			}
			return err
		},
	)
}

// SubscriptionPeople returns a page of the people of a subscription: its members, and the members of its accounts. It
// considers only accounts whose members the actor may list. Each person has their roles on these accounts.
func (s *Service) SubscriptionPeople(
	ctx context.Context, by Caller, id authz.ID, page Page,
) (Members, authz.Token, error) {
	return s.subscriptionPeople(
		ctx,
		by,
		id,
		page.of("subscription people", id),
		func(ctx context.Context, p *plan, people map[authz.ID]Member) error {
			return addAccountRoles(ctx, p, id, people)
		},
	)
}

// subscriptionPeople returns a page of the people of a subscription. It passes the members to add, which adds other
// people or roles on accounts, and then selects the page.
func (s *Service) subscriptionPeople(
	ctx context.Context, by Caller, id authz.ID, page Page, add func(context.Context, *plan, map[authz.ID]Member) error,
) (Members, authz.Token, error) {
	var members Members
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Roles(subscriptionObject(id))); err != nil {
			return err
		}
		facts, err := readSubscription(ctx, p, id)
		if err != nil {
			return err
		}
		people, err := readPeople(ctx, p, facts.object, facts.set)
		if err != nil {
			return err
		}
		if err := add(ctx, p, people); err != nil {
			return err
		}
		members, err = pageOfMembers(people, page)
		return err
	})
	return answered(members, token, err)
}

// addAccountRoles adds to each of the people their roles on the subscription's accounts whose members the actor may
// list. It reads each account once, and several accounts at a time.
func addAccountRoles(ctx context.Context, p *plan, id authz.ID, people map[authz.ID]Member) error {
	accounts, err := readAccountsOf(ctx, p, id)
	if err != nil {
		return err
	}
	for who, member := range people {
		member.Accounts, member.AccountsExpireAt = make(map[authz.ID]Roles), make(map[authz.ID]time.Time)
		people[who] = member
	}
	rows, members := make([]authz.Filter, len(accounts)), make([]visibility.Fact, len(accounts))
	for i, accountID := range accounts {
		rows[i] = authz.Filter{Type: "account", ID: accountID}
		members[i] = visibility.Roles(accountObject(accountID))
	}
	found, err := p.FindAll(ctx, rows)
	if err != nil {
		return err
	}
	listed, err := viewOf(p).MayKnowEach(ctx, members)
	if err != nil {
		return err
	}
	for i, accountID := range accounts {
		if !listed[i] {
			continue
		}
		set, err := requireRoleSet(p, accountObject(accountID), flagsIn(found[i]))
		if err != nil {
			return err
		}
		bindings := bindingsIn(found[i])
		filters := make([]authz.Filter, len(bindings))
		for i, binding := range bindings {
			filters[i] = rowsOf(binding)
		}
		held, err := p.FindAll(ctx, filters)
		if err != nil {
			return err
		}
		set = set.WithCustom(id, rolesBoundBy(bindings, id)...)
		for who, there := range membersOf(append(slices.Concat(held...), found[i]...), set) {
			member, known := people[who]
			if !known {
				member = Member{
					User:             who,
					Accounts:         make(map[authz.ID]Roles),
					AccountsExpireAt: make(map[authz.ID]time.Time),
				}
			}
			member.Accounts[accountID] = there.Roles
			if !there.ExpiresAt.IsZero() {
				member.AccountsExpireAt[accountID] = there.ExpiresAt
			}
			people[who] = member
		}
	}
	return nil
}
