package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// roleSet returns the role set of a subscription or account; none or several are a problem.
func (r *ImportRules) roleSet(o *importedObject) (authz.RoleSet, bool) {
	var names []string
	for _, set := range authz.RoleSets {
		if set.On == o.Type {
			names = append(names, string(set.Name))
		}
	}
	name, ok := r.oneOf(o, "role set", names)
	if !ok {
		return authz.RoleSet{}, false
	}
	set, err := authz.ParseRoleSet(name, o.Type)
	return set, err == nil
}

func (r *ImportRules) checkSubscription(o *importedObject) {
	if on, ok := r.only(o, "platform"); ok && on != platform {
		r.problem(o.line, "there is one platform, %s, and %s is on %s", platform, o.Object, on)
	}
	r.oneOf(o, "decision who creates accounts", []string{string(authz.FeatureUserPermissions), string(membersCreateAccounts)})
	set, ok := r.roleSet(o)
	if !ok {
		return
	}
	o.facts.subscription.set, o.sound = set, true
	r.checkRoles(o, set)
	r.checkRequiredRole(o, set)
}

func (r *ImportRules) checkAccount(ctx context.Context, o *importedObject) error {
	set, hasSet := r.roleSet(o)
	in, hasPlace := r.only(o, "subscription")
	if hasSet {
		r.checkRoles(o, set)
	}
	if !hasSet || !hasPlace {
		return nil
	}
	subscription := r.object(in, o.line)
	if err := r.check(ctx, subscription); err != nil || !subscription.sound {
		return err
	}
	o.facts = accountFacts{object: o.Object, set: set, subscription: subscription.facts.subscription}
	o.sound = true
	if o.facts.needsGuardian() {
		r.checkRequiredRole(o, set)
	}
	return nil
}

// checkRoles holds the roles on an object to its role set: which there are, and how many a person holds.
func (r *ImportRules) checkRoles(o *importedObject, set authz.RoleSet) {
	type held struct {
		roles []string
		line  int
	}
	people := make(map[authz.ID]held)
	var order []authz.ID
	for _, row := range o.rows {
		if row.subject.Type != user || row.subject.Wildcard {
			continue
		}
		if _, ok := set.Role(authz.Role(row.relation)); !ok {
			r.problem(max(row.line, o.line), "%s has the role set %s, which has no role %s; its roles are %s",
				o.Object, set.Name, row.relation, joined(set.Names()))
			continue
		}
		person, ok := people[row.subject.ID]
		if !ok {
			order = append(order, row.subject.ID)
		}
		person.roles, person.line = append(person.roles, string(row.relation)), max(person.line, row.line)
		people[row.subject.ID] = person
	}
	for _, id := range order {
		if person := people[id]; len(person.roles) > 1 {
			if _, err := set.Parse(person.roles); err != nil {
				r.problem(max(person.line, o.line), "user:%s on %s: %s", id, o.Object, err)
			}
		}
	}
}

func joined(roles []authz.Role) (text string) {
	for i, role := range roles {
		if i > 0 {
			text += ", "
		}
		text += string(role)
	}
	return text
}

// checkRequiredRole holds an object to the role that never dies out.
func (r *ImportRules) checkRequiredRole(o *importedObject, set authz.RoleSet) {
	var holders []importedRow
	for _, row := range o.rows {
		if row.relation == authz.Relation(set.Guardian) && row.subject.Type == user && !row.subject.Wildcard {
			holders = append(holders, row)
		}
	}
	switch {
	case set.Guardian == "":
	case len(holders) == 0:
		r.problem(o.line, "%s has no %s: under the role set %s it needs one", o.Object, set.Guardian, set.Name)
	case len(holders) > 1 && set.Transferred:
		r.problem(lastLine(holders), "%s has more than one %s: %s and %s; the role set %s allows one",
			o.Object, set.Guardian, holders[0].subject, holders[1].subject, set.Name)
	}
}

// checkPart holds an object in an account to it: nothing refers to another account.
func (r *ImportRules) checkPart(ctx context.Context, o *importedObject) error {
	if o.Type == "connector" {
		catalogue := slices.ContainsFunc(o.rows, func(row importedRow) bool { return row.relation == "catalogue" })
		built := slices.ContainsFunc(o.rows, func(row importedRow) bool { return row.relation == "account" })
		if catalogue && built {
			r.problem(o.line, "%s is in the catalogue and in an account: it needs exactly one of both", o.Object)
		}
		if catalogue {
			return nil
		}
	}
	in, ok := r.only(o, kindOf(o.Type).place)
	if !ok {
		return nil
	}
	place := r.object(in, o.line)
	if err := r.check(ctx, place); err != nil || !place.sound {
		return err
	}
	for _, row := range o.rows {
		if err := r.checkReference(ctx, o, place, row); err != nil {
			return err
		}
	}
	o.facts, o.sound = place.facts, true
	shared := slices.ContainsFunc(o.rows, func(row importedRow) bool { return row.relation == "shared" })
	if o.Type == "connection" && !shared && !place.facts.privateConnections() {
		r.problem(o.line, "%s is private, which only connections of team accounts in a subscription under multi_owner can be: it needs %s#shared@%s",
			o.Object, o.Object, in)
	}
	return nil
}

// checkReference holds the relationships between the parts of an account to that account.
func (r *ImportRules) checkReference(ctx context.Context, o, account *importedObject, row importedRow) error {
	line := max(row.line, o.line)
	switch row.relation {
	case "shared", "open":
		if row.subject.Object != account.Object {
			r.problem(line, "%s is in %s: %s cannot be %s", o.Object, account.Object, row.relation, row.subject)
		}
	case "source", "destination", "member_of", "connector":
		other := r.object(row.subject.Object, line)
		if err := r.complete(ctx, other); err != nil {
			return err
		}
		deleted, err := r.isDeleted(ctx, other)
		if err != nil || deleted {
			return err
		}
		for _, part := range other.rows { // one that is in no account is a problem of its own
			if part.relation == "account" && part.subject.Object != account.Object {
				r.problem(line, "%s is in %s, and its %s %s in another, %s", o.Object, account.Object, row.relation, row.subject, part.subject)
			}
		}
	}
	return nil
}
