package spicedb

import (
	"slices"
	"strings"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/google/btree"
)

// key is what identifies a relationship: type, id and relation of the resource, then of the subject, or, in the index by
// subject, the other way round.
type key [6]string

func byResource(r *tuple.Relationship) key {
	return key{
		r.Resource.ObjectType, r.Resource.ObjectID, r.Resource.Relation,
		r.Subject.ObjectType, r.Subject.ObjectID, r.Subject.Relation,
	}
}

func bySubject(r *tuple.Relationship) key { return byResource(r).swapped() }

func (k key) swapped() key { return key{k[3], k[4], k[5], k[0], k[1], k[2]} }

func (k key) compare(other key) int { return slices.Compare(k[:], other[:]) }

// relationship is one that has the key in the index by resource, to search for.
func (k key) relationship() *tuple.Relationship {
	return &tuple.Relationship{RelationshipReference: tuple.RelationshipReference{
		Resource: tuple.ObjectAndRelation{ObjectType: k[0], ObjectID: k[1], Relation: k[2]},
		Subject:  tuple.ObjectAndRelation{ObjectType: k[3], ObjectID: k[4], Relation: k[5]},
	}}
}

// index holds the relationships of one revision, sorted by resource and by subject. A clone costs nothing: the two share
// what neither has changed since. Relationships in it are never changed.
type index struct {
	resources *btree.BTreeG[*tuple.Relationship]
	subjects  *btree.BTreeG[*tuple.Relationship]
}

const degree = 32

func newIndex() *index {
	tree := func(order func(*tuple.Relationship) key) *btree.BTreeG[*tuple.Relationship] {
		return btree.NewG(degree, func(a, b *tuple.Relationship) bool { return order(a).compare(order(b)) < 0 })
	}
	return &index{resources: tree(byResource), subjects: tree(bySubject)}
}

// clone must not run at the same time as a change of x.
func (x *index) clone() *index {
	return &index{resources: x.resources.Clone(), subjects: x.subjects.Clone()}
}

func (x *index) set(r tuple.Relationship) {
	r.OptionalCaveat = r.OptionalCaveat.CloneVT()
	r.OptionalIntegrity = r.OptionalIntegrity.CloneVT()
	if r.OptionalExpiration != nil {
		expiration := *r.OptionalExpiration
		r.OptionalExpiration = &expiration
	}
	x.resources.ReplaceOrInsert(&r)
	x.subjects.ReplaceOrInsert(&r)
}

func (x *index) remove(r tuple.Relationship) {
	x.resources.Delete(&r)
	x.subjects.Delete(&r)
}

// plan says where in the index the matches of a filter are: in parts of one of the two orders, which are themselves in
// that order and do not overlap.
type plan struct {
	bySubject bool
	parts     []part
}

// part is all keys that begin with the given components. With partly, the last component is itself a beginning.
type part struct {
	components []string
	partly     bool
}

func (p part) start() key {
	var k key
	copy(k[:], p.components)
	return k
}

func (p part) contains(k key) bool {
	for i, component := range p.components {
		if p.partly && i == len(p.components)-1 {
			return strings.HasPrefix(k[i], component)
		}
		if k[i] != component {
			return false
		}
	}
	return true
}

// oneSubject reports whether all matches have the same subject, so that by subject they are in the order of resources.
func (p plan) oneSubject() bool {
	return p.bySubject && len(p.parts) == 1 && len(p.parts[0].components) >= 3
}

// planFor chooses the order in which the filter fixes the most.
func planFor(f datastore.RelationshipsFilter) plan {
	typ, ids, relation := f.OptionalResourceType, unique(f.OptionalResourceIds), f.OptionalResourceRelation
	subjects, named := subjectParts(f.OptionalSubjectsSelectors)
	switch {
	case typ != "" && len(ids) > 0 && relation != "":
		return plan{parts: product(components(typ), ids, components(relation), subjects)}
	case named:
		return plan{bySubject: true, parts: withResource(subjects, typ, ids, relation)}
	case typ != "" && len(ids) > 0:
		return plan{parts: product(components(typ), ids, nil, nil)}
	case typ != "":
		return plan{parts: []part{{components: []string{typ, f.OptionalResourceIDPrefix}, partly: true}}}
	case subjects != nil:
		return plan{bySubject: true, parts: product(nil, nil, nil, subjects)}
	default:
		return plan{parts: []part{{}}}
	}
}

// subjectParts are the beginnings of subjects that the selectors allow: type, id and relation as far as they are fixed. It
// is nil if some selector fixes nothing; named reports that every selector fixes type and id.
func subjectParts(selectors []datastore.SubjectsSelector) (parts [][]string, named bool) {
	named = len(selectors) > 0
	for _, s := range selectors {
		if s.OptionalSubjectType == "" {
			return nil, false
		}
		if len(s.OptionalSubjectIds) == 0 {
			named = false
			parts = append(parts, []string{s.OptionalSubjectType})
			continue
		}
		for _, id := range s.OptionalSubjectIds {
			p := []string{s.OptionalSubjectType, id}
			if relation, ok := onlyRelation(s.RelationFilter); ok {
				p = append(p, relation)
			}
			parts = append(parts, p)
		}
	}
	return disjoint(parts), named
}

// onlyRelation returns the one relation that the filter lets through, if it is one.
func onlyRelation(f datastore.SubjectRelationFilter) (string, bool) {
	switch {
	case f.OnlyNonEllipsisRelations:
		return "", false
	case f.IncludeEllipsisRelation && f.NonEllipsisRelation == "":
		return datastore.Ellipsis, true
	case !f.IncludeEllipsisRelation && f.NonEllipsisRelation != "":
		return f.NonEllipsisRelation, true
	default:
		return "", false
	}
}

// withResource lets a resource follow each subject that is fixed to the end.
func withResource(subjects [][]string, typ string, ids []string, relation string) []part {
	var parts []part
	for _, subject := range subjects {
		if len(subject) < 3 || typ == "" {
			parts = append(parts, part{components: subject})
			continue
		}
		if len(ids) == 0 {
			parts = append(parts, part{components: slices.Concat(subject, components(typ))})
			continue
		}
		parts = append(parts, product(slices.Concat(subject, components(typ)), ids, components(relation), nil)...)
	}
	return parts
}

// product makes one part of each combination of an id and an ending, in order.
func product(begin, ids, middle []string, endings [][]string) []part {
	if ids == nil {
		ids = []string{""}
	}
	if endings == nil {
		endings = [][]string{nil}
	}
	var parts []part
	for _, id := range ids {
		for _, ending := range endings {
			parts = append(parts, part{components: slices.Concat(begin, components(id), middle, ending)})
		}
	}
	return parts
}

// components is a list without the empty component, which stands for "any".
func components(c string) []string {
	if c == "" {
		return nil
	}
	return []string{c}
}

func unique(ids []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(ids)))
}

// disjoint sorts beginnings and leaves out those that another one contains.
func disjoint(parts [][]string) [][]string {
	slices.SortFunc(parts, slices.Compare[[]string])
	var out [][]string
	for _, p := range parts {
		if n := len(out); n > 0 && len(out[n-1]) <= len(p) && slices.Equal(out[n-1], p[:len(out[n-1])]) {
			continue
		}
		out = append(out, p)
	}
	return out
}
