package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// roleChange is that a person is to hold these roles on an object instead of those that they hold, until a time if that is
// set.
type roleChange struct {
	who    authz.ID
	held   []authz.Relationship
	wanted []authz.Role
	until  time.Time

	// adds leaves each role that the person holds and keeps as it is, with its end. asked are then the roles that were offered.
	adds  bool
	asked []authz.Role
}

// requested returns the roles that the request names.
func (c roleChange) requested() []authz.Role {
	if c.adds {
		return c.asked
	}
	return c.wanted
}

func (c roleChange) had(role authz.Role) bool { return slices.Contains(rolesOf(c.held), role) }

func (c roleChange) takes(role authz.Role) bool {
	return c.had(role) && !slices.Contains(c.wanted, role)
}

// gives reports whether the person comes to hold a role, or holds it for longer than they would.
func (c roleChange) gives(role authz.Role) bool {
	if c.adds || !c.had(role) {
		return !c.had(role) && slices.Contains(c.wanted, role)
	}
	ends := endOf(c.held, role)
	return slices.Contains(c.wanted, role) && !ends.IsZero() && (c.until.IsZero() || c.until.After(ends))
}

// keeps reports whether a role that the person holds stays as it is.
func (c roleChange) keeps(role authz.Role) bool {
	return c.had(role) && slices.Contains(c.wanted, role) && (c.adds || endOf(c.held, role).Equal(c.until))
}

// isComplete returns an error with CodeInvalid if the person would hold additional roles alone. It depends on the roles that the
// person holds, so it is asked after the check that the actor may change them.
func (c roleChange) isComplete(set authz.RoleSet) error {
	_, err := set.Parse(texts(c.wanted))
	return err
}

// addsNothing reports whether the person holds all that they are offered, or something stronger.
func (c roleChange) addsNothing() bool { return c.adds && slices.Equal(rolesOf(c.held), c.wanted) }

// invites reports whether the change gives the default role to somebody who has none. Asking for it again, when it has
// been given, is the same change.
func (c roleChange) invites(standard authz.Role) bool {
	asked := []authz.Role{standard}
	if c.addsNothing() {
		return slices.Equal(c.asked, asked)
	}
	return slices.Equal(c.wanted, asked) && (len(c.held) == 0 || slices.Equal(rolesOf(c.held), asked) && c.keeps(standard))
}

// baseEnd returns when the strongest base role ends of those held; zero if it does not. Every permission that the roles give
// needs it: additional roles give nothing without one, so their ends count only where no base role is held.
func baseEnd(set authz.RoleSet, held []authz.Relationship) time.Time {
	for _, info := range set.Roles {
		if !info.Additional && slices.Contains(rolesOf(held), info.Name) {
			return endOf(held, info.Name)
		}
	}
	return firstEnd(held)
}

// endOf returns when a role ends that is among those held; zero if it does not.
func endOf(held []authz.Relationship, role authz.Role) time.Time {
	i := slices.IndexFunc(held, func(r authz.Relationship) bool { return r.Relation == authz.Relation(role) })
	return held[i].ExpiresAt
}

// firstEnd returns when the first of the rows ends; zero if none does.
func firstEnd(rows []authz.Relationship) (first time.Time) {
	for _, r := range rows {
		if first.IsZero() || !r.ExpiresAt.IsZero() && r.ExpiresAt.Before(first) {
			first = r.ExpiresAt
		}
	}
	return first
}

// lastEnd returns when the last of the rows ends; zero if one of them does not.
func lastEnd(rows []authz.Relationship) (last time.Time) {
	for _, r := range rows {
		if r.ExpiresAt.IsZero() {
			return time.Time{}
		}
		last = later(last, r.ExpiresAt)
	}
	return last
}

// inFuture returns an error with CodeInvalid unless roles can end at a time; zero stands for never.
func (s *Service) inFuture(ends time.Time) error {
	switch {
	case ends.IsZero():
		return nil
	case !ends.After(s.now()):
		return authz.Errorf(authz.CodeInvalid, "expires_at must be in the future, not %s; to remove a member, use DELETE", ends.Format(time.RFC3339))
	case ends.UTC().Year() > 9999:
		return authz.Errorf(authz.CodeInvalid, "expires_at must be before the year 10000; leave it out for roles that do not end")
	}
	return nil
}

// fullSecond is when roles end that are to end at a time. It is zero, which stands for never, for the zero time alone.
func fullSecond(at time.Time) time.Time {
	if second := at.UTC().Truncate(time.Second); !second.IsZero() {
		return second
	}
	return at.UTC()
}

// readChangeUntil is change for roles that end, if until is set. The error is CodeInvalid if one of them never ends.
func readChangeUntil(ctx context.Context, p *plan, account accountFacts, who authz.ID, wanted []authz.Role, until time.Time) (roleChange, error) {
	if !until.IsZero() && slices.Contains(wanted, account.set.Required) {
		canEnd := slices.DeleteFunc(account.set.Names(), func(role authz.Role) bool { return role == account.set.Required })
		return roleChange{}, authz.Errorf(authz.CodeInvalid, "the role %s on %s never ends, so expires_at cannot be given with it; roles that can end are %s",
			account.set.Required, account.object, list(canEnd))
	}
	change, err := readChange(ctx, p, account.object, account.set, who, wanted)
	change.until = until
	return change, err
}

// readChange reads what the person holds now.
func readChange(ctx context.Context, p *plan, object authz.Object, set authz.RoleSet, who authz.ID, wanted []authz.Role) (roleChange, error) {
	held, err := readRoles(ctx, p, object, set, who)
	return roleChange{who: who, held: held, wanted: wanted}, err
}

// writeRoleChanges plans the changes of roles on one object. They rest on each person holding exactly what was read, so that
// two changes at once cannot leave somebody with two base roles.
func writeRoleChanges(p *plan, object authz.Object, set authz.RoleSet, changes []roleChange) {
	for _, c := range changes {
		if len(c.held) == 0 {
			p.Forbid(authz.Filter{Type: object.Type, ID: object.ID, SubjectType: user, SubjectID: c.who})
		}
		for _, role := range set.Names() {
			row := authz.Relationship{Resource: object, Relation: authz.Relation(role), Subject: person(c.who)}
			switch {
			case c.had(role):
				p.Require(row)
			case len(c.held) > 0:
				p.Forbid(authz.Exactly(row))
			}
			switch {
			case c.takes(role):
				p.Delete(row)
			case slices.Contains(c.wanted, role) && !c.keeps(role):
				row.ExpiresAt = c.until
				p.Update(authz.Touch, row)
				if c.lowers(set) {
					p.lowered++
				}
			}
		}
	}
}

// requireRoleHolder makes sure that after the changes somebody still holds the required role: if nobody among the changed does, some
// other holder is found and required. It reports false if there is none.
func requireRoleHolder(ctx context.Context, p *plan, object authz.Object, required authz.Role, changes []roleChange) (bool, error) {
	taken := slices.ContainsFunc(changes, func(c roleChange) bool { return c.takes(required) })
	if !taken || slices.ContainsFunc(changes, func(c roleChange) bool { return slices.Contains(c.wanted, required) }) {
		return true, nil
	}
	holders, err := p.FindSome(ctx, authz.Filter{Type: object.Type, ID: object.ID, Relation: authz.Relation(required), SubjectType: user}, len(changes)+1)
	if err != nil {
		return false, err
	}
	for _, holder := range holders {
		if !slices.ContainsFunc(changes, func(c roleChange) bool { return c.who == holder.Subject.ID }) {
			p.Require(holder)
			return true, nil
		}
	}
	return false, nil
}

// changeAccount plans changes of roles on one account with all rules of its role set. The error is CodeConflict if nobody
// would hold the required role afterwards.
func changeAccount(ctx context.Context, p *plan, account accountFacts, changes ...roleChange) error {
	orphaned, err := changeAccountRoles(ctx, p, account, changes)
	if err == nil && orphaned {
		err = lastHolderError([]authz.ID{account.object.ID})
	}
	return err
}

// changeAccountRoles plans changes of roles on one account with all rules of its role set but one: it reports whether
// nobody would hold the required role afterwards, and the caller refuses that.
func changeAccountRoles(
	ctx context.Context, p *plan, account accountFacts, changes []roleChange,
) (orphaned bool, err error) {
	var removed, without, arrived []authz.ID
	for _, c := range changes {
		if err := checkWritten(p); err != nil {
			return false, err
		}
		if err := requireOwnEnd(ctx, p, account, c); err != nil {
			return false, err
		}
		for _, info := range account.set.Roles {
			if !c.gives(info.Name) {
				continue
			}
			if err := requireFeature(p, account.subscription, info); err != nil {
				if len(changes) > 1 {
					err = atEntry("members", c.who, err)
				}
				return false, err
			}
		}
		if len(c.held) == 0 && len(c.wanted) == 0 {
			if err := finishRemoval(ctx, p, c.who); err != nil {
				return false, err
			}
			without = append(without, c.who)
		}
		if len(c.held) > 0 && len(c.wanted) == 0 {
			removed = append(removed, c.who)
		}
		if arrives, leaves := len(c.held) == 0 && len(c.wanted) > 0, len(c.wanted) == 0; arrives || leaves {
			if err := requireNoOffboarding(ctx, p, c.who, arrives); err != nil {
				return false, err
			}
			if err := endNamed(ctx, p, c.who, account, arrives); err != nil {
				return false, err
			}
			if arrives {
				arrived = append(arrived, c.who)
			}
		}
	}
	if err := withdrawLeft(ctx, p, arrived, account.object); err != nil {
		return false, err
	}
	if err := withdrawOffers(ctx, p, account.object, account.set, changes); err != nil {
		return false, err
	}
	if len(without) > 0 { // they may be invited, and are to stay out
		may, err := decide(ctx, p, []authz.Check{actorCheck(p, kindOf("account").withdraw, account.object)})
		if err != nil {
			return false, err
		}
		if may[0] {
			removed = append(removed, without...)
		}
	}
	if err := withdrawInvitations(ctx, p, removed, account.object, account.subscription.object); err != nil {
		return false, err
	}
	if account.needsRequiredRole() {
		isHeld, err := requireRoleHolder(ctx, p, account.object, account.set.Required, changes)
		if err != nil {
			return false, err
		}
		orphaned = !isHeld
	}
	writeRoleChanges(p, account.object, account.set, changes)
	return orphaned, nil
}

// lastHolderError is the refusal to leave accounts without an owner or administrator.
func lastHolderError(orphaned []authz.ID) error {
	if len(orphaned) == 0 {
		return nil
	}
	err := authz.Errorf(authz.CodeConflict,
		"this would remove the last owner or administrator of account %s; give somebody else that role first",
		list(orphaned))
	err.Accounts = orphaned[:min(len(orphaned), maxNamed)]
	return err
}

// requireFeature makes sure that the subscription has the feature that a role requires.
func requireFeature(p *plan, subscription subscriptionFacts, info authz.RoleInfo) error {
	if info.Requires == "" {
		return nil
	}
	if !subscription.has(info.Requires) {
		return authz.Errorf(
			authz.CodeFeatureRequired, "the role %s requires the feature %s, which the subscription lacks", info.Name,
			info.Requires,
		)
	}
	p.Require(authz.Relationship{Resource: subscription.object, Relation: authz.Relation(info.Requires), Subject: everybody})
	return nil
}

// asRoles takes roles as they were asked for.
func asRoles(names []string) Roles {
	roles := make(Roles, len(names))
	for i, name := range names {
		roles[i] = authz.Role(name)
	}
	return roles
}
