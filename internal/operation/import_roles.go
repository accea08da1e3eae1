package operation

import (
	"context"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

func checkRoleSet(_ context.Context, r *ImportRules, o *importedObject) error {
	var names []string
	for _, set := range authz.RoleSets {
		if set.On == o.Type {
			names = append(names, string(set.Name))
		}
	}
	r.requireOneFlag(o, "role set", names)
	return nil
}

func checkAccountCreation(_ context.Context, r *ImportRules, o *importedObject) error {
	r.requireOneFlag(
		o, "flag for who creates accounts", []string{string(authz.FeatureUserPermissions), string(membersCreateAccounts)},
	)
	return nil
}

// requireOneFlag reports a problem unless an object has exactly one of several flags. A flag for service accounts must
// be the same one.
func (r *ImportRules) requireOneFlag(o *importedObject, what string, flags []string) {
	var found []string
	var rows, others []importedRow
	for _, row := range o.rows {
		switch {
		case !row.subject.Wildcard || !slices.Contains(flags, string(row.relation)):
		case row.subject == everybody:
			found, rows = append(found, string(row.relation)), append(rows, row)
		default:
			others = append(others, row)
		}
	}
	for _, row := range others {
		if !slices.Contains(found, string(row.relation)) {
			r.problem(
				o.at(row), "%s has the %s %s for service accounts, but not for %s", o.Object, what, row.relation, everybody,
			)
		}
	}
	switch {
	case len(found) == 0:
		r.problem(o.line, "%s has no %s: it needs exactly one of %s", o.Object, what, strings.Join(flags, ", "))
	case len(found) > 1:
		r.problem(lastLine(rows), "%s has more than one %s: %s", o.Object, what, strings.Join(found, ", "))
	}
}

func checkRolesOfSet(_ context.Context, r *ImportRules, o *importedObject) error {
	set, ok := roleSetIn(o)
	if !ok {
		return nil
	}
	for _, row := range o.rows {
		if _, ok := set.Role(authz.Role(row.relation)); !ok && isPerson(row.subject) {
			r.problem(o.at(row), "%s has the role set %s, which has no role %s; its roles are %s",
				o.Object, set.Name, row.relation, strings.Join(texts(set.Names()), ", "))
		}
	}
	return nil
}

// rolesOfPerson holds the roles of a person on an object.
type rolesOfPerson struct {
	who              authz.ID
	base, additional []importedRow
}

// rolesOfPeople returns the roles of each person on an object, in the order of the lines.
func (o *importedObject) rolesOfPeople(set authz.RoleSet) []*rolesOfPerson {
	var people []*rolesOfPerson
	at := make(map[authz.ID]*rolesOfPerson)
	for _, row := range o.rows {
		info, ok := set.Role(authz.Role(row.relation))
		if !ok || !isPerson(row.subject) {
			continue
		}
		person, known := at[row.subject.ID]
		if !known {
			person = &rolesOfPerson{who: row.subject.ID}
			at[person.who], people = person, append(people, person)
		}
		if info.Additional {
			person.additional = append(person.additional, row)
		} else {
			person.base = append(person.base, row)
		}
	}
	return people
}

func checkOneRole(_ context.Context, r *ImportRules, o *importedObject) error {
	set, ok := roleSetIn(o)
	if !ok || set.SeveralRoles {
		return nil
	}
	for _, person := range o.rolesOfPeople(set) {
		if len(person.base) > 1 {
			r.problem(
				max(lastLine(person.base), o.line),
				"%s holds %s and %s on %s; the role set %s allows one base role a person",
				person.base[0].subject, person.base[0].relation, person.base[1].relation, o.Object, set.Name,
			)
		}
	}
	return nil
}

func checkBaseRole(_ context.Context, r *ImportRules, o *importedObject) error {
	set, ok := roleSetIn(o)
	if !ok {
		return nil
	}
	for _, person := range o.rolesOfPeople(set) {
		if len(person.base) == 0 {
			first := person.additional[0]
			r.problem(
				o.at(first), "%s holds the additional role %s on %s without a base role", first.subject, first.relation,
				o.Object,
			)
		}
	}
	return nil
}

// requiredHolders returns the holders of the required role of an object. ok is false if the object has no required
// role.
func (r *ImportRules) requiredHolders(
	ctx context.Context, o *importedObject,
) (set authz.RoleSet, holders []importedRow, ok bool, err error) {
	facts, ok, err := r.facts(ctx, o)
	if err != nil || !ok {
		return set, nil, false, err
	}
	if set = facts.subscription.set; o.Type == "account" {
		if set = facts.set; !facts.needsRequiredRole() {
			return set, nil, false, nil
		}
	}
	return set, slices.DeleteFunc(
		o.subjects(authz.Relation(set.Required)), func(row importedRow) bool { return !isPerson(row.subject) },
	), true, nil
}

func checkRequiredRole(ctx context.Context, r *ImportRules, o *importedObject) error {
	set, holders, ok, err := r.requiredHolders(ctx, o)
	if err == nil && ok && len(holders) == 0 {
		r.problem(o.line, "%s has no %s; the role set %s requires one", o.Object, set.Required, set.Name)
	}
	return err
}

func checkSingleOwner(ctx context.Context, r *ImportRules, o *importedObject) error {
	set, holders, ok, err := r.requiredHolders(ctx, o)
	if err == nil && ok && set.Transferred && len(holders) > 1 {
		r.problem(lastLine(holders), "%s has more than one %s: %s and %s; the role set %s allows one",
			o.Object, set.Required, holders[0].subject, holders[1].subject, set.Name)
	}
	return err
}

func checkMember(ctx context.Context, r *ImportRules, o *importedObject) error {
	facts, ok, err := r.facts(ctx, o)
	if err != nil || !ok || facts.subscription.set.Name != authz.MultiOwner {
		return err
	}
	subscription := r.object(facts.subscription.object, o.line)
	for _, row := range o.rows {
		if !row.makesMember() || subscription.has(row.subject.ID) {
			continue
		}
		leaving, err := r.isLeaving(ctx, row.subject.ID, o.at(row))
		if err != nil {
			return err
		}
		if !leaving {
			r.problem(o.at(row), "%s holds %s on %s permanently, but no role on its subscription %s; add the role member",
				row.subject, row.relation, o.Object, subscription.Object)
		}
	}
	return nil
}

// makesMember reports whether a role makes the person a member of the subscription.
func (row importedRow) makesMember() bool {
	return isPerson(row.subject) && !row.ends && makesMembers(row.relation)
}

// checkMembership reports a stored reason for a membership that is not true. The person must hold a permanent role on
// the account of the reason, and a role on the subscription.
func checkMembership(ctx context.Context, r *ImportRules, o *importedObject) error {
	who := memberOf(o.Object)
	leaving, err := r.isLeaving(ctx, who, o.line)
	if err != nil || leaving {
		return err
	}
	for _, row := range o.rows {
		place := r.object(row.subject.Object, o.at(row))
		facts, ok, err := r.facts(ctx, place)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		subscription := r.object(facts.subscription.object, o.at(row))
		makes := func(role importedRow) bool { return role.subject.ID == who && role.makesMember() }
		switch {
		case membershipOf(who, subscription.Object) != o.Object:
			r.problem(
				o.at(row), "%s is not the membership of user:%s in %s, the subscription of %s", o.Object, who, subscription.Object,
				row.subject,
			)
		case place.Type == "account" && !slices.ContainsFunc(place.rows, makes):
			r.problem(o.at(row), "user:%s holds no permanent role on %s that is a reason for a membership", who, place.Object)
		case !subscription.has(who):
			r.problem(o.at(row), "user:%s has a reason for a membership of %s, but no role on it", who, subscription.Object)
		}
	}
	return nil
}
