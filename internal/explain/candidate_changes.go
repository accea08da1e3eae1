package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// maxRelationshipChanges limits the changes of single relationships in one suggestion: changes that no operation
// makes. maxOperationObjects limits the objects of the product whose operations are tried.
const (
	maxRelationshipChanges = 2
	maxOperationObjects    = 20
)

// candidateChanges returns the changes that may make the check allowed, sorted by rank. They are operations on
// objects of the product, and changes to single relationships of other objects.
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

// rank returns the position of a kind of change in the order in which changes are tried: first grants of a role, then
// other operations, then changes to single relationships, and last a change of the creator.
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

// operationGrants returns operations that may give permissions to the subject. If the resource is an object of the
// product, they are the operations on it and on the objects that contain it. Otherwise they are the operations on the
// objects of the product to which relationships lead from the resource or from objects near it. It omits grants of
// roles on objects where the subject's role is hidden from the reader.
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

// nearbyObjects returns the resource of the check, and the objects to which relationships of the neighborhood lead.
// It leaves out objects whose types have no relations.
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

// relationshipChange returns a change of a single relationship, which no operation makes.
func relationshipChange(action authz.Action, r authz.Relationship) operation.Grant {
	return operation.Grant{On: r.Resource, Effect: []authz.Update{{Action: action, Relationship: r}}}
}

func isRelationshipChange(g operation.Grant) bool { return g.Action == nil }

func givesRole(g operation.Grant) bool {
	return !isRelationshipChange(g) && operation.VisibilityRules.HasRoles(g.On.Type)
}

// canCombine reports whether a suggestion with the other changes may also have this change. A suggestion may have at
// most one grant of a role, one operation on each object, and maxRelationshipChanges changes of single relationships.
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
