// Package visibility decides what a reader may see: an object, a relationship, a person's role on an object, or an
// object in a field of an answer. Rules say which permission shows which fact, and a View checks these permissions for
// one reader. A fact that no rule shows is hidden.
package visibility

import (
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Rules say which permission shows which fact about an object, by the type of the object.
type Rules struct {
	// Objects returns the permissions of a type that show that an object exists: each of them suffices. Objects of a
	// type without such permissions are never shown.
	Objects func(authz.Type) []authz.Permission

	// Roles returns the permission on an object that shows who holds which role on it. It is empty for a type without
	// roles. A nil Roles means that no type has roles.
	Roles func(authz.Type) authz.Permission

	// Invitations returns the permission on an object that shows the open invitations to it. It is empty for a type
	// without invitations. A nil Invitations means that no type has invitations.
	Invitations func(authz.Type) authz.Permission

	// Place returns the relation from an object of the type to the object that contains it, or an empty relation. It is
	// empty for own types.
	Place func(authz.Type) authz.Relation

	// IsOwn reports whether a type is an own type: one that the schema defines in addition to the product's types.
	// Place is empty for it, but the relationships of its objects lead to containing objects, see LeadsToPlace. If
	// IsOwn is nil, no type is an own type.
	IsOwn func(authz.Type) bool

	// People is the type of people. A person who is the subject of a relationship is not hidden, but their role may be.
	// If People is empty, the subjects of every type can be hidden.
	People authz.Type
}

// Fact is a piece of information about an object. It can be hidden from a reader.
type Fact struct {
	Object authz.Object
	aspect aspect
}

type aspect uint8

const (
	existence aspect = iota
	roles
	invitations
	unknowable // shown to nobody
)

// Existence is the fact that an object exists.
func Existence(object authz.Object) Fact { return Fact{object, existence} }

// Roles are the people who hold roles on an object, with their roles.
func Roles(object authz.Object) Fact { return Fact{object, roles} }

// Invitations are the open invitations to an object.
func Invitations(object authz.Object) Fact { return Fact{object, invitations} }

// permissions returns the permissions on the object of the fact. Each of them shows the fact.
func (r Rules) permissions(fact Fact) []authz.Permission {
	var of func(authz.Type) authz.Permission
	switch fact.aspect {
	case existence:
		return r.Objects(fact.Object.Type)
	case roles:
		of = r.Roles
	case invitations:
		of = r.Invitations
	case unknowable:
	}
	if of == nil || of(fact.Object.Type) == "" {
		return nil
	}
	return []authz.Permission{of(fact.Object.Type)}
}

// HasRoles reports whether people hold roles on objects of the type.
func (r Rules) HasRoles(t authz.Type) bool { return r.Roles != nil && r.Roles(t) != "" }

// Naming returns the facts that an answer reveals if it names the object: the object's existence, or no fact if it is a
// person.
func (r Rules) Naming(object authz.Object) []Fact {
	if object.Type == r.People {
		return nil
	}
	return []Fact{Existence(object)}
}

// Relationship returns the facts that a relationship reveals to a reader: the existence of both objects and, if the
// subject is another person or another holder of roles, who is in the relations of the resource, see PeopleOf. A
// wildcard reveals no subject. known are subjects that the reader knows already, because the request names them.
func (r Rules) Relationship(
	reader authz.Subject, relationship authz.Relationship, places Places, known ...authz.Subject,
) []Fact {
	facts := []Fact{Existence(relationship.Resource)}
	subject := relationship.Subject
	if subject.Wildcard || subject.Object == reader.Object {
		return facts
	}
	_, isHolder := authz.HolderOf(subject)
	if subject.Type == r.People || isHolder && r.HasRoles(relationship.Resource.Type) {
		for _, fact := range r.PeopleOf(relationship.Resource, places) {
			if fact != facts[0] {
				facts = append(facts, fact)
			}
		}
	}
	if slices.Contains(known, subject) {
		return facts
	}
	return append(facts, r.Naming(subject.Object)...)
}

// ForSchema returns the rules for a schema, which may define types besides the product's. If a type has none of the
// permissions that r names for it, any public permission on an object of the type shows the object. An exception are
// types that only the product writes, see isProduct: nothing shows their objects.
func (r Rules) ForSchema(definitions []authz.Definition, isProduct func(authz.Type) bool) Rules {
	shown := r.Objects
	byType := make(map[authz.Type]authz.Definition, len(definitions))
	for _, definition := range definitions {
		byType[definition.Type] = definition
	}
	r.Objects = func(t authz.Type) []authz.Permission {
		definition := byType[t]
		var defined []authz.Permission
		for _, permission := range shown(t) {
			if slices.ContainsFunc(definition.Permissions, func(p authz.PermissionInfo) bool { return p.Name == permission }) {
				defined = append(defined, permission)
			}
		}
		if len(defined) > 0 || isProduct(t) {
			return defined
		}
		return definition.Public()
	}
	return r
}
