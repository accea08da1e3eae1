package visibility

import (
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Places maps each object to the objects that contain it, which are its places. An object of the product is contained
// in at most one object. An object of an own type (see Rules.IsOwn) is contained in every object to which its
// relationships lead.
type Places map[authz.Object][]authz.Object

// unreadable is a value in Places. It stands for containing objects that were not read, for example because there are
// too many. If an object has it, the people in the relations of the object are hidden from every reader without
// Reader.All.
var unreadable authz.Object

// Limits of ReadPlaces. maxPlaceLevels limits the levels of containing objects, and maxPlaces limits the objects
// whose places are read. MaxPlacesOfObject limits the relationships that a PlaceReader reads for one object.
const (
	maxPlaceLevels    = 8
	maxPlaces         = 200
	MaxPlacesOfObject = 100
)

func (r Rules) isOwn(t authz.Type) bool { return r.IsOwn != nil && r.IsOwn(t) }

// isPlace reports whether objects of the type can contain other objects.
func (r Rules) isPlace(t authz.Type) bool { return r.isOwn(t) || r.HasRoles(t) || r.Place(t) != "" }

// LeadsToPlace reports whether the subject of a relationship is an object that contains its resource.
func (r Rules) LeadsToPlace(relationship authz.Relationship) bool {
	if r.isOwn(relationship.Resource.Type) {
		return !relationship.Subject.Wildcard && r.isPlace(relationship.Subject.Type)
	}
	return relationship.Relation == r.Place(relationship.Resource.Type)
}

// Places returns the places that follow from the relationships.
func (r Rules) Places(relationships []authz.Relationship) Places {
	places := make(Places)
	places.add(r, relationships)
	return places
}

func (p Places) add(r Rules, relationships []authz.Relationship) {
	for _, relationship := range relationships {
		object, place := relationship.Resource, relationship.Subject.Object
		if r.LeadsToPlace(relationship) && !slices.Contains(p[object], place) {
			p[object] = append(p[object], place)
		}
	}
}

// PlaceReader reads the relationships that lead from an object to the objects that contain it: see
// Rules.LeadsToPlace. If there are more than MaxPlacesOfObject, complete is false.
type PlaceReader func(ctx context.Context, object authz.Object) (_ []authz.Relationship, complete bool, err error)

// PlaceReader returns a PlaceReader that reads from a store, for objects of own types. It reads only relationships
// whose subject has a type that can contain other objects.
func (r Rules) PlaceReader(store authz.Reader, definitions []authz.Definition, at authz.Consistency) PlaceReader {
	return func(ctx context.Context, object authz.Object) (found []authz.Relationship, complete bool, err error) {
		for _, t := range r.placeTypes(object, definitions) {
			filter := authz.Filter{Type: object.Type, ID: object.ID, SubjectType: t}
			for item, err := range store.Read(ctx, filter, at, authz.Page{Limit: MaxPlacesOfObject + 1}) {
				if err != nil {
					return nil, false, err
				}
				if len(found) == MaxPlacesOfObject {
					return found, false, nil
				}
				found = append(found, item.Relationship)
			}
		}
		return found, true, nil
	}
}

// placeTypes returns the types of the objects that can contain an object of an own type.
func (r Rules) placeTypes(object authz.Object, definitions []authz.Definition) []authz.Type {
	leads := make(map[authz.Type]bool)
	for _, definition := range definitions {
		if definition.Type != object.Type {
			continue
		}
		for relation, types := range definition.Accepts {
			for _, t := range types {
				if r.LeadsToPlace(authz.Relationship{
					Resource: object, Relation: relation, Subject: authz.Subject{Object: authz.Object{Type: t.Type}},
				}) {
					leads[t.Type] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(leads))
}

// readPlaces adds the places of an object, then those of the objects that contain it, and so on. It does not read the
// places of objects whose type has roles.
func (p Places) readPlaces(ctx context.Context, r Rules, object authz.Object, read PlaceReader) error {
	next := []authz.Object{object}
	for level, count := 0, 0; len(next) > 0; level++ {
		var above []authz.Object
		for _, at := range next {
			if _, known := p[at]; known || r.HasRoles(at.Type) {
				continue
			}
			p[at] = []authz.Object{}
			if count++; level == maxPlaceLevels || count > maxPlaces {
				p[at] = append(p[at], unreadable)
				continue
			}
			found, complete, err := read(ctx, at)
			if err != nil {
				return err
			}
			p.add(r, found)
			if !complete {
				p[at] = append(p[at], unreadable)
			}
			above = append(above, p[at]...)
		}
		next = slices.DeleteFunc(above, func(at authz.Object) bool { return at == unreadable })
	}
	return nil
}

// Access returns the facts that a reader must know to see who has permissions on an object.
//
// For an object of the product, this is one fact: the roles on the object. If its type has no roles, it is the roles on
// the nearest containing object whose type has roles. If there is no such object, it is the object's existence.
//
// For an object of an own type, one fact is its existence. The others are the facts of Access for each object of the
// product that contains it, directly or through other objects of own types. The existence of these other objects is
// not among the facts.
func (r Rules) Access(object authz.Object, places Places) []Fact {
	var facts []Fact
	seen := make(map[authz.Object]bool)
	var walk func(authz.Object)
	walk = func(at authz.Object) {
		switch {
		case seen[at]:
		case at == unreadable:
			facts = append(facts, Fact{aspect: unknowable})
		case r.isOwn(at.Type):
			seen[at] = true
			if at == object {
				facts = append(facts, Existence(at))
			}
			for _, place := range places[at] {
				walk(place)
			}
		default:
			seen[at] = true
			facts = append(facts, r.productAccess(at, places))
		}
	}
	walk(object)
	return facts
}

// productAccess returns the fact of Access for an object of the product.
func (r Rules) productAccess(object authz.Object, places Places) Fact {
	at := object
	for range maxPlaceLevels {
		if r.HasRoles(at.Type) {
			return Roles(at)
		}
		if len(places[at]) == 0 {
			break
		}
		at = places[at][0]
	}
	return Existence(object)
}

// PeopleOf returns the facts that a reader must know to see the people in the relations of an object. For an object
// of the product, this is its roles or, if its type has no roles, its existence. For an object of an own type, it is
// the facts of Access.
func (r Rules) PeopleOf(object authz.Object, places Places) []Fact {
	switch {
	case r.isOwn(object.Type):
		return r.Access(object, places)
	case r.HasRoles(object.Type):
		return []Fact{Roles(object)}
	default:
		return []Fact{Existence(object)}
	}
}
