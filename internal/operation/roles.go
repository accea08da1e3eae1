package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// roleChange replaces one person's roles on an object by the wanted roles. If until is set, the wanted roles end at
// that time.
type roleChange struct {
	who    authz.ID
	held   []authz.Relationship
	wanted []authz.Role
	until  time.Time

	// adds is set if the change only adds roles, for example by an invitation. The person keeps their present roles
	// with the ends of these, and asked has the offered roles.
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

// gives reports whether the change gives the person a role, or makes a role last longer.
func (c roleChange) gives(role authz.Role) bool {
	if c.adds || !c.had(role) {
		return !c.had(role) && slices.Contains(c.wanted, role)
	}
	ends := endOf(c.held, role)
	return slices.Contains(c.wanted, role) && !ends.IsZero() && (c.until.IsZero() || c.until.After(ends))
}

// keeps reports whether the change leaves a role that the person holds unchanged.
func (c roleChange) keeps(role authz.Role) bool {
	return c.had(role) && slices.Contains(c.wanted, role) && (c.adds || endOf(c.held, role).Equal(c.until))
}

// requireBaseRole returns an error with CodeInvalid if the person would hold only additional roles. The error reveals
// roles of the person, so callers check first that the actor may change them.
func (c roleChange) requireBaseRole(set authz.RoleSet) error {
	_, err := set.Parse(texts(c.wanted))
	return err
}

// arrives reports whether the person gets a first role.
func (c roleChange) arrives() bool { return len(c.held) == 0 && len(c.wanted) > 0 }

// ends reports whether the person loses all roles.
func (c roleChange) ends() bool { return len(c.held) > 0 && len(c.wanted) == 0 }

// isEmpty reports whether the person has no role, neither before nor after the change.
func (c roleChange) isEmpty() bool { return len(c.held) == 0 && len(c.wanted) == 0 }

// addsNothing reports whether the person already holds all offered roles, or stronger ones.
func (c roleChange) addsNothing() bool { return c.adds && slices.Equal(rolesOf(c.held), c.wanted) }

// invites reports whether the change gives the default role to a person who holds no role. It is also true if the
// person holds exactly that role already, so that a repeated request needs the same permission.
func (c roleChange) invites(standard authz.Role) bool {
	asked := []authz.Role{standard}
	if c.addsNothing() {
		return slices.Equal(c.asked, asked)
	}
	return slices.Equal(c.wanted, asked) && (len(c.held) == 0 || slices.Equal(rolesOf(c.held), asked) && c.keeps(standard))
}

// baseEnd returns when the strongest of the held base roles ends; zero if it does not end. The permissions of all
// built-in roles end with it, since additional roles give nothing without a base role. If no base role is held, it
// returns the end of the additional roles. Custom roles do not count.
func baseEnd(set authz.RoleSet, held []authz.Relationship) time.Time {
	held = builtInOf(held)
	for _, info := range set.Roles {
		if !info.Additional && slices.Contains(rolesOf(held), info.Name) {
			return endOf(held, info.Name)
		}
	}
	return firstEnd(held)
}

// effectiveEnd returns when the strongest base role in the rows ends. The rows may have the role several times:
// held directly and through groups. The latest end counts; zero means that the role does not end. If the rows have
// no base role, effectiveEnd returns the earliest end of the rows. Custom roles do not count: they give no right to
// grant roles.
func effectiveEnd(set authz.RoleSet, rows []authz.Relationship) time.Time {
	rows = builtInOf(rows)
	for _, info := range set.Roles {
		of := slices.DeleteFunc(slices.Clone(rows), func(r authz.Relationship) bool {
			return info.Additional || r.Relation != authz.Relation(info.Name)
		})
		if len(of) > 0 {
			return lastEnd(of)
		}
	}
	return firstEnd(rows)
}

// endOf returns when one of the held roles ends; zero if it does not end.
func endOf(held []authz.Relationship, role authz.Role) time.Time {
	i := slices.IndexFunc(held, func(r authz.Relationship) bool { return authz.RoleOf(r) == role })
	return held[i].ExpiresAt
}

// firstEnd returns the earliest end of the rows; zero if no row has an end.
func firstEnd(rows []authz.Relationship) (first time.Time) {
	for _, r := range rows {
		if first.IsZero() || !r.ExpiresAt.IsZero() && r.ExpiresAt.Before(first) {
			first = r.ExpiresAt
		}
	}
	return first
}

// lastEnd returns the latest end of the rows; zero if a row has no end.
func lastEnd(rows []authz.Relationship) (last time.Time) {
	for _, r := range rows {
		if r.ExpiresAt.IsZero() {
			return time.Time{}
		}
		last = later(last, r.ExpiresAt)
	}
	return last
}

// inFuture returns an error with CodeInvalid unless the time is in the future. Zero stands for never.
func (s *Service) inFuture(ends time.Time) error {
	switch {
	case ends.IsZero():
		return nil
	case !ends.After(s.now()):
		return authz.Errorf(authz.CodeInvalid,
			"expires_at must be in the future, not %s; to remove a member, use DELETE", ends.Format(time.RFC3339))
	case ends.UTC().Year() > 9999:
		return authz.Errorf(authz.CodeInvalid,
			"expires_at must be before the year 10000; leave it out for roles that do not end")
	}
	return nil
}

// fullSecond drops the fraction of a second. The zero time, which stands for never, stays zero, and no other time
// becomes zero.
func fullSecond(at time.Time) time.Time {
	if second := at.UTC().Truncate(time.Second); !second.IsZero() {
		return second
	}
	return at.UTC()
}

// readChangeUntil is readChange with an end for the new roles; zero means none. It returns an error with
// CodeInvalid if one of the roles cannot end.
func readChangeUntil(
	ctx context.Context, p *plan, account accountFacts, who authz.ID, wanted []authz.Role, until time.Time,
) (roleChange, error) {
	if !until.IsZero() && slices.Contains(wanted, account.set.Required) {
		canEnd := slices.DeleteFunc(account.set.Names(), func(role authz.Role) bool { return role == account.set.Required })
		return roleChange{}, authz.Errorf(authz.CodeInvalid,
			"the role %s on %s never ends, so expires_at cannot be given with it; roles that can end are %s",
			account.set.Required, account.object, list(canEnd))
	}
	change, err := readChange(ctx, p, account.object, account.set, who, wanted)
	change.until = until
	return change, err
}

// readChange reads the roles that the person holds now, and returns the change to the wanted roles.
func readChange(
	ctx context.Context, p *plan, object authz.Object, set authz.RoleSet, who authz.ID, wanted []authz.Role,
) (roleChange, error) {
	held, err := readRoles(ctx, p, object, set, who)
	return roleChange{who: who, held: held, wanted: wanted}, err
}

// maxForbiddenRoles is the highest number of preconditions that one plan has for custom roles which people do not
// hold.
const maxForbiddenRoles = 200

// writeRoleChanges plans the changes of roles on one object. It requires as preconditions that each person still
// holds exactly the roles that were read, so that two concurrent changes cannot leave somebody with two base roles.
// If there are very many custom roles, it requires only that the person does not hold the wanted ones yet.
func writeRoleChanges(p *plan, object authz.Object, set authz.RoleSet, changes []roleChange) {
	forbidsAll := p.forbidden+len(set.Custom())*len(changes) <= maxForbiddenRoles
	for _, c := range changes {
		hasBuiltIn := len(builtInOf(c.held)) > 0
		if !hasBuiltIn {
			p.Forbid(rowsOfPerson(object, c.who))
		}
		for _, info := range set.Roles {
			role := info.Name
			row := set.Row(object, role, person(c.who))
			switch {
			case c.had(role):
				p.Require(row)
			case info.IsCustom() && (forbidsAll || slices.Contains(c.wanted, role)), !info.IsCustom() && hasBuiltIn:
				p.Forbid(authz.Exactly(row))
				if info.IsCustom() {
					p.forbidden++
				}
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

// requireRoleHolder requires as a precondition that somebody holds the required role after the changes. If none of
// the changed people will hold it, requireRoleHolder searches for another holder. It returns false if there is
// none.
func requireRoleHolder(
	ctx context.Context, p *plan, object authz.Object, required authz.Role, changes []roleChange,
) (bool, error) {
	taken := slices.ContainsFunc(changes, func(c roleChange) bool { return c.takes(required) })
	if !taken || slices.ContainsFunc(changes, func(c roleChange) bool { return slices.Contains(c.wanted, required) }) {
		return true, nil
	}
	holdersOfRole := authz.Filter{
		Type: object.Type, ID: object.ID, Relation: authz.Relation(required), SubjectType: user,
	}
	holders, err := p.FindSome(ctx, holdersOfRole, len(changes)+1)
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

// changeAccount plans changes of roles on one account, and checks all rules of its role set. It returns an error with
// CodeConflict if nobody would hold the required role afterwards.
func changeAccount(ctx context.Context, p *plan, account accountFacts, changes ...roleChange) error {
	orphaned, err := changeAccountRoles(ctx, p, account, changes)
	if err == nil && orphaned {
		err = lastHolderError([]authz.ID{account.object.ID})
	}
	return err
}

// changeAccountRoles is changeAccount without the error for a missing holder of the required role. It reports whether
// the holder would be missing, and the caller returns the error.
func changeAccountRoles(
	ctx context.Context, p *plan, account accountFacts, changes []roleChange,
) (orphaned bool, err error) {
	if err := readNamesOfMany(ctx, p, changes); err != nil {
		return false, err
	}
	for _, c := range changes {
		if err := checkWritten(p); err != nil {
			return false, err
		}
		if err := requireOwnEnd(ctx, p, account, c); err != nil {
			return false, err
		}
		if err := requireFeatures(p, account, c); err != nil {
			if len(changes) > 1 {
				err = atEntry("members", c.who, err)
			}
			return false, err
		}
		if err := endWithRoles(ctx, p, account, c); err != nil {
			return false, err
		}
	}
	if err := withdrawLeft(ctx, p, peopleOf(changes, roleChange.arrives), account.object); err != nil {
		return false, err
	}
	if err := withdrawOffers(ctx, p, account.object, account.set, changes); err != nil {
		return false, err
	}
	// A person who has no role before and after the change must not get one through an open invitation.
	removed := peopleOf(changes, func(c roleChange) bool { return c.ends() || c.isEmpty() })
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
	return orphaned, requireKnownBindings(ctx, p, account.object)
}

// peopleOf returns the people whose change of roles meets the condition.
func peopleOf(changes []roleChange, condition func(roleChange) bool) []authz.ID {
	var people []authz.ID
	for _, c := range changes {
		if condition(c) {
			people = append(people, c.who)
		}
	}
	return people
}

// requireFeatures returns an error if the change gives a role whose feature the account's subscription lacks.
func requireFeatures(p *plan, account accountFacts, c roleChange) error {
	for _, role := range account.set.Roles {
		if !c.gives(role.Name) {
			continue
		}
		if err := requireFeature(p, account.subscription, role); err != nil {
			return err
		}
	}
	return nil
}

// endWithRoles plans to delete the person's connection shares and workspace memberships in the account, if the
// person has no role before or after the change. A role that expired may have left some behind. If a removal of the
// person was interrupted, endWithRoles makes run finish it first.
func endWithRoles(ctx context.Context, p *plan, account accountFacts, c roleChange) error {
	if c.isEmpty() {
		if err := finishRemoval(ctx, p, c.who); err != nil {
			return err
		}
	}
	if !c.arrives() && len(c.wanted) > 0 {
		return nil
	}
	if err := requireNoOffboarding(ctx, p, c.who, c.arrives()); err != nil {
		return err
	}
	return endNamed(ctx, p, c, account)
}

// lastHolderError returns the error for a change that would leave accounts without an owner or administrator.
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

// requireFeature requires as a precondition that the subscription has the feature that a role needs. It returns an
// error if the subscription lacks it.
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
	p.Require(authz.Relationship{
		Resource: subscription.object, Relation: authz.Relation(info.Requires), Subject: everybody,
	})
	return nil
}
