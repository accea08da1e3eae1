package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// readMembershipsIn reads in which groups of a subscription a person is a member or, for the platform, in which groups
// at all. An account has no groups.
func readMembershipsIn(
	ctx context.Context, p *plan, place authz.Object, who authz.ID,
) ([]authz.Relationship, error) {
	if place.Type == "account" {
		return nil, nil
	}
	all, err := p.Find(ctx, membershipsOf(who))
	if err != nil || place == platform {
		return all, err
	}
	var in []authz.Relationship
	for chunk := range slices.Chunk(all, readChunk) {
		filters := make([]authz.Filter, len(chunk))
		for i, m := range chunk {
			filters[i] = placeFilter(m.Resource)
		}
		places, err := p.FindAll(ctx, filters)
		if err != nil {
			return nil, err
		}
		for i, m := range chunk {
			isPlace := func(r authz.Relationship) bool { return r.Subject.Object == place }
			if slices.ContainsFunc(places[i], isPlace) {
				in = append(in, m)
			}
		}
	}
	return in, nil
}

// leaveGroupsOf plans that a person leaves the groups of the account's subscription. The person may do so themselves.
// Another actor needs manage_groups on the subscription.
func leaveGroupsOf(ctx context.Context, p *plan, id, who authz.ID) error {
	account, err := readAccount(ctx, p, id)
	if err != nil {
		return err
	}
	subscription := account.subscription.object
	if who != p.by.Actor.Person() {
		may, err := decide(ctx, p, []authz.Check{actorCheck(p, "manage_groups", subscription)})
		if err == nil && !may[0] {
			err = lacks("manage_groups", "%s lacks the permission manage_groups on the subscription of %s; leave out "+
				"the parameter groups", p.by.Actor, account.object)
		}
		if err != nil {
			return err
		}
	}
	memberships, err := readMembershipsIn(ctx, p, subscription, who)
	if err != nil {
		return err
	}
	deleteIf(p, true, memberships)
	accounts, err := readAccountsOfGroups(ctx, p, memberships)
	rememberLeaving(p, memberships, accounts)
	return err
}

// RemoveAccountMemberAndGroups removes a person from an account, as RemoveAccountMember does, and from all groups of
// its subscription. If the person is not the actor, the actor also needs manage_groups on the subscription.
func (s *Service) RemoveAccountMemberAndGroups(ctx context.Context, by Caller, id, who authz.ID) (Done, error) {
	return s.removeAccountMember(ctx, by, id, who, true)
}

// RemainingGroups returns the groups through which a person has roles on an account. It returns none if the actor is
// another person and may not list the members of the account.
func (s *Service) RemainingGroups(ctx context.Context, by Caller, id, who authz.ID) ([]HolderRoles, error) {
	var groups []HolderRoles
	_, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if known, err := viewOf(p).MayKnowRole(ctx, person(who), accountObject(id)); err != nil || !known {
			return err
		}
		account, err := readAccount(ctx, p, id)
		if errors.Is(err, authz.CodeNotFound) { // the account was deleted after the removal
			return nil
		}
		if err != nil {
			return err
		}
		groups, err = readGroupsOf(ctx, p, account.object, account.set, who)
		return err
	})
	return groups, err
}
