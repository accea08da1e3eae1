package explain

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
)

// How much is read around a resource: objects, and relationships of one object with others of one type.
const (
	maxObjects = 200
	maxLinks   = 100

	// maxAround is how many relationships are looked at, of all objects together.
	maxAround = 5_000
)

// neighbourhood is a subject and a resource.
type neighbourhood struct {
	subject  authz.Subject
	resource authz.Object
}

// around reads what a decision about the subject and the resource can rest on: of the resource and everything that it
// is related to, the relationships with the subject, with everybody of its type, and with other objects.
func (i *inquiry) around(ctx context.Context, subject authz.Subject, resource authz.Object) ([]authz.Relationship, error) {
	place := neighbourhood{subject, resource}
	if known, ok := i.neighbours[place]; ok {
		return known, nil
	}
	var all []authz.Relationship
	known := make(map[authz.Relationship]bool)
	reached := map[authz.Object]bool{resource: true}
	for frontier := []authz.Object{resource}; len(frontier) > 0; {
		var filters []authz.Filter
		for _, object := range frontier {
			filters = append(filters, i.filters(subject, object)...)
		}
		found, err := i.readAll(ctx, filters)
		if err != nil {
			return nil, err
		}
		if found, err = i.forget(ctx, found); err != nil {
			return nil, err
		}
		frontier = nil
		for _, r := range found {
			next := r.Subject.Object
			if len(all) == maxAround {
				i.incomplete = true
				break
			}
			if !known[r] {
				known[r] = true
				all = append(all, r)
			}
			if r.Subject.Wildcard || reached[next] || !i.hasRelations(next.Type) {
				continue
			}
			if len(reached) == maxObjects {
				i.incomplete = true
				continue
			}
			reached[next] = true
			frontier = append(frontier, next)
		}
	}
	if i.neighbours == nil {
		i.neighbours = make(map[neighbourhood][]authz.Relationship)
	}
	i.neighbours[place] = all
	return all, nil
}

// forget leaves out the roles of the subject that the reader may not see, from the relationships that a denial depends
// on. Suggestions are then those for a person without these roles, so that they do not show whether the roles exist.
func (i *inquiry) forget(ctx context.Context, found []authz.Relationship) ([]authz.Relationship, error) {
	if i.decision.State != authz.Denied {
		return found, nil
	}
	var known []authz.Relationship
	for _, r := range found {
		hidden, err := i.view.hidesRoles(ctx, r.Resource)
		if err != nil {
			return nil, err
		}
		if !hidden || r.Subject != i.check.Subject {
			known = append(known, r)
		}
	}
	return known, nil
}

// isStored reports whether there is a relationship of which the resource of the check is the resource.
func (i *inquiry) isStored(ctx context.Context) (bool, error) {
	filter := authz.Filter{Type: i.check.Resource.Type, ID: i.check.Resource.ID}
	for _, err := range i.engine.Read(ctx, filter, i.at(), authz.Page{Limit: 1}) {
		return err == nil, err
	}
	return false, nil
}

// filters select the relationships of one object that matter to the subject.
func (i *inquiry) filters(subject authz.Subject, object authz.Object) []authz.Filter {
	var filters []authz.Filter
	add := func(f authz.Filter) {
		f.Type, f.ID = object.Type, object.ID
		if !slices.Contains(filters, f) {
			filters = append(filters, f)
		}
	}
	for _, accepted := range i.schema[object.Type].Accepts {
		for _, t := range accepted {
			switch {
			case t.Wildcard && t.Type == subject.Type:
				add(authz.Filter{SubjectType: t.Type, SubjectWildcard: true})
			case i.hasRelations(t.Type):
				add(authz.Filter{SubjectType: t.Type})
			}
			if t.Type == subject.Type && t.Relation == subject.Relation {
				add(exactly(subject))
			}
		}
	}
	return filters
}

// exactly selects the relationships of a subject.
func exactly(subject authz.Subject) authz.Filter {
	return authz.Filter{
		SubjectType: subject.Type, SubjectID: subject.ID, SubjectWildcard: subject.Wildcard,
		SubjectRelation: subject.Relation, SubjectPlain: subject.Relation == "",
	}
}

func (i *inquiry) hasRelations(t authz.Type) bool { return len(i.schema[t].Relations) > 0 }

// readAll reads what the filters select, of each at most maxLinks.
func (i *inquiry) readAll(ctx context.Context, filters []authz.Filter) ([]authz.Relationship, error) {
	found := make([][]authz.Relationship, len(filters))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for n, filter := range filters {
		group.Go(func() error {
			for item, err := range i.engine.Read(ctx, filter, i.at(), authz.Page{Limit: maxLinks + 1}) {
				if err != nil {
					return err
				}
				found[n] = append(found[n], item.Relationship)
			}
			return nil
		})
	}
	err := group.Wait()
	for n, all := range found {
		if len(all) > maxLinks {
			i.incomplete = true
			found[n] = all[:maxLinks]
		}
	}
	return slices.Concat(found...), err
}
