package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// maxRelationshipChanges limits the changes in a suggestion that no operation makes. maxOperationObjects limits the
// product objects whose operations are tried.
const (
	maxRelationshipChanges = 2
	maxOperationObjects    = 20
)

// candidateChanges returns the changes that may help the subject, sorted by rank: operations on the product's objects,
// and changes to single relationships of other types.
func (i *inquiry) candidateChanges(ctx context.Context, neighborhood []authz.Relationship) ([]operation.Grant, error) {
	changes, err := i.operationGrants(ctx, neighborhood)
	if err != nil {
		return nil, err
	}
	for _, object := range i.nearbyObjects(neighborhood) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i.isProduct(object.Type) {
			continue
		}
		for _, relation := range i.schema[object.Type].Relations {
			r := authz.Relationship{Resource: object, Relation: relation, Subject: i.check.Subject}
			if i.accepts(r) && !slices.Contains(neighborhood, r) {
				changes = append(changes, relationshipChange(authz.Touch, r))
			}
		}
	}
	for _, r := range neighborhood {
		if r.Subject == i.check.Subject && !i.isProduct(r.Resource.Type) {
			changes = append(changes, relationshipChange(authz.Delete, r))
		}
	}
	slices.SortStableFunc(changes, func(a, b operation.Grant) int { return rank(a) - rank(b) })
	return changes, nil
}

// rank orders changes: grants of a role first, then other operations, then single relationships, and last a change of
// the creator.
func rank(change operation.Grant) int {
	switch {
	case givesRole(change):
		return 0
	case !isRelationshipChange(change):
		return 1
	case change.Effect[0].Relationship.Relation != "creator":
		return 2
	}
	return 3
}

// operationGrants returns the operations on the resource and on the objects that contain it. If the resource does not
// belong to the product, it returns the operations on the product's objects that the resource, or an object related to
// it, refers to. It omits grants of roles that are hidden from the reader.
func (i *inquiry) operationGrants(ctx context.Context, neighborhood []authz.Relationship) ([]operation.Grant, error) {
	if i.operations == nil || !isPerson(i.check.Subject) {
		return nil, nil
	}
	var targets []authz.Object
	add := func(object authz.Object) {
		if i.isProduct(object.Type) && !slices.Contains(targets, object) {
			targets = append(targets, object)
		}
	}
	add(i.check.Resource)
	for _, r := range neighborhood {
		if !i.isProduct(r.Resource.Type) {
			add(r.Subject.Object)
		}
	}
	i.incomplete = i.incomplete || len(targets) > maxOperationObjects
	var all []operation.Grant
	for _, target := range targets[:min(len(targets), maxOperationObjects)] {
		grants, err := i.operations.Grants(ctx, i.check.Subject.ID, target, i.token)
		if err != nil {
			return nil, err
		}
		for _, grant := range grants {
			known, err := i.view.MayKnowRole(ctx, i.check.Subject, grant.On)
			if err != nil {
				return nil, err
			}
			if !known {
				i.omitted = true
			} else if !slices.ContainsFunc(all, grant.Equals) {
				all = append(all, grant)
			}
		}
	}
	return all, nil
}

func isPerson(s authz.Subject) bool { return s.Type == "user" && s.Relation == "" && !s.Wildcard }

// nearbyObjects returns the resource and the objects related to it. It omits objects of types without relations.
func (i *inquiry) nearbyObjects(neighborhood []authz.Relationship) []authz.Object {
	objects := []authz.Object{i.check.Resource}
	for _, r := range neighborhood {
		if next := r.Subject.Object; !r.Subject.Wildcard && i.hasRelations(next.Type) &&
			!slices.Contains(objects, next) {
			objects = append(objects, next)
		}
	}
	return objects
}

// relationshipChange returns a change to one relationship that no operation makes.
func relationshipChange(action authz.Action, r authz.Relationship) operation.Grant {
	return operation.Grant{On: r.Resource, Effect: []authz.Update{{Action: action, Relationship: r}}}
}

func isRelationshipChange(g operation.Grant) bool { return g.Action == nil }

func givesRole(g operation.Grant) bool {
	return !isRelationshipChange(g) && operation.VisibilityRules.HasRoles(g.On.Type)
}

// canCombine reports whether a suggestion may add the change to the others. It may have one grant of a role, one
// operation on each object, and maxRelationshipChanges changes of relationships.
func canCombine(others []operation.Grant, change operation.Grant) bool {
	relationshipChanges := 0
	for _, other := range others {
		switch {
		case isRelationshipChange(other) != isRelationshipChange(change):
		case isRelationshipChange(other):
			relationshipChanges++
		case other.On == change.On || givesRole(other) && givesRole(change):
			return false
		}
	}
	return relationshipChanges < maxRelationshipChanges
}

func updatesOf(changes []operation.Grant) []authz.Update {
	var updates []authz.Update
	for _, change := range changes {
		updates = append(updates, change.Effect...)
	}
	return updates
}
