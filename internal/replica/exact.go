package replica

import (
	"slices"

	"github.com/authzed/spicedb/pkg/query"
	"github.com/authzed/spicedb/pkg/schema/v2"
	"github.com/authzed/spicedb/pkg/tuple"
)

// exact reports whether SpiceDB's query planner decides a plan as SpiceDB's own evaluation does. It returns false in
// all cases where the two are known to differ in SpiceDB v1.56.0. The differential test found these cases:
//   - The planner evaluates rel.all(permission) for each type of subject separately. It misses resources whose subjects
//     are usersets.
//   - If a relation accepts both objects of a type with expiration and usersets of this type, SpiceDB still counts
//     expired relationships.
//   - In a look-up of subjects of another type, the planner finds no subject for self. SpiceDB finds one with the id of
//     the resource.
//   - The planner does not follow a userset within a userset, nor a userset behind an arrow to a relation.
//   - In a recursive permission, a wildcard matches nobody.
//   - In a recursive permission, the planner continues at an object even if another relation, or the left side of an
//     arrow, leads to it.
//   - In a recursive permission, an intersection, an exclusion or an all() applies only at the first level.
//
// The reader detects one more case: look-ups of subjects that meet a wildcard, as in (viewer:* - banned) - viewer.
func exact(o query.Outline) bool {
	return inspection{}.exact(o, false, nil)
}

// inspection describes the nodes that enclose a part of a plan.
type inspection struct {
	within    []step // the enclosing recursive permissions
	selective bool   // an intersection, exclusion or arrow encloses the part, within the outermost recursion
}

// step is a recursive permission.
type step struct{ definition, relation string }

// exact inspects one node. left is set if the node is the left side of an arrow. siblings are the other parts of its
// union.
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
	if ignoresExpiration(r) {
		return false
	}
	if isSet(r) && !left && !slices.ContainsFunc(siblings, func(o query.Outline) bool {
		return o.Type == query.ArrowIteratorType && readsRelation(o.SubOutlines[0], r)
	}) {
		return false
	}
	for _, step := range in.within {
		if r.Wildcard() || !left && r.Type() == step.definition && r.Subrelation() != step.relation {
			return false
		}
	}
	return true
}

// isSet reports whether the subjects of a relation are usersets, for example team#member.
func isSet(r *schema.BaseRelation) bool {
	return r.Subrelation() != "" && r.Subrelation() != tuple.Ellipsis
}

// ignoresExpiration reports whether SpiceDB ignores expirations in the relation.
func ignoresExpiration(r *schema.BaseRelation) bool {
	relation, ok := r.Parent().(*schema.Relation)
	return !ok || slices.ContainsFunc(relation.BaseRelations(), func(one *schema.BaseRelation) bool {
		return one.Expiration() && !isSet(one) &&
			slices.ContainsFunc(relation.BaseRelations(), func(other *schema.BaseRelation) bool {
				return isSet(other) && other.Type() == one.Type()
			})
	})
}

// readsRelation reports whether an outline reads the relation.
func readsRelation(o query.Outline, r *schema.BaseRelation) bool {
	return o.Type == query.DatastoreIteratorType && leafOf(o.Args.Relation) == leafOf(r)
}

// oneKind reports whether the left side of an all() is a relation with objects of a single type as subjects.
func oneKind(left query.Outline) bool {
	if left.Type != query.DatastoreIteratorType {
		return false
	}
	own := left.Args.Relation
	relation, ok := own.Parent().(*schema.Relation)
	return ok && !isSet(own) && !slices.ContainsFunc(
		relation.BaseRelations(), func(other *schema.BaseRelation) bool { return leafOf(other) != leafOf(own) },
	)
}
