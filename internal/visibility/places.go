package visibility

import (
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Places maps each object to the objects that contain it. An object of the product is contained in at most one
// object. An object of an own type is contained in every object to which its relationships lead, see Rules.IsOwn.
type Places map[authz.Object][]authz.Object

// unreadable stands for containing objects that were not read, because there are too many. If an object has it as a
// place, the people of the object are hidden from everybody.
var unreadable authz.Object

// Limits of ReadPlaces: levels of containing objects, and objects. MaxPlacesOfObject is how many relationships of one
// object a PlaceReader reads.
const (
	maxPlaceLevels    = 8
	maxPlaces         = 200
	MaxPlacesOfObject = 100
)

func (r Rules) isOwn(t authz.Type) bool { return r.IsOwn != nil && r.IsOwn(t) }

// isPlace reports whether objects of the type can contain others.
func (r Rules) isPlace(t authz.Type) bool { return r.isOwn(t) || r.HasRoles(t) || r.Place(t) != "" }

// LeadsToPlace reports whether the subject of a relationship is an object that contains its resource.
func (r Rules) LeadsToPlace(relationship authz.Relationship) bool {
	if r.isOwn(relationship.Resource.Type) {
		return !relationship.Subject.Wildcard && r.isPlace(relationship.Subject.Type)
	}
	return relationship.Relation == r.Place(relationship.Resource.Type)
}

// Places returns the places according to the relationships.
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

// PlaceReader reads the relationships of an object that lead to the objects that contain it, see Rules.LeadsToPlace. If
// there are more than it can read, complete is false.
type PlaceReader func(ctx context.Context, object authz.Object) (_ []authz.Relationship, complete bool, err error)

// PlaceReader returns a PlaceReader for the objects of own types in a store. It reads only relationships whose subject
// has a type that can contain other objects.
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

// placeTypes returns the types of the objects that may contain an object.
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

// readPlaces adds the places of an object, and of the objects that contain it, up to objects with roles.
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

// Access returns the facts that together show who has permissions on an object:
//   - the roles on the object or, if its type has no roles, on the nearest containing object that has roles. Without
//     such an object, it is the object's existence;
//   - for an object of an own type, its existence and, for each object of the product to which its relationships lead,
//     Access of that object. The relationships can lead there through other objects of own types, whose existence is
//     not among the facts.
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

// productAccess is Access for an object of the product.
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

// PeopleOf returns the facts that together show the people in the relations of an object: its roles or, if its type has
// no roles, its existence. For an object of an own type, they are those of Access.
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
