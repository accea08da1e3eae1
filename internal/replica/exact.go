package replica

import (
	"slices"

	"github.com/authzed/spicedb/pkg/query"
	"github.com/authzed/spicedb/pkg/schema/v2"
	"github.com/authzed/spicedb/pkg/tuple"
)

// exact reports whether SpiceDB v1.56.0's query planner decides a plan as SpiceDB's own evaluation does. Where it is known not
// to, SpiceDB is asked; the differential test is what found these cases, and what would find others:
//
//   - rel.all(permission) takes "all" for each kind of subject of the relation apart, and overlooks resources behind sets of
//     subjects;
//   - where a relation takes objects of a type that expire, and sets of that type, SpiceDB goes on counting those that have expired;
//   - self is nobody to a look-up of subjects of another type, where SpiceDB names a subject of that type with the id of the resource;
//   - a set of subjects within a set of subjects is not followed, nor is one behind an arrow to a relation;
//   - within a permission that leads to itself a wildcard matches nobody, an object that is met by another relation or as the left
//     side of an arrow is taken for the next step, and an intersection, an exclusion or an all() is applied at the first step alone.
//
// Look-ups of subjects that meet everybody, as in (viewer:* - banned) - viewer, are another case, which the reader sees to.
func exact(o query.Outline) bool {
	return inspection{}.exact(o, false, nil)
}

// inspection is what encloses a part of a plan.
type inspection struct {
	within    []step // the permissions that lead to themselves
	selective bool   // and between the first of them and here not every way leads on
}

// step is a permission that leads to itself.
type step struct{ definition, relation string }

// exact inspects one node; left is whether it is the left side of an arrow, siblings are the parts of the union that it is in.
func (in inspection) exact(o query.Outline, left bool, siblings []query.Outline) bool {
	switch o.Type {
	case query.DatastoreIteratorType:
		return in.leaf(o.Args.Relation, left, siblings)
	case query.SelfIteratorType:
		return false
	case query.RecursiveSentinelIteratorType:
		return !in.selective
	case query.RecursiveIteratorType:
		in.selective = in.selective && len(in.within) > 0
		in.within = append(slices.Clone(in.within), step{o.Args.DefinitionName, o.Args.RelationName})
	case query.IntersectionIteratorType, query.ExclusionIteratorType:
		in.selective = true
	case query.ArrowIteratorType:
		if o.SubOutlines[0].Type != query.DatastoreIteratorType {
			return false
		}
	case query.IntersectionArrowIteratorType:
		in.selective = true
		if !oneKind(o.SubOutlines[0]) {
			return false
		}
	default:
	}
	for i, sub := range o.SubOutlines {
		isLeft := i == 0 && (o.Type == query.ArrowIteratorType || o.Type == query.IntersectionArrowIteratorType)
		var beside []query.Outline
		if o.Type == query.UnionIteratorType {
			beside = o.SubOutlines
		}
		if !in.exact(sub, isLeft, beside) {
			return false
		}
	}
	return true
}

func (in inspection) leaf(r *schema.BaseRelation, left bool, siblings []query.Outline) bool {
	if outlives(r) {
		return false
	}
	if isSet(r) && !left && !slices.ContainsFunc(siblings, func(o query.Outline) bool { return o.Type == query.ArrowIteratorType && leads(o.SubOutlines[0], r) }) {
		return false
	}
	for _, step := range in.within {
		if r.Wildcard() || !left && r.Type() == step.definition && r.Subrelation() != step.relation {
			return false
		}
	}
	return true
}

// isSet reports whether the subjects of a relation are sets, such as team#member.
func isSet(r *schema.BaseRelation) bool {
	return r.Subrelation() != "" && r.Subrelation() != tuple.Ellipsis
}

// outlives reports whether SpiceDB overlooks expirations in the relation.
func outlives(r *schema.BaseRelation) bool {
	relation, ok := r.Parent().(*schema.Relation)
	return !ok || slices.ContainsFunc(relation.BaseRelations(), func(one *schema.BaseRelation) bool {
		return one.Expiration() && !isSet(one) && slices.ContainsFunc(relation.BaseRelations(), func(other *schema.BaseRelation) bool {
			return isSet(other) && other.Type() == one.Type()
		})
	})
}

// leads reports whether an outline is a look at the relation.
func leads(o query.Outline, r *schema.BaseRelation) bool {
	return o.Type == query.DatastoreIteratorType && leafOf(o.Args.Relation) == leafOf(r)
}

// oneKind reports whether the left side of an all() is the only kind of subject that its relation has, and one of objects.
func oneKind(left query.Outline) bool {
	if left.Type != query.DatastoreIteratorType {
		return false
	}
	own := left.Args.Relation
	relation, ok := own.Parent().(*schema.Relation)
	return ok && !isSet(own) && !slices.ContainsFunc(relation.BaseRelations(), func(other *schema.BaseRelation) bool { return leafOf(other) != leafOf(own) })
}
