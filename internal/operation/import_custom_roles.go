package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// bindingTypes are the types of objects on which custom roles can be given.
var bindingTypes = []authz.Type{"account", "connection", "importer", "subscription", "workspace"}

// checkCustomRole reports a custom role that no operation can have stored.
func checkCustomRole(ctx context.Context, r *ImportRules, o *importedObject) error {
	for _, relation := range []authz.Relation{roleScope, titleOf, roleVersion, roleSlot} {
		r.requireOne(o, relation)
	}
	r.requireBothFlags(o)
	if err := atMostOne(roleDescription)(ctx, r, o); err != nil {
		return err
	}
	if len(o.subjects(roleActive)) == 0 {
		r.problem(o.line, "%s is not active: add %s#%s@%s", o.Object, o.Object, roleActive, everybody)
	}
	role := importedRole(o)
	for _, row := range o.subjects(roleVersion) {
		if row.subject.ID != role.Version() {
			r.problem(o.at(row), "%s has the version %s, but its content has %s", o.Object, row.subject.ID, role.Version())
		}
	}
	for _, row := range o.subjects(roleSlot) {
		if _, ok := slotNumber(role.Scope, row.subject.Object); !ok {
			r.problem(o.at(row), "%s has the slot %s, which is none of %s", o.Object, row.subject.ID, role.Scope)
		}
	}
	for _, grant := range role.Grants {
		if problem := problemOfScope(grant, role.Scope.Type); problem != "" {
			r.problem(o.line, "%s: %s", o.Object, problem)
		}
	}
	return r.checkRoleID(ctx, o)
}

// checkRoleID reports a custom role whose id does not have the id of its subscription, or not one of a role.
func (r *ImportRules) checkRoleID(ctx context.Context, o *importedObject) error {
	facts, known, err := r.facts(ctx, o)
	if err != nil || !known {
		return err
	}
	subscription, id, ok := authz.SplitCustomRole(o.Object)
	if !ok || subscription != facts.subscription.object.ID {
		r.problem(o.line, "%s belongs to %s, so its id must begin with %q", o.Object, facts.subscription.object,
			authz.CustomRoleObject(facts.subscription.object.ID, "").ID)
		return nil
	}
	if _, err := authz.ParseRoleID(string(id)); err != nil {
		r.problem(o.line, "%s: %s", o.Object, messageOf(err))
	}
	return nil
}

// requireBothFlags reports the flags of a custom role that are stored only for people, or only for service accounts.
func (r *ImportRules) requireBothFlags(o *importedObject) {
	for _, row := range o.rows {
		if !row.subject.Wildcard {
			continue
		}
		for _, want := range flagRows(o.Object, row.relation) {
			isStored := func(other importedRow) bool {
				return other.relation == want.Relation && other.subject == want.Subject
			}
			if !slices.ContainsFunc(o.rows, isStored) {
				r.problem(o.at(row), "%s has the flag %s for %s, but not for %s", o.Object, row.relation, row.subject, want.Subject)
			}
		}
	}
}

// importedRole returns the custom role that an object stores, which may be incomplete.
func importedRole(o *importedObject) CustomRole {
	rows := make([]authz.Relationship, len(o.rows))
	for i, row := range o.rows {
		rows[i] = authz.Relationship{Resource: o.Object, Relation: row.relation, Subject: row.subject}
	}
	role, _ := customRoleOf(o.Object, rows)
	return role
}

// checkOneSlot reports two custom roles in one slot.
func checkOneSlot(_ context.Context, r *ImportRules, o *importedObject) error {
	for _, row := range o.subjects(roleSlot) {
		first, taken := r.slots[row.subject.Object]
		if taken && first != o.Object {
			r.problem(o.at(row), "%s and %s have the same slot %s", first, o.Object, row.subject)
		}
		r.slots[row.subject.Object] = o.Object
	}
	return nil
}

// checkRoleBinding reports a role binding that no operation can have stored.
func checkRoleBinding(ctx context.Context, r *ImportRules, o *importedObject) error {
	roles, places := o.subjects(bindingRole), o.subjects(bindingPlace)
	if len(roles) == 1 {
		deleted, err := r.isDeleted(ctx, r.object(roles[0].subject.Object, o.line))
		if err != nil || deleted {
			return err
		}
	}
	if len(roles) != 1 || len(places) != 1 {
		r.problem(o.line, "%s has %s and %s; it needs one role and one place", o.Object,
			authz.Count(len(roles), "role", "roles"), authz.Count(len(places), "place", "places"))
		return nil
	}
	role, place := roles[0].subject.Object, places[0].subject.Object
	if want := authz.RoleBindingObject(role, place); o.Object != want {
		r.problem(o.line, "%s gives %s on %s, so it must have the id %s", o.Object, role, place, want.ID)
		return nil
	}
	return r.checkScope(ctx, o, "gives", role, place)
}

// checkScope reports an object that gives or offers a custom role on a place outside the scope of the role. The verb
// says what the object does.
func (r *ImportRules) checkScope(
	ctx context.Context, o *importedObject, verb string, role, place authz.Object,
) error {
	found := r.object(role, o.line)
	facts, known, err := r.facts(ctx, r.object(place, o.line))
	if err := errors.Join(err, r.complete(ctx, found)); err != nil || !known {
		return err
	}
	for _, scope := range found.subjects(roleScope) {
		if in := scope.subject.Object; in != facts.object && in != facts.subscription.object {
			r.problem(o.line, "%s %s %s on %s, but the role belongs to %s", o.Object, verb, role, place, in)
		}
	}
	return nil
}

// checkBindingOfPlace reports references to role bindings of other places.
func checkBindingOfPlace(_ context.Context, r *ImportRules, o *importedObject) error {
	for _, row := range slices.Concat(o.subjects(boundBy), o.subjects(lastBinding)) {
		role, ok := authz.RoleOfBinding(row.subject.Object)
		if !ok || authz.RoleBindingObject(role, o.Object) != row.subject.Object {
			r.problem(o.at(row), "%s refers to %s, which is of another place", o.Object, row.subject)
		}
	}
	return nil
}
