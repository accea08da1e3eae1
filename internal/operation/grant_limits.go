package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// A person who was removed from an account, or left it, is remembered for a day: to add them again needs assign_roles, since
// the two together change their role.
const (
	removedType authz.Type     = "removed_user"
	removedFrom authz.Relation = "from"
)

// rememberRemoval plans that the removal of a person from an account is remembered.
func rememberRemoval(p *plan, account authz.Object, who authz.ID) {
	p.Update(authz.Touch, authz.Relationship{
		Resource: authz.Object{Type: removedType, ID: who}, Relation: removedFrom, Subject: only(account), ExpiresAt: p.now.Add(rememberFor),
	})
}

// requireNotRemoved adds the precondition that a person was not removed from an account within a day. The error is
// CodeForbidden if they were.
func requireNotRemoved(ctx context.Context, p *plan, account authz.Object, who authz.ID) error {
	filter := authz.Exactly(authz.Relationship{Resource: authz.Object{Type: removedType, ID: who}, Relation: removedFrom, Subject: only(account)})
	p.Forbid(filter)
	found, err := p.Find(ctx, filter)
	if err == nil && len(found) > 0 {
		err = lacks("assign_roles", "%s was removed from %s within the last day; adding them again needs the permission assign_roles, which %s lacks",
			who, account, p.by.Actor)
	}
	return err
}

// endAfterChange returns when the roles end after a change. A change that is replayed was written before: the roles end when they are
// stored to end, not when the role of the actor ends now.
func endAfterChange(p *plan, change roleChange) time.Time {
	if p.isReplay && len(change.held) > 0 && slices.Equal(rolesOf(change.held), change.wanted) {
		return lastEnd(change.held)
	}
	return change.until
}

// readGrantEnd returns when the actor's right to grant roles on an account ends; zero if it does not. It ends with the base role
// that gives it, but not for owners of the subscription and administrators of the platform.
func readGrantEnd(ctx context.Context, p *plan, account accountFacts) (time.Time, error) {
	own, err := readRoles(ctx, p, account.object, account.set, p.by.Actor)
	end := baseEnd(account.set, own)
	if err != nil || end.IsZero() {
		return time.Time{}, err
	}
	g, err := readPermissions(ctx, p, account.object, "as_subscription_owner", "as_platform_administrator")
	if err != nil || g.allowed["as_subscription_owner"] || g.allowed["as_platform_administrator"] {
		return time.Time{}, err
	}
	return end, nil
}

// limitEnd returns the change with the end that the actor's right to grant sets to it. Without an end of its own the change ends
// with that right, and a person who holds all of it for longer keeps their end. The error is CodeForbidden if the change would
// outlast the right.
func limitEnd(ctx context.Context, p *plan, account accountFacts, change roleChange) (roleChange, error) {
	if change.who == p.by.Actor || !slices.ContainsFunc(change.wanted, change.gives) { // see requireOwnEnd
		return change, nil
	}
	end, err := readGrantEnd(ctx, p, account)
	if err != nil || end.IsZero() || !change.until.IsZero() && !change.until.After(end) {
		return change, err
	}
	joinsOthers := change.adds && len(change.held) > 0 // an invitation shortens nothing that the person holds
	if !change.until.IsZero() || change.gives(account.set.Required) || joinsOthers {
		return change, authz.Errorf(authz.CodeForbidden,
			"the roles of %s on %s end at %s, so a role that %[1]s grants there must end by then",
			p.by.Actor, account.object, end.Format(time.RFC3339))
	}
	change.until = end
	holdsAll := !slices.ContainsFunc(change.wanted, func(role authz.Role) bool { return !change.had(role) })
	if held := firstEnd(change.held); holdsAll && held.After(end) {
		change.until = held
	}
	return change, nil
}

// requireOwnEnd returns an error with CodeForbidden if the actor would hold roles for longer than the role by which they grant.
func requireOwnEnd(ctx context.Context, p *plan, account accountFacts, change roleChange) error {
	ends := baseEnd(account.set, change.held)
	putsOff := !ends.IsZero() && len(change.wanted) > 0 && (change.until.IsZero() || change.until.After(ends))
	if change.who != p.by.Actor || !putsOff {
		return nil
	}
	end, err := readGrantEnd(ctx, p, account)
	if err == nil && !end.IsZero() {
		err = authz.Errorf(authz.CodeForbidden, "a person cannot extend their own roles: those of %s on %s end at %s",
			change.who, account.object, end.Format(time.RFC3339))
	}
	return err
}
