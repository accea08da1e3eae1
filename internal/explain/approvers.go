package explain

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// maxPeople is the maximum number of people that an answer names for one relation of an object.
const maxPeople = 10

// assignApprovers builds a suggestion from a combination of changes. For each operation, it finds the people who may
// perform it now (the approvers), and returns one of them as its actor. If there is an operation that nobody may
// perform, it returns nil.
func (i *inquiry) assignApprovers(ctx context.Context, combination []operation.Grant) (*candidate, []authz.ID, error) {
	suggestion := &candidate{}
	var actors []authz.ID
	for _, grant := range combination {
		if grant.Before != nil {
			suggestion.grants = append(suggestion.grants, *grant.Before)
			suggestion.approvers, actors = append(suggestion.approvers, nil), append(actors, "")
		}
		for _, update := range grant.Effect {
			if update.Action == authz.Delete {
				suggestion.deleted = append(suggestion.deleted, update.Relationship)
			} else {
				suggestion.added = append(suggestion.added, update.Relationship)
			}
		}
		var approvers []Approvers
		var actor authz.ID
		if !grant.Backend && !isRelationshipChange(grant) {
			var err error
			if approvers, err = i.approvers(ctx, grant); err != nil || len(approvers) == 0 {
				return nil, nil, err
			}
			actor = approvers[0].People[0]
		}
		suggestion.grants = append(suggestion.grants, grant)
		suggestion.approvers, actors = append(suggestion.approvers, approvers), append(actors, actor)
	}
	return suggestion, actors, nil
}

// approvers returns the people who may perform an operation, grouped by the relation that allows it.
func (i *inquiry) approvers(ctx context.Context, grant operation.Grant) ([]Approvers, error) {
	var groups []Approvers
	var checks []authz.Check
	for _, holder := range grant.Holders {
		if !i.isSufficient(holder, grant) {
			continue
		}
		people, err := i.readHolders(ctx, holder)
		if err != nil {
			return nil, err
		}
		group := Approvers{Resource: holder.Object, Relation: holder.Relation, More: len(people) > maxPeople}
		for _, who := range people[:min(len(people), maxPeople)] {
			group.People = append(group.People, who.ID)
			for _, need := range grant.Needs {
				checks = append(checks, authz.Check{Subject: who, Permission: need, Resource: grant.NeedsOn})
			}
		}
		groups = append(groups, group)
	}
	if len(checks) == 0 {
		return nil, nil
	}
	results, _, err := i.engine.CheckBulk(ctx, checks, i.at())
	if err != nil {
		return nil, err
	}
	lacks := func(who authz.ID) bool {
		for n, result := range results {
			if checks[n].Subject.ID == who && (result.Err != nil || !result.Decision.Allowed()) {
				return true
			}
		}
		return false
	}
	for n := range groups {
		groups[n].People = slices.DeleteFunc(groups[n].People, lacks)
	}
	return slices.DeleteFunc(groups, func(g Approvers) bool { return len(g.People) == 0 }), nil
}

// relationPermission is a pair of a relation of an object, and a permission that this relation alone may grant.
type relationPermission struct {
	holder     operation.Holder
	permission authz.Permission
	on         authz.Object
}

// findSufficientRelations finds out which relations alone grant the permissions that the operations need, and sets
// i.sufficient. For each relation, it adds a new user with only this relation to the simulation, and checks the
// permissions of this user.
func (i *inquiry) findSufficientRelations(
	ctx context.Context, scratch *simulation, combinations [][]operation.Grant,
) error {
	i.sufficient = make(map[relationPermission]bool)
	rows := make(map[operation.Holder]authz.Relationship)
	var asked []relationPermission
	var checks []authz.Check
	for _, grant := range slices.Concat(combinations...) {
		for _, holder := range grant.Holders {
			if _, known := rows[holder]; !known {
				somebody := authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(rand.Text())}}
				rows[holder] = authz.Relationship{Resource: holder.Object, Relation: holder.Relation, Subject: somebody}
			}
			for _, need := range grant.Needs {
				if p := (relationPermission{holder, need, grant.NeedsOn}); !slices.Contains(asked, p) {
					asked = append(asked, p)
					checks = append(
						checks, authz.Check{Subject: rows[holder].Subject, Permission: need, Resource: grant.NeedsOn},
					)
				}
			}
		}
	}
	if len(checks) == 0 {
		return nil
	}
	if err := scratch.add(ctx, slices.Collect(maps.Values(rows))); err != nil {
		return err
	}
	results, _, err := scratch.CheckBulk(ctx, checks, authz.Fully())
	for n, result := range results {
		i.sufficient[asked[n]] = result.Err == nil && result.Decision.Allowed()
	}
	return errors.Join(err, scratch.rollBack(ctx))
}

// isSufficient reports whether a relation alone allows the operation. For relations of objects without roles, such as
// the creator of an importer, it always returns true. A creator's permissions also depend on a role, so the function
// approvers checks each person.
func (i *inquiry) isSufficient(holder operation.Holder, grant operation.Grant) bool {
	if !operation.VisibilityRules.HasRoles(holder.Object.Type) {
		return true
	}
	return !slices.ContainsFunc(grant.Needs, func(need authz.Permission) bool {
		return !i.sufficient[relationPermission{holder, need, grant.NeedsOn}]
	})
}

// readHolders returns the users who have a relation to an object, at most maxPeople + 1 of them.
func (i *inquiry) readHolders(ctx context.Context, holder operation.Holder) ([]authz.Subject, error) {
	if known, ok := i.holders[holder]; ok {
		return known, nil
	}
	people := []authz.Subject{}
	filter := authz.Filter{
		Type: holder.Object.Type, ID: holder.Object.ID, Relation: holder.Relation, SubjectType: "user",
		SubjectPlain: true,
	}
	for item, err := range i.engine.Read(ctx, filter, i.at(), authz.Page{Limit: maxPeople + 1}) {
		if err != nil {
			return nil, err
		}
		people = append(people, item.Relationship.Subject)
	}
	if i.holders == nil {
		i.holders = make(map[operation.Holder][]authz.Subject)
	}
	i.holders[holder] = people
	return people, nil
}
