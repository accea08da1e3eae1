package operation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Sluice stores for a day that a person left an account or was removed from it. It stores the same if a person left a
// group that holds roles on the account, or was removed from this group, or if the group was deleted. During this day,
// adding the person again needs assign_roles. Otherwise an actor without assign_roles could change a role by a removal
// and a grant. Removals that need assign_roles themselves are not stored.
const (
	removedType authz.Type     = "removed_user"
	removedFrom authz.Relation = "from"
)

// rememberRemoval plans to store that a person was removed from an account, or from all accounts of a subscription.
func rememberRemoval(p *plan, place authz.Object, who authz.ID) {
	removed := removal(place, who)
	removed.ExpiresAt = p.now.Add(rememberFor)
	p.Update(authz.Touch, removed)
}

// removal returns the relationship that stores that a person was removed from an account, or from all accounts of a
// subscription.
func removal(place authz.Object, who authz.ID) authz.Relationship {
	return authz.Relationship{
		Resource: authz.Object{Type: removedType, ID: who}, Relation: removedFrom, Subject: only(place),
	}
}

// requireNotRemoved requires as preconditions that the person was not removed from the account within the last day. It
// returns an error with CodeForbidden if they were.
func requireNotRemoved(ctx context.Context, p *plan, account accountFacts, who authz.ID) error {
	removed := false
	for _, place := range []authz.Object{account.object, account.subscription.object} {
		filter := authz.Exactly(removal(place, who))
		p.Forbid(filter)
		found, err := p.Find(ctx, filter)
		if err != nil {
			return err
		}
		isLosing, err := requireNoGroupDeletion(ctx, p, place, who)
		if err != nil {
			return err
		}
		removed = removed || len(found) > 0 || isLosing
	}
	if removed {
		return lacks("assign_roles",
			"%s was removed from %s within the last day; adding them again needs the permission assign_roles, which %s lacks",
			who, account.object, p.by.Actor)
	}
	return nil
}

// requireNoGroupDeletion reports whether the person is a member of a group that held roles on an account, or on
// accounts of a subscription, and whose deletion is under way: the deletion has not stored yet that the person was
// removed. It requires as a precondition that there is no such deletion, or that the person is not a member of its
// group.
func requireNoGroupDeletion(ctx context.Context, p *plan, place authz.Object, who authz.ID) (bool, error) {
	deletions := authz.Filter{
		Type: authz.TypeGroup, Relation: membersRemovedFrom, SubjectType: place.Type, SubjectID: place.ID,
	}
	groups, err := p.Find(ctx, deletions)
	if err != nil {
		return false, err
	}
	if len(groups) == 0 {
		p.Forbid(deletions)
	}
	for _, r := range groups {
		membership := authz.Exactly(
			authz.Relationship{Resource: r.Resource, Relation: groupMember, Subject: person(who)},
		)
		found, err := p.Find(ctx, membership)
		if err != nil || len(found) > 0 {
			return len(found) > 0, err
		}
		p.Forbid(membership)
	}
	return false, nil
}

// requireNoGroupRole returns an error with CodeForbidden if the person has a role on the account through a group. For
// an actor without assign_roles, such a role counts as a role that the person holds. No precondition is necessary: if
// the person joins a group at the same time, the result is the same as if the person had joined after the grant.
func requireNoGroupRole(ctx context.Context, p *plan, account authz.Object, who authz.ID) error {
	through, err := readGroupRoles(ctx, p, account, who)
	if err == nil && len(through) > 0 {
		err = lacks("assign_roles",
			"%s has a role on %s through a group; giving them another role needs the permission assign_roles, which %s lacks",
			who, account, p.by.Actor)
	}
	return err
}

// readGrantEnd returns when the actor's right to grant roles on an account ends. This is the end of the base role
// that gives the right. The actor holds this role directly or through groups. readGrantEnd returns zero if the right
// has no end, for example for an owner of the subscription or an administrator of the platform.
func readGrantEnd(ctx context.Context, p *plan, account accountFacts) (time.Time, error) {
	own, err := readHolderRoles(ctx, p, account.object, account.set, authz.Holder(p.by.Actor.Object()))
	if err != nil {
		return time.Time{}, err
	}
	through, err := readGroupRoles(ctx, p, account.object, p.by.Actor.Person())
	for _, r := range through {
		own = append(own, r.role)
	}
	end := effectiveEnd(account.set, own)
	if err != nil || end.IsZero() {
		return time.Time{}, err
	}
	g, err := readPermissions(ctx, p, account.object, "as_subscription_owner", "as_platform_administrator")
	if err != nil || g.allowed["as_subscription_owner"] || g.allowed["as_platform_administrator"] {
		return time.Time{}, err
	}
	return end, nil
}

// limitEnd limits the end of a role change to the end of the actor's right to grant, see readGrantEnd. A change without
// an end gets this end. If the person already holds all of the roles for longer, the roles keep their end. limitEnd
// returns an error with CodeForbidden if the requested end is after the end of the right.
func limitEnd(ctx context.Context, p *plan, account accountFacts, change roleChange) (roleChange, error) {
	if change.who == p.by.Actor.Person() || !slices.ContainsFunc(change.wanted, change.gives) { // see requireOwnEnd
		return change, nil
	}
	end, err := readGrantEnd(ctx, p, account)
	if err != nil || end.IsZero() || !change.until.IsZero() && !change.until.After(end) {
		return change, err
	}
	// An invitation never shortens roles that the person holds already.
	joinsOthers := change.adds && len(change.held) > 0
	if !change.until.IsZero() || change.gives(account.set.Required) || joinsOthers {
		return change, grantEndError(p, account, end)
	}
	change.until = end
	holdsAll := !slices.ContainsFunc(change.wanted, func(role authz.Role) bool { return !change.had(role) })
	if held := firstEnd(change.held); holdsAll && held.After(end) {
		change.until = held
	}
	return change, nil
}

// grantEndError returns the error for a role that would last longer than the actor's right to grant it.
func grantEndError(p *plan, account accountFacts, end time.Time) error {
	return authz.Errorf(authz.CodeForbidden, "%s, so a role that %s grants there must end by then",
		grantEndLimit(p, account.object, end), p.by.Actor)
}

// grantEndLimit says when the actor's right to grant roles on an account ends.
func grantEndLimit(p *plan, account authz.Object, end time.Time) string {
	return fmt.Sprintf("the roles of %s on %s end at %s", p.by.Actor, account, end.Format(time.RFC3339))
}

// requireOwnEnd returns an error with CodeForbidden if actors would give themselves a role that ends later than their
// own right to grant roles.
func requireOwnEnd(ctx context.Context, p *plan, account accountFacts, change roleChange) error {
	if change.who != p.by.Actor.Person() || !slices.ContainsFunc(change.wanted, change.gives) {
		return nil
	}
	end, err := readGrantEnd(ctx, p, account)
	if err == nil && !end.IsZero() && (change.until.IsZero() || change.until.After(end)) {
		err = authz.Errorf(authz.CodeForbidden, "a person cannot extend their own roles: those of %s on %s end at %s",
			change.who, account.object, end.Format(time.RFC3339))
	}
	return err
}
