package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// PutSubscriptionMember sets the roles of a person on a subscription to exactly these. For each role that it adds
// or removes, it needs the permission invite_ROLE. Nobody can take the role owner from another person. Under
// single_owner, only a transfer moves the role. Under multi_owner, owners may give up their own role if there is
// another owner. Without an actor, the backend adds an owner and must give a reason.
func (s *Service) PutSubscriptionMember(
	ctx context.Context, by Caller, id, who authz.ID, roles []string,
) (Member, Done, error) {
	if by.Actor == "" {
		return s.addOwner(ctx, by, id, who, roles)
	}
	build := func(ctx context.Context, p *plan) (Member, error) {
		object := subscriptionObject(id)
		if _, err := readPermissions(ctx, p, object); err != nil {
			return Member{}, err
		}
		facts, err := readSubscription(ctx, p, id)
		if err != nil {
			return Member{}, err
		}
		if facts.set, err = withCustomRoles(ctx, p, object, facts.set, roles); err != nil {
			return Member{}, err
		}
		wanted, err := parseRoles(facts.set, roles)
		if err != nil {
			return Member{}, err
		}
		change, err := readChange(ctx, p, object, facts.set, who, wanted)
		if err != nil {
			return Member{}, err
		}
		return Member{User: who, Roles: wanted}, giveSubscriptionRoles(ctx, p, facts, change)
	}
	return runWithResult(ctx, s, by, "put_subscription_member", s.subscriptionMemberResult(by, id, who), build)
}

// giveSubscriptionRoles plans a change of one person's roles on a subscription.
func giveSubscriptionRoles(ctx context.Context, p *plan, facts subscriptionFacts, change roleChange) error {
	if err := requireMayChange(ctx, p, facts, change); err != nil {
		return err
	}
	if err := change.requireBaseRole(facts.set); err != nil {
		return err
	}
	guarded, err := requireRoleHolder(ctx, p, facts.object, facts.set.Required, []roleChange{change})
	if err != nil {
		return err
	}
	if !guarded {
		return authz.Errorf(
			authz.CodeConflict, "%s is the last owner of %s; make somebody else an owner first", change.who, facts.object,
		)
	}
	if err := requireNoOffboarding(ctx, p, change.who, len(change.held) == 0); err != nil {
		return err
	}
	if slices.ContainsFunc(change.wanted, func(role authz.Role) bool { return authz.IsBuiltInRole(role) }) {
		p.granted = append(p.granted, explicitGrant{change.who, facts.object})
	}
	if err := withdrawOffers(ctx, p, facts.object, facts.set, []roleChange{change}); err != nil {
		return err
	}
	writeRoleChanges(p, facts.object, facts.set, []roleChange{change})
	return requireKnownBindings(ctx, p, facts.object)
}

// requireMayChange returns an error unless the actor may change these roles on the subscription.
func requireMayChange(ctx context.Context, p *plan, facts subscriptionFacts, change roleChange) error {
	var needed []authz.Permission
	for _, role := range facts.set.Names() {
		if change.gives(role) || change.takes(role) {
			needed = append(needed, neededToGive(facts.set, role))
		}
	}
	var requested []authz.Permission
	for _, role := range change.requested() {
		requested = append(requested, neededToGive(facts.set, role))
	}
	listing := kindOf("subscription").list
	g, err := readPermissions(ctx, p, facts.object, slices.Concat(requested, needed, []authz.Permission{listing})...)
	if err != nil {
		return err
	}
	if len(needed) == 0 || !g.allowed[listing] {
		// This error depends on the request alone: an actor who may not list members may not learn their roles.
		for _, permission := range requested {
			if err := g.need(permission); err != nil {
				return err
			}
		}
	}
	givesUp := change.who == p.by.Actor.Person() && !facts.set.Transferred
	if change.takes(facts.set.Required) && !givesUp && g.allowed[authz.Permission("invite_"+facts.set.Required)] {
		if facts.set.Transferred {
			return ownerMovesByTransfer(facts)
		}
		return authz.Errorf(
			authz.CodeForbidden,
			"the role of owner cannot be removed from another person; %s may give it up, or be removed from %s",
			change.who, facts.object,
		)
	}
	for _, permission := range needed {
		if err := g.need(permission); err != nil {
			return err
		}
	}
	if facts.set.Transferred && change.gives(facts.set.Required) {
		return ownerMovesByTransfer(facts)
	}
	return requireMayGiveCustom(ctx, p, facts.object, facts.set, change.gives)
}

// ownerMovesByTransfer returns the error for a call other than the transfer that would change the owner of a
// single_owner subscription.
func ownerMovesByTransfer(facts subscriptionFacts) error {
	return authz.Errorf(
		authz.CodeConflict, "%s always has exactly one owner, whom only POST /v1/subscriptions/%s/transfer changes",
		facts.object, facts.object.ID,
	)
}

// RemoveSubscriptionMember deletes all roles of a person on a subscription and its accounts, and the person's
// memberships of its groups, connection shares and workspace memberships there. It also withdraws the person's open
// invitations, received and sent. The actor needs remove_users, but people may remove themselves.
func (s *Service) RemoveSubscriptionMember(ctx context.Context, by Caller, id, who authz.ID) (Done, error) {
	for {
		removed := false
		done, err := s.run(ctx, by, "remove_subscription_member", func(ctx context.Context, p *plan) error {
			object := subscriptionObject(id)
			if who == by.Actor.Person() {
				if done, err := leavePlace(ctx, p, object); done || err != nil {
					return err
				}
			} else if err := requirePermission(ctx, p, object, "remove_users"); err != nil {
				return err
			}
			err := removeFromSubscription(ctx, p, id, who)
			removed = len(p.Updates()) > 0
			return err
		})
		// Another request may give the person a role on an account during the removal; the next attempt finds it. The
		// person cannot create an account themselves, since they are no longer a member of the subscription.
		if err != nil || !removed || who == by.Actor.Person() || done.IsReplay {
			return done, err
		}
		by.Idempotency = nil
	}
}

// removeFromSubscription plans that a person is removed from a subscription and its accounts.
func removeFromSubscription(ctx context.Context, p *plan, id, who authz.ID) error {
	facts, err := readSubscription(ctx, p, id)
	if err != nil {
		return err
	}
	change, err := readChange(ctx, p, facts.object, facts.set, who, nil)
	if err != nil {
		return err
	}
	if change.takes(facts.set.Required) && facts.set.Transferred {
		return ownerMovesByTransfer(facts)
	}
	guarded, err := requireRoleHolder(ctx, p, facts.object, facts.set.Required, []roleChange{change})
	if err != nil {
		return err
	}
	if !guarded {
		return authz.Errorf(
			authz.CodeConflict, "%s is the last owner of %s; make somebody else an owner first", who, facts.object,
		)
	}
	held, err := readHoldings(ctx, p, facts.object, who)
	if err != nil {
		return err
	}
	memberships, err := readMembershipsIn(ctx, p, facts.object, who)
	if err != nil {
		return err
	}
	roles := 0
	for _, h := range held {
		roles += len(h.rows)
	}
	if len(held)+len(memberships) > maxRolesAtOnce || roles > maxRowsAtOnce {
		return startRemoval(ctx, p, facts.object, who)
	}
	deleteIf(p, true, memberships)
	accounts, err := readAccountsOfGroups(ctx, p, memberships)
	if err != nil {
		return err
	}
	rememberLeaving(p, memberships, accounts)
	if err := endNamedWithoutRole(ctx, p, who, facts.object, len(held) > 0); err != nil {
		return err
	}
	// The person may have invitations, and must not be able to accept one after the removal.
	if len(held) == 0 {
		if err := finishRemoval(ctx, p, who); err != nil {
			return err
		}
		return withdrawInvitations(ctx, p, []authz.ID{who}, facts.object, facts.object)
	}
	if len(change.held) > 0 {
		writeRoleChanges(p, facts.object, facts.set, []roleChange{change})
		if err := requireKnownBindings(ctx, p, facts.object); err != nil {
			return err
		}
	}
	if err := withdrawInvitations(ctx, p, []authz.ID{who}, facts.object, facts.object); err != nil {
		return err
	}
	return removeFromAccounts(ctx, p, id, who)
}

// removeFromAccounts plans to end all roles of a person on the accounts of a subscription.
func removeFromAccounts(ctx context.Context, p *plan, id, who authz.ID) error {
	inSubscription, err := readAccountsOf(ctx, p, id)
	if err != nil {
		return err
	}
	held, err := readRolesOn(ctx, p, authz.Person(who), "account")
	if err != nil {
		return err
	}
	accounts := make(map[authz.ID]bool)
	for _, r := range held {
		if _, found := slices.BinarySearch(inSubscription, r.place.ID); found {
			accounts[r.place.ID] = true
		}
	}
	var orphaned []authz.ID
	for _, accountID := range sortedKeys(accounts) {
		account, err := readAccount(ctx, p, accountID)
		if err != nil {
			return err
		}
		change, err := readChange(ctx, p, account.object, account.set, who, nil)
		if err != nil {
			return err
		}
		if len(change.held) > 0 {
			rememberRemoval(p, account.object, who)
		}
		isOrphaned, err := changeAccountRoles(ctx, p, account, []roleChange{change})
		if err != nil {
			return err
		}
		if isOrphaned {
			orphaned = append(orphaned, accountID)
		}
	}
	return lastHolderError(orphaned)
}

// readVisibleRolesAfter returns the roles that a person will hold on a subscription after the plan's write. It
// returns nil if the actor is another person and may not list these roles.
func readVisibleRolesAfter(ctx context.Context, p *plan, id, who authz.ID) (Roles, error) {
	facts, err := readSubscription(ctx, p, id)
	if err != nil {
		return nil, err
	}
	if known, err := viewOf(p).MayKnowRole(ctx, person(who), facts.object); err != nil || !known {
		return nil, err
	}
	if err := settleMemberships(ctx, p); err != nil {
		return nil, err
	}
	held, err := readRolesAfter(ctx, p, facts.object, facts.set, who)
	if err != nil {
		return nil, err
	}
	return rolesOf(held), nil
}
