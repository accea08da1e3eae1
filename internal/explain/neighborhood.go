package explain

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Limits of readNeighborhood. maxObjects limits the number of objects. maxRelationshipsPerFilter limits the
// relationships that lead from one object to objects of one type.
const (
	maxObjects                = 200
	maxRelationshipsPerFilter = 100

	// maxRelationships limits the relationships of all objects together.
	maxRelationships = 5_000
)

// neighborhoodKey has the parameters of readNeighborhood, for the cache of its results.
type neighborhoodKey struct {
	subject  authz.Subject
	resource authz.Object
}

// readNeighborhood returns the neighborhood of a resource: the stored relationships that a decision about the subject
// and the resource may depend on. It starts at the resource, and follows relationships to other objects. For each
// object, it reads the relationships with the subject, with the wildcard of the subject's type, and with other
// objects.
func (i *inquiry) readNeighborhood(
	ctx context.Context, subject authz.Subject, resource authz.Object,
) ([]authz.Relationship, error) {
	place := neighborhoodKey{subject, resource}
	if known, ok := i.neighborhoods[place]; ok {
		return known, nil
	}
	var all []authz.Relationship
	known := make(map[authz.Relationship]bool)
	reached := map[authz.Object]bool{resource: true}
	for frontier := []authz.Object{resource}; len(frontier) > 0; {
		var filters []authz.Filter
		for _, object := range frontier {
			filters = append(filters, i.filtersFor(subject, object)...)
		}
		found, err := i.readAll(ctx, filters)
		if err != nil {
			return nil, err
		}
		if found, err = i.hideRoles(ctx, found); err != nil {
			return nil, err
		}
		frontier = nil
		for _, r := range found {
			next := r.Subject.Object
			if len(all) == maxRelationships {
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
	if i.neighborhoods == nil {
		i.neighborhoods = make(map[neighborhoodKey][]authz.Relationship)
	}
	i.neighborhoods[place] = all
	return all, nil
}

// hideRoles removes roles of the subject that are hidden from the reader, if the check is denied. The suggestions are
// then those for a person without these roles, so they do not reveal whether the person holds them.
func (i *inquiry) hideRoles(ctx context.Context, found []authz.Relationship) ([]authz.Relationship, error) {
	if i.decision.State != authz.Denied {
		return found, nil
	}
	var known []authz.Relationship
	for _, r := range found {
		shown, err := i.mayKnowRole(ctx, r)
		if err != nil {
			return nil, err
		}
		if shown {
			known = append(known, r)
		}
	}
	return known, nil
}

// isStored reports whether a stored relationship has the resource of the check as its resource.
func (i *inquiry) isStored(ctx context.Context) (bool, error) {
	filter := authz.Filter{Type: i.check.Resource.Type, ID: i.check.Resource.ID}
	for _, err := range i.engine.Read(ctx, filter, i.at(), authz.Page{Limit: 1}) {
		return err == nil, err
	}
	return false, nil
}

// filtersFor returns filters for those relationships of an object on which decisions about the subject can depend.
func (i *inquiry) filtersFor(subject authz.Subject, object authz.Object) []authz.Filter {
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
				add(filterOf(subject))
			}
		}
	}
	return filters
}

// filterOf returns a filter for the relationships that have this subject.
func filterOf(subject authz.Subject) authz.Filter {
	return authz.Filter{
		SubjectType: subject.Type, SubjectID: subject.ID, SubjectWildcard: subject.Wildcard,
		SubjectRelation: subject.Relation, SubjectPlain: subject.Relation == "",
	}
}

func (i *inquiry) hasRelations(t authz.Type) bool { return len(i.schema[t].Relations) > 0 }

// readAll reads the relationships that the filters select, at most maxRelationshipsPerFilter for each filter. If a
// filter selects more, readAll sets i.incomplete.
func (i *inquiry) readAll(ctx context.Context, filters []authz.Filter) ([]authz.Relationship, error) {
	found := make([][]authz.Relationship, len(filters))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for n, filter := range filters {
		group.Go(func() error {
			for item, err := range i.engine.Read(
				ctx, filter, i.at(), authz.Page{Limit: maxRelationshipsPerFilter + 1},
			) {
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
		if len(all) > maxRelationshipsPerFilter {
			i.incomplete = true
			found[n] = all[:maxRelationshipsPerFilter]
		}
	}
	return slices.Concat(found...), err
}
