package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// How much is combined: the relationships of a way that no operation writes, and the objects of the product, next to those
// of other types, whose operations are looked at.
const (
	maxBare    = 2
	maxEntries = 20
)

// changes are what could help the subject, in the order of rank: operations of the product, and bare changes to what is not
// the product's.
func (i *inquiry) changes(ctx context.Context, world []authz.Relationship) ([]operation.Grant, error) {
	changes, err := i.grants(ctx, world)
	if err != nil {
		return nil, err
	}
	for _, object := range i.objects(world) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i.isProduct(object.Type) {
			continue
		}
		for _, relation := range i.schema[object.Type].Relations {
			if r := (authz.Relationship{Resource: object, Relation: relation, Subject: i.check.Subject}); i.accepts(r) && !slices.Contains(world, r) {
				changes = append(changes, bare(authz.Touch, r))
			}
		}
	}
	for _, r := range world {
		if r.Subject == i.check.Subject && !i.isProduct(r.Resource.Type) {
			changes = append(changes, bare(authz.Delete, r))
		}
	}
	slices.SortStableFunc(changes, func(a, b operation.Grant) int { return rank(a) - rank(b) })
	return changes, nil
}

// rank puts what gives a role before what then names the person, the application's own relationships behind, and last the
// claim to have created something.
func rank(change operation.Grant) int {
	switch {
	case givesRole(change):
		return 0
	case !isBare(change):
		return 1
	case change.Effect[0].Relationship.Relation != "creator":
		return 2
	}
	return 3
}

// grants are the operations on the resource and on what it is in. An object that is not the product's has those on the
// product's objects that it and its like refer to. What would give a role that the reader may not know of is withheld.
func (i *inquiry) grants(ctx context.Context, world []authz.Relationship) ([]operation.Grant, error) {
	if i.operations == nil || !isPerson(i.check.Subject) {
		return nil, nil
	}
	var entries []authz.Object
	add := func(object authz.Object) {
		if i.isProduct(object.Type) && !slices.Contains(entries, object) {
			entries = append(entries, object)
		}
	}
	add(i.check.Resource)
	for _, r := range world {
		if !i.isProduct(r.Resource.Type) {
			add(r.Subject.Object)
		}
	}
	i.incomplete = i.incomplete || len(entries) > maxEntries
	var all []operation.Grant
	for _, entry := range entries[:min(len(entries), maxEntries)] {
		grants, err := i.operations.Grants(ctx, i.check.Subject.ID, entry, i.token)
		if err != nil {
			return nil, err
		}
		for _, grant := range grants {
			hidden, err := i.view.hidesRoles(ctx, grant.On)
			if err != nil {
				return nil, err
			}
			if hidden {
				i.withheld = true
			} else if !slices.ContainsFunc(all, grant.Equals) {
				all = append(all, grant)
			}
		}
	}
	return all, nil
}

func isPerson(s authz.Subject) bool { return s.Type == "user" && s.Relation == "" && !s.Wildcard }

// isProduct reports whether the relationships of objects of the type are written by operations alone.
func (i *inquiry) isProduct(t authz.Type) bool { return i.operations != nil && operation.Writes(t) }

// objects are the resource and everything around it that has relations.
func (i *inquiry) objects(world []authz.Relationship) []authz.Object {
	objects := []authz.Object{i.check.Resource}
	for _, r := range world {
		if next := r.Subject.Object; !r.Subject.Wildcard && i.hasRelations(next.Type) && !slices.Contains(objects, next) {
			objects = append(objects, next)
		}
	}
	return objects
}

// bare is a change to one relationship that no operation makes. Beside operations, it is one without a method.
func bare(action authz.Action, r authz.Relationship) operation.Grant {
	return operation.Grant{On: r.Resource, Effect: []authz.Update{{Action: action, Relationship: r}}}
}

func isBare(g operation.Grant) bool { return g.Method == "" }

func givesRole(g operation.Grant) bool { return !isBare(g) && operation.Listing(g.On.Type) != "" }

// fits reports whether a change can be made beside others: one role is given at most, an object is opened in one way, and
// maxBare changes are bare.
func fits(others []operation.Grant, change operation.Grant) bool {
	bares := 0
	for _, other := range others {
		switch {
		case isBare(other) != isBare(change):
		case isBare(other):
			bares++
		case other.On == change.On || givesRole(other) && givesRole(change):
			return false
		}
	}
	return bares < maxBare
}

func effectOf(changes []operation.Grant) []authz.Update {
	var updates []authz.Update
	for _, change := range changes {
		updates = append(updates, change.Effect...)
	}
	return updates
}
