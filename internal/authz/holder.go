package authz

import (
	"slices"
	"strings"
)

// The types of the objects that hold roles.
const (
	TypeUser           Type = "user"
	TypeGroup          Type = "group"
	TypeServiceAccount Type = "service_account"
)

// HolderTypes lists the types of the objects that hold roles.
var HolderTypes = []Type{TypeUser, TypeGroup, TypeServiceAccount}

// groupMember is the relation of a group that stores its members.
const groupMember Relation = "member"

// Holder is an object that can hold roles: a person, a group or a service account.
type Holder struct {
	Type Type
	ID   ID
}

// Person returns a person as a holder.
func Person(id ID) Holder { return Holder{TypeUser, id} }

// ParseHolder parses a reference to a holder: user:bob, group:data-team or service_account:nightly. An id without a
// type is that of a person. The error has code CodeInvalid.
func ParseHolder(s string) (Holder, error) {
	for _, typ := range HolderTypes {
		if text, found := strings.CutPrefix(s, string(typ)+":"); found {
			id, err := ParseID(text)
			return Holder{typ, id}, err
		}
	}
	if typ, _, found := strings.Cut(s, ":"); found && reservedTypes[typ] {
		return Holder{}, Errorf(CodeInvalid,
			"%q does not hold roles; write user:ID, group:ID or service_account:ID, or only the id of a person", s)
	}
	id, err := ParseID(s)
	return Person(id), err
}

// HolderOf is the inverse of Holder.Subject: it returns the holder whose role a relationship with this subject
// stores. It reports false if the subject is not that of a holder, for example if it is a wildcard.
func HolderOf(subject Subject) (Holder, bool) {
	holder := Holder{subject.Type, subject.ID}
	return holder, slices.Contains(HolderTypes, holder.Type) && subject.ID != "" && subject == holder.Subject()
}

// String returns a reference to the holder, for example group:data-team.
func (h Holder) String() string { return h.Object().String() }

// Object returns the holder as an object.
func (h Holder) Object() Object { return Object(h) }

// IsPerson reports whether the holder is a person.
func (h Holder) IsPerson() bool { return h.Type == TypeUser }

// Subject returns the subject of the relationships that store the holder's roles. For a group, it is the set of the
// members, for example group:data-team#member.
func (h Holder) Subject() Subject {
	subject := Subject{Object: h.Object()}
	if h.Type == TypeGroup {
		subject.Relation = groupMember
	}
	return subject
}
