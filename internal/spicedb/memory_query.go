package spicedb

import (
	"slices"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/google/btree"
)

// query is what is asked of an index.
type query struct {
	filter        datastore.RelationshipsFilter
	sort          options.SortOrder
	after, before *tuple.Relationship // exclusive, inclusive
	limit         *uint64

	skipCaveats bool
	expired     bool      // tell what has expired as well
	now         time.Time // what expires before has expired
}

// run yields the relationships that the query asks for. ChooseEfficient is the order in which they are found.
func (x *index) run(q query) datastore.RelationshipIterator {
	p := planFor(q.filter)
	inOrder := q.sort == options.Unsorted || q.sort == options.ChooseEfficient || (q.sort == options.BySubject) == p.bySubject || p.oneSubject()
	return func(yield func(tuple.Relationship, error) bool) {
		if q.limit != nil && *q.limit == 0 {
			return
		}
		var count uint64
		one := func(r *tuple.Relationship) bool {
			count++
			return yield(*r, nil) && (q.limit == nil || count < *q.limit)
		}
		if inOrder {
			x.scan(p, q, one)
			return
		}
		for _, r := range x.sorted(p, q) {
			if !one(r) {
				return
			}
		}
	}
}

// sorted finds in one order and returns in the other.
func (x *index) sorted(p plan, q query) []*tuple.Relationship {
	order := orderOf(q.sort == options.BySubject)
	after, before := q.after, q.before
	q.after, q.before = nil, nil
	var found []*tuple.Relationship
	x.scan(p, q, func(r *tuple.Relationship) bool {
		if (after == nil || order(r).compare(order(after)) > 0) && (before == nil || order(r).compare(order(before)) <= 0) {
			found = append(found, r)
		}
		return true
	})
	slices.SortFunc(found, func(a, b *tuple.Relationship) int { return order(a).compare(order(b)) })
	return found
}

// scan visits the matches in the order of the plan, until visit returns false.
func (x *index) scan(p plan, q query, visit func(*tuple.Relationship) bool) {
	order, tree := orderOf(p.bySubject), x.treeOf(p.bySubject)
	for _, part := range p.parts {
		start := part.start()
		if q.after != nil {
			after := order(q.after)
			switch {
			case part.contains(after):
				start = after
			case after.compare(start) > 0:
				continue // all of the part is before
			}
		}
		more := true
		tree.AscendGreaterOrEqual(pivot(start, p.bySubject), func(r *tuple.Relationship) bool {
			k := order(r)
			switch {
			case !part.contains(k):
				return false
			case q.after != nil && k == order(q.after):
			case q.before != nil && k.compare(order(q.before)) > 0:
				more = false
			case q.matches(r):
				more = visit(r)
			}
			return more
		})
		if !more {
			return
		}
	}
}

func (x *index) treeOf(subject bool) *btree.BTreeG[*tuple.Relationship] {
	if subject {
		return x.subjects
	}
	return x.resources
}

func orderOf(subject bool) func(*tuple.Relationship) key {
	if subject {
		return bySubject
	}
	return byResource
}

func pivot(k key, subject bool) *tuple.Relationship {
	if subject {
		k = k.swapped()
	}
	return k.relationship()
}

func (q query) matches(r *tuple.Relationship) bool {
	switch {
	case q.skipCaveats && r.OptionalCaveat != nil:
		return false
	case !q.expired && r.OptionalExpiration != nil && r.OptionalExpiration.Before(q.now):
		return false
	}
	rest := q.filter
	rest.OptionalSubjectsSelectors = nil
	return rest.Test(*r) && selected(q.filter.OptionalSubjectsSelectors, r.Subject)
}

// selected reports whether some selector lets the subject through. SubjectsSelector.Test differs from what datastores do
// where only subjects without a relation are asked for.
func selected(selectors []datastore.SubjectsSelector, subject tuple.ObjectAndRelation) bool {
	return len(selectors) == 0 || slices.ContainsFunc(selectors, func(s datastore.SubjectsSelector) bool {
		return (s.OptionalSubjectType == "" || s.OptionalSubjectType == subject.ObjectType) &&
			(len(s.OptionalSubjectIds) == 0 || slices.Contains(s.OptionalSubjectIds, subject.ObjectID)) &&
			allows(s.RelationFilter, subject.Relation)
	})
}

func allows(f datastore.SubjectRelationFilter, relation string) bool {
	switch {
	case f.IsEmpty():
		return true
	case f.OnlyNonEllipsisRelations:
		return relation != datastore.Ellipsis
	default:
		return relation == f.NonEllipsisRelation || f.IncludeEllipsisRelation && relation == datastore.Ellipsis
	}
}
