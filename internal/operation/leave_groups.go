package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// readMembershipsIn reads a person's memberships of the groups in a place. For a subscription, these are its groups;
// for the platform, all groups; for an account, none.
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

// leaving divides the end of a person's memberships of groups among several writes. The first write also ends the
// direct roles. Between two writes, isPending is set.
type leaving struct {
	who, account authz.ID
	isPending    bool // a write was made, and memberships remain
	hasMore      bool // memberships remain after the write of the current plan
}

// more reports whether memberships remain after the current plan.
func (l *leaving) more() bool { return l != nil && l.hasMore }

// written records that the current plan is written.
func (l *leaving) written() {
	if l != nil {
		l.isPending = l.hasMore
	}
}

// plan plans that the person leaves groups of the account's subscription, as many as fit the write. Groups that hold
// roles on the account come first. An actor other than the person needs manage_groups on the subscription.
func (l *leaving) plan(ctx context.Context, p *plan) error {
	p.leaving, l.hasMore = l, false
	id, who := l.account, l.who
	account, err := readAccount(ctx, p, id)
	if err != nil {
		return err
	}
	subscription := account.subscription.object
	if who != p.by.Actor.Person() {
		may, err := decide(ctx, p, []authz.Check{actorCheck(p, "manage_groups", subscription)})
		if err == nil && !may[0] {
			err = lacks("manage_groups", "%s lacks the permission manage_groups on the subscription of %s; to "+
				"remove the person only from the account, leave out the parameter groups", p.by.Actor, account.object)
		}
		if err != nil {
			return err
		}
	}
	memberships, err := readMembershipsIn(ctx, p, subscription, who)
	if err != nil || len(memberships) == 0 {
		return err
	}
	if who == p.by.Actor.Person() {
		// A person who holds roles only through groups can then no longer view the account, but can repeat the call.
		rememberPlaceLeft(p, account.object)
	}
	if memberships, err = groupsOnFirst(ctx, p, account.object, memberships); err != nil {
		return err
	}
	for i, m := range memberships {
		// After a conflict, the write is smaller, since a small write conflicts with fewer other writes.
		if !fitsOffboarding(p, maxUpdatesPerPlace+maxAccountsOfGroups) || p.isRetry && i == maxRolesAtOnce {
			l.hasMore, memberships = true, memberships[:i]
			break
		}
		p.Delete(m)
	}
	accounts, err := readAccountsOfGroups(ctx, p, memberships)
	if err != nil {
		return err
	}
	rememberLeaving(p, memberships, accounts)
	return withdrawLeaving(ctx, p, memberships)
}

// groupsOnFirst sorts memberships: those of groups that hold roles on the account come first.
func groupsOnFirst(
	ctx context.Context, p *plan, account authz.Object, memberships []authz.Relationship,
) ([]authz.Relationship, error) {
	rows, err := readHoldersOf(ctx, p, account, authz.TypeGroup)
	if err != nil {
		return nil, err
	}
	holdsRole := make(map[authz.Object]bool, len(rows))
	for _, r := range rows {
		holdsRole[r.Subject.Object] = true
	}
	var first, others []authz.Relationship
	for _, m := range memberships {
		if holdsRole[m.Resource] {
			first = append(first, m)
		} else {
			others = append(others, m)
		}
	}
	return append(first, others...), nil
}

// RemoveAccountMemberAndGroups removes a person from an account, as RemoveAccountMember does, and from all groups
// of its subscription. If the person is not the actor, the actor also needs manage_groups on the subscription. If
// the person is in very many groups, the removal takes several writes, see leaving. A repeated call finishes an
// interrupted removal.
func (s *Service) RemoveAccountMemberAndGroups(ctx context.Context, by Caller, id, who authz.ID) (Done, error) {
	return s.removeAccountMember(ctx, by, id, who, true)
}

// RemainingGroups returns the groups through which a person has roles on an account. It returns none if the actor may
// not know the roles of this person.
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
