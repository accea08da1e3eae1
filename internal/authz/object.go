package authz

import (
	"strings"
	"time"
)

// Type is the name of a definition in the schema.
type Type string

// Relation is the name of a relation in the schema.
type Relation string

// Permission is the name of a permission in the schema. In a check, it may also be the name of a relation.
type Permission string

// Object is an object of relationships and checks. A type and an id identify it.
type Object struct {
	Type Type
	ID   ID
}

// String returns the reference in zed's notation: type:id.
func (o Object) String() string { return string(o.Type) + ":" + string(o.ID) }

// Subject is the subject of a relationship or check. It is an object. With Relation, it is the set of all subjects
// that have this relation to the object. With Wildcard, it is the wildcard of the type, and has no ID. The ID "*" is
// not a wildcard, but an ordinary id.
type Subject struct {
	Object
	Relation Relation
	Wildcard bool
}

// Everybody returns the wildcard of a type, written type:*.
func Everybody(t Type) Subject { return Subject{Object: Object{Type: t}, Wildcard: true} }

// String returns the reference in zed's notation: type:id, type:id#relation or type:*.
func (s Subject) String() string {
	if s.Wildcard {
		return string(s.Type) + ":*"
	}
	if s.Relation != "" {
		return s.Object.String() + "#" + string(s.Relation)
	}
	return s.Object.String()
}

// Relationship says that the subject has the relation to the resource. If ExpiresAt is set, the relationship expires
// at this time. If Caveat is set, the relationship counts only if this caveat is true.
type Relationship struct {
	Resource  Object
	Relation  Relation
	Subject   Subject
	ExpiresAt time.Time

	// Caveat is the name of a caveat. CaveatContext is a JSON object with stored values for its parameters. Both may
	// be empty.
	Caveat        string
	CaveatContext string
}

// String returns the relationship in zed's notation: resource#relation@subject.
func (r Relationship) String() string {
	return r.Resource.String() + "#" + string(r.Relation) + "@" + r.Subject.String()
}

// ParseObject parses a reference type:id. It splits at the first colon. Errors have code CodeInvalid.
func ParseObject(s string) (Object, error) {
	typ, id, found := strings.Cut(s, ":")
	if !found {
		return Object{}, Errorf(CodeInvalid, "%q is not a reference: write type:id, for example importer:i1", s)
	}
	return NewObject(typ, id)
}

// NewObject returns the object with a type and an id, after checking both. Errors have code CodeInvalid.
func NewObject(typ, id string) (Object, error) {
	name, err := ParseType(typ)
	if err != nil {
		return Object{}, err
	}
	parsed, err := parseID(name, id)
	if err != nil {
		return Object{}, err
	}
	return Object{Type: name, ID: parsed}, nil
}

// ParseType checks the name of a type. Errors have code CodeInvalid.
func ParseType(s string) (Type, error) {
	if !validName(s, maxTypeBytes) {
		return "", badName("type", s)
	}
	return Type(s), nil
}

// ParseSubject parses a reference type:id or type:id#relation. The type ends at the first colon, the id at the first
// '#'. Use NewSubject for an id that contains '#'. Errors have code CodeInvalid.
func ParseSubject(s string) (Subject, error) {
	typ, rest, found := strings.Cut(s, ":")
	if !found {
		return Subject{}, Errorf(
			CodeInvalid, "%q is not a reference: write type:id or type:id#relation, for example user:alice", s,
		)
	}
	id, relation, hasRelation := strings.Cut(rest, "#")
	if hasRelation && relation == "" {
		return Subject{}, Errorf(CodeInvalid, "the reference %q ends in '#' without a relation", s)
	}
	return NewSubject(typ, id, relation)
}

// NewSubject returns the subject with a type, an id and a relation, after checking them. The relation may be empty.
// Errors have code CodeInvalid.
func NewSubject(typ, id, relation string) (Subject, error) {
	object, err := NewObject(typ, id)
	if err != nil || relation == "" {
		return Subject{Object: object}, err
	}
	parsed, err := ParseRelation(relation)
	return Subject{Object: object, Relation: parsed}, err
}

// ParseRelation checks the name of a relation. Errors have code CodeInvalid.
func ParseRelation(s string) (Relation, error) {
	if !validName(s, MaxNameBytes) {
		return "", badName("relation", s)
	}
	return Relation(s), nil
}

// ParsePermission checks the name of a permission. Errors have code CodeInvalid.
func ParsePermission(s string) (Permission, error) {
	if !validName(s, MaxNameBytes) {
		return "", badName("permission", s)
	}
	return Permission(s), nil
}

// BadName is the cause of an error about a name that is not a valid name in any schema.
type BadName struct {
	Kind string // "type", "relation" or "permission"
	Name string
}

// Error implements error.
func (n *BadName) Error() string { return n.Kind + " " + n.Name }

// MaxNameBytes is the maximum length of the name of a relation or permission, in bytes. The name of a type may
// consist of several parts, separated by slashes; it is also the maximum length of each of these parts.
const MaxNameBytes = 64

// maxTypeBytes is the maximum length of the name of a type with all of its parts. SpiceDB has the same limit.
const maxTypeBytes = 128

func badName(kind, name string) *Error {
	if len(name) > maxTypeBytes {
		return Errorf(CodeInvalid, "%q is not the name of a %s: it has %s, and a name has at most %d", name, kind,
			Count(len(name), "byte", "bytes"), MaxNameBytes)
	}
	err := Errorf(
		CodeInvalid, "%q is not the name of a %s: a name has 3 to 64 characters of a-z, 0-9 and _, begins with a "+
			"letter, and does not end with _", name, kind,
	)
	err.Cause = &BadName{Kind: kind, Name: name}
	return err
}

// validName reports whether SpiceDB accepts a name that is not longer than a limit in bytes. The name may have
// prefixes, as in prefix/name.
func validName(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if len(part) < 3 || len(part) > MaxNameBytes || part[0] < 'a' || part[0] > 'z' || part[len(part)-1] == '_' {
			return false
		}
		for i := range len(part) {
			c := part[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
				return false
			}
		}
	}
	return true
}
