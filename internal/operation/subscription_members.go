package operation

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// SubscriptionMembers returns a page of the members of a subscription: the people who hold a role on it. With byAccount each
// comes with their roles on those accounts of it whose members the actor may list.
func (s *Service) SubscriptionMembers(ctx context.Context, by Caller, id authz.ID, byAccount bool, page Page) (Members, authz.Token, error) {
	list := "subscription members"
	if byAccount {
		list += " by account"
	}
	return s.subscriptionPeople(ctx, by, id, page.of(list, id), func(ctx context.Context, p *plan, members map[authz.ID]Member) error {
		if !byAccount {
			return nil
		}
		people := maps.Clone(members)
		err := p.addAccounts(ctx, id, people)
		for who := range members {
			members[who] = people[who]
		}
		return err
	})
}

// SubscriptionPeople returns a page of the people of a subscription: its members, and the people who hold a role on an account of
// it whose members the actor may list, each with their roles there.
func (s *Service) SubscriptionPeople(ctx context.Context, by Caller, id authz.ID, page Page) (Members, authz.Token, error) {
	return s.subscriptionPeople(ctx, by, id, page.of("subscription people", id), func(ctx context.Context, p *plan, people map[authz.ID]Member) error {
		return p.addAccounts(ctx, id, people)
	})
}

// subscriptionPeople returns a page of the members of a subscription after add has changed them.
func (s *Service) subscriptionPeople(
	ctx context.Context, by Caller, id authz.ID, page Page, add func(context.Context, *plan, map[authz.ID]Member) error,
) (Members, authz.Token, error) {
	var members Members
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := p.allow(ctx, subscriptionObject(id), Listing("subscription")); err != nil {
			return err
		}
		facts, err := p.subscription(ctx, id)
		if err != nil {
			return err
		}
		people, err := p.people(ctx, facts.object, facts.set)
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

// mayList reports on which of the accounts the actor may know who holds which role.
func (p *plan) mayList(ctx context.Context, accounts []authz.ID) ([]bool, error) {
	var listed []bool
	for chunk := range slices.Chunk(accounts, MaxLimit) {
		checks := make([]authz.Check, len(chunk))
		for i, id := range chunk {
			checks[i] = p.asks(Listing("account"), accountObject(id))
		}
		allowed, err := p.decide(ctx, checks)
		if err != nil {
			return nil, err
		}
		listed = append(listed, allowed...)
	}
	return listed, nil
}

// addAccounts adds to people what they hold on those accounts of the subscription whose members the actor may list. It reads
// each account once, several at a time.
func (p *plan) addAccounts(ctx context.Context, id authz.ID, people map[authz.ID]Member) error {
	accounts, err := p.accountsOf(ctx, id)
	if err != nil {
		return err
	}
	for who, member := range people {
		member.Accounts, member.AccountsExpireAt = make(map[authz.ID]Roles), make(map[authz.ID]time.Time)
		people[who] = member
	}
	rows := make([]authz.Filter, len(accounts))
	for i, accountID := range accounts {
		rows[i] = rowsOf(accountObject(accountID))
	}
	if err := p.findAll(ctx, rows); err != nil {
		return err
	}
	listed, err := p.mayList(ctx, accounts)
	if err != nil {
		return err
	}
	for i, accountID := range accounts {
		if !listed[i] {
			continue
		}
		found := p.reads[rows[i]]
		set, err := p.roleSet(accountObject(accountID), marksIn(found))
		if err != nil {
			return err
		}
		for who, there := range membersOf(found, set) {
			member, known := people[who]
			if !known {
				member = Member{User: who, Accounts: make(map[authz.ID]Roles), AccountsExpireAt: make(map[authz.ID]time.Time)}
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

// PutSubscriptionMember gives a person exactly these roles on a subscription. It needs the invite_… permission of each
// role that is added and of each that is taken away. Nobody takes the role of owner from another: under single_owner it
// moves by transfer alone, under multi_owner an owner may give it up while there is another. Without an actor the backend
// adds an owner, which needs a reason.
func (s *Service) PutSubscriptionMember(ctx context.Context, by Caller, id, who authz.ID, roles []string) (Member, authz.Token, error) {
	if by.Actor == "" {
		return s.addOwner(ctx, by, id, who, roles)
	}
	member := Member{User: who, Roles: asRoles(roles)}
	token, err := s.run(ctx, by, "put_subscription_member", func(ctx context.Context, p *plan) error {
		object := subscriptionObject(id)
		if _, err := p.permissions(ctx, object); err != nil {
			return err
		}
		facts, err := p.subscription(ctx, id)
		if err != nil {
			return err
		}
		wanted, err := parseRoles(facts.set, roles)
		if err != nil {
			return err
		}
		change, err := p.change(ctx, object, facts.set, who, wanted)
		if err != nil {
			return err
		}
		member.Roles = wanted
		return p.giveOnSubscription(ctx, facts, change)
	})
	return answered(member, token, err)
}

// giveOnSubscription plans a change of one person's roles on a subscription.
func (p *plan) giveOnSubscription(ctx context.Context, facts subscriptionFacts, change roleChange) error {
	if err := p.mayChange(ctx, facts, change); err != nil {
		return err
	}
	if err := change.isComplete(facts.set); err != nil {
		return err
	}
	guarded, err := p.guard(ctx, facts.object, facts.set.Guardian, []roleChange{change})
	if err != nil {
		return err
	}
	if !guarded {
		return authz.Errorf(authz.CodeConflict, "%s is the last owner of %s; make somebody else one first", change.who, facts.object)
	}
	if err := p.arrives(ctx, change.who, len(change.held) == 0); err != nil {
		return err
	}
	p.granted = append(p.granted, explicitGrant{change.who, facts.object})
	p.write(facts.object, facts.set, []roleChange{change})
	return nil
}

// mayChange returns an error unless the actor may change these roles on the subscription.
func (p *plan) mayChange(ctx context.Context, facts subscriptionFacts, change roleChange) error {
	var needed []authz.Permission
	for _, role := range facts.set.Names() {
		if change.gives(role) || change.takes(role) {
			needed = append(needed, authz.Permission("invite_"+role))
		}
	}
	if len(needed) == 0 { // nothing changes, but who may change nothing is not told what there is
		named := change.wanted
		if change.adds {
			named = change.asked
		}
		for _, role := range named {
			needed = append(needed, authz.Permission("invite_"+role))
		}
	}
	g, err := p.permissions(ctx, facts.object, needed...)
	if err != nil {
		return err
	}
	givesUp := change.who == p.by.Actor && !facts.set.Transferred
	if change.takes(facts.set.Guardian) && !givesUp && g.allowed[authz.Permission("invite_"+facts.set.Guardian)] {
		if facts.set.Transferred {
			return ownerMovesByTransfer(facts)
		}
		return authz.Errorf(authz.CodeForbidden, "nobody takes the role of owner from another: %s may give it up, or be removed from %s", change.who, facts.object)
	}
	for _, permission := range needed {
		if err := g.need(permission); err != nil {
			return err
		}
	}
	if facts.set.Transferred && change.gives(facts.set.Guardian) {
		return ownerMovesByTransfer(facts)
	}
	return nil
}

func ownerMovesByTransfer(facts subscriptionFacts) error {
	return authz.Errorf(authz.CodeConflict, "%s has exactly one owner at any time; only POST /v1/subscriptions/%s/transfer changes who", facts.object, facts.object.ID)
}

// RemoveSubscriptionMember takes from a person all roles on a subscription and on all of its accounts, and whatever
// names them there, with the open invitations to and by them. It needs remove_users; anybody may leave by themselves.
func (s *Service) RemoveSubscriptionMember(ctx context.Context, by Caller, id, who authz.ID) (authz.Token, error) {
	for {
		removed := false
		token, err := s.run(ctx, by, "remove_subscription_member", func(ctx context.Context, p *plan) error {
			object := subscriptionObject(id)
			if who == by.Actor {
				if done, err := p.leave(ctx, object, s.now()); done || err != nil {
					return err
				}
			} else if err := p.allow(ctx, object, "remove_users"); err != nil {
				return err
			}
			err := p.removeFromSubscription(ctx, id, who)
			removed = len(p.updates) > 0
			return err
		})
		// An account that the person was given a role on while they were being removed is found by looking again; once they
		// are out of the subscription, they create none themselves.
		if err != nil || !removed || who == by.Actor || by.replayed() {
			return token, err
		}
		by.Once = nil
	}
}

func (p *plan) removeFromSubscription(ctx context.Context, id, who authz.ID) error {
	facts, err := p.subscription(ctx, id)
	if err != nil {
		return err
	}
	change, err := p.change(ctx, facts.object, facts.set, who, nil)
	if err != nil {
		return err
	}
	if change.takes(facts.set.Guardian) && facts.set.Transferred {
		return ownerMovesByTransfer(facts)
	}
	guarded, err := p.guard(ctx, facts.object, facts.set.Guardian, []roleChange{change})
	if err != nil {
		return err
	}
	if !guarded {
		return authz.Errorf(authz.CodeConflict, "%s is the last owner of %s; make somebody else one first", who, facts.object)
	}
	held, err := p.holdings(ctx, facts.object, who)
	if err != nil {
		return err
	}
	switch {
	case len(held) == 0: // they may be invited, and are to stay out
		if err := p.finishRemoval(ctx, who); err != nil {
			return err
		}
		return p.withdrawInvitations(ctx, []authz.ID{who}, facts.object, facts.object)
	case len(held) > manyRoles:
		return p.departFrom(ctx, facts.object, who)
	}
	if len(change.held) > 0 {
		p.write(facts.object, facts.set, []roleChange{change})
	}
	if err := p.withdrawInvitations(ctx, []authz.ID{who}, facts.object, facts.object); err != nil {
		return err
	}
	return p.removeFromAccounts(ctx, id, who)
}

// removeFromAccounts plans the end of all that a person holds on the accounts of a subscription.
func (p *plan) removeFromAccounts(ctx context.Context, id, who authz.ID) error {
	inSubscription, err := p.accountsOf(ctx, id)
	if err != nil {
		return err
	}
	held, err := p.find(ctx, authz.Filter{Type: "account", SubjectType: user, SubjectID: who})
	if err != nil {
		return err
	}
	accounts := make(map[authz.ID]bool)
	for _, r := range held {
		if _, found := slices.BinarySearch(inSubscription, r.Resource.ID); found {
			accounts[r.Resource.ID] = true
		}
	}
	var orphaned []authz.ID
	for _, accountID := range sortedKeys(accounts) {
		account, err := p.account(ctx, accountID)
		if err != nil {
			return err
		}
		change, err := p.change(ctx, account.object, account.set, who, nil)
		if err != nil {
			return err
		}
		if len(change.held) > 0 {
			p.noteRemoval(account.object, who)
		}
		if err := p.changeAccountRoles(ctx, account, []roleChange{change}, &orphaned); err != nil {
			return err
		}
	}
	return lastGuardian(orphaned)
}

// rolesAfter returns the roles that a person holds on a subscription when the plan is written, and nil if the actor may not know
// them: those of others need the permission to list them there.
func (p *plan) rolesAfter(ctx context.Context, id, who authz.ID) (Roles, error) {
	facts, err := p.subscription(ctx, id)
	if err != nil {
		return nil, err
	}
	if who != p.by.Actor {
		listed, err := p.decide(ctx, []authz.Check{p.asks(Listing("subscription"), facts.object)})
		if err != nil || !listed[0] {
			return nil, err
		}
	}
	if err := p.settleMemberships(ctx); err != nil {
		return nil, err
	}
	held, err := p.heldAfter(ctx, facts.object, facts.set, who)
	if err != nil {
		return nil, err
	}
	return rolesOf(held), nil
}
