// Package keyspan finds the parts of a sorted list of relationships that can match a filter of SpiceDB's datastores.
package keyspan

import (
	"slices"
	"strings"

	"github.com/authzed/spicedb/pkg/tuple"
)

// Key identifies a relationship. In the order of resources, it consists of the type, id and relation of the resource,
// and then of the subject. In the order of subjects, the subject comes first.
type Key [6]string

// ByResource returns the key of a relationship in the order of resources.
func ByResource(r *tuple.Relationship) Key {
	return Key{
		r.Resource.ObjectType, r.Resource.ObjectID, r.Resource.Relation,
		r.Subject.ObjectType, r.Subject.ObjectID, r.Subject.Relation,
	}
}

// BySubject returns the key of a relationship in the order of subjects.
func BySubject(r *tuple.Relationship) Key { return ByResource(r).Swapped() }

// CompareByResource orders relationships as ByResource orders their keys.
func CompareByResource(a, b *tuple.Relationship) int {
	if c := compare(&a.Resource, &b.Resource); c != 0 {
		return c
	}
	return compare(&a.Subject, &b.Subject)
}

// CompareBySubject orders relationships as BySubject orders their keys.
func CompareBySubject(a, b *tuple.Relationship) int {
	if c := compare(&a.Subject, &b.Subject); c != 0 {
		return c
	}
	return compare(&a.Resource, &b.Resource)
}

func compare(a, b *tuple.ObjectAndRelation) int {
	if c := strings.Compare(a.ObjectType, b.ObjectType); c != 0 {
		return c
	}
	if c := strings.Compare(a.ObjectID, b.ObjectID); c != 0 {
		return c
	}
	return strings.Compare(a.Relation, b.Relation)
}

// Swapped returns the key of the same relationship in the other order.
func (k Key) Swapped() Key { return Key{k[3], k[4], k[5], k[0], k[1], k[2]} }

// Compare orders keys.
func (k Key) Compare(other Key) int { return slices.Compare(k[:], other[:]) }

// Relationship returns the relationship with the key, which must be in the order of resources.
func (k Key) Relationship() tuple.Relationship {
	return tuple.Relationship{RelationshipReference: tuple.RelationshipReference{
		Resource: tuple.ObjectAndRelation{ObjectType: k[0], ObjectID: k[1], Relation: k[2]},
		Subject:  tuple.ObjectAndRelation{ObjectType: k[3], ObjectID: k[4], Relation: k[5]},
	}}
}
