// Package visibility decides which facts a reader may see, for example that an object exists, or which roles people
// hold on it. The type Rules says which permission a reader needs to see which fact. A View checks these permissions
// for one reader. If no permission shows a fact, the fact is hidden from every reader.
package visibility

import (
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Rules says, for each type of objects, which permission on an object a reader needs to see which fact about it. The
// permission is said to show the fact.
type Rules struct {
	// Objects returns the permissions of a type that show that an object exists. One of them is enough. Objects of a
	// type without such permissions are never shown.
	Objects func(authz.Type) []authz.Permission

	// Roles returns the permission on an object that shows who holds which role on it. It returns "" for a type
	// without roles. A nil Roles means that no type has roles.
	Roles func(authz.Type) authz.Permission

	// Invitations returns the permission on an object that shows the open invitations to it. It returns "" for a type
	// without invitations. A nil Invitations means that no type has invitations.
	Invitations func(authz.Type) authz.Permission

	// Place returns the relation that leads from an object of the type to the object that contains it. It returns ""
	// if there is no such relation, and for own types.
	Place func(authz.Type) authz.Relation

	// IsOwn reports whether a type is an own type: one that a user's schema defines in addition to the product's
	// types. Place returns "" for it, but the relationships of its objects lead to containing objects: see
	// LeadsToPlace. If IsOwn is nil, no type is an own type.
	IsOwn func(authz.Type) bool

	// People is the type of people. The existence of a person is never hidden, but their role on an object may be. If
	// People is empty, people are hidden like objects of any other type.
	People authz.Type
}

// Fact is a piece of information about an object that can be hidden from a reader.
type Fact struct {
	Object authz.Object
	aspect aspect
}

type aspect uint8

const (
	existence aspect = iota
	roles
	invitations
	unknowable // shown only to a reader with Reader.All
)

// Existence is the fact that an object exists.
func Existence(object authz.Object) Fact { return Fact{object, existence} }

// Roles is the fact that says who holds which role on an object.
func Roles(object authz.Object) Fact { return Fact{object, roles} }

// Invitations is the fact that says which open invitations to an object exist.
func Invitations(object authz.Object) Fact { return Fact{object, invitations} }

// permissions returns the permissions that show a fact. The reader needs one of them, on the object of the fact.
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

// Naming returns the facts that an answer reveals if it names an object. This is the object's existence. If the
// object is a person, there is no such fact.
func (r Rules) Naming(object authz.Object) []Fact {
	if object.Type == r.People {
		return nil
	}
	return []Fact{Existence(object)}
}

// Relationship returns the facts that a relationship reveals to a reader. If the subject is the reader or a wildcard,
// this is only the existence of the resource. Otherwise it is the existence of the resource and of the subject. If
// the subject is a person or another holder of roles, it also includes the facts of PeopleOf for the resource. The
// existence of a person is no fact: see Naming. The existence of a subject in "known" is left out: the request names
// these subjects, so the reader knows them already.
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

// ForSchema returns the rules for a schema, which may define own types in addition to the product's types. If a type
// of the schema has none of the permissions that r.Objects returns, the rules depend on isProduct. For an own type,
// every public permission on an object shows the object. For a type of the product, no permission shows its objects.
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
