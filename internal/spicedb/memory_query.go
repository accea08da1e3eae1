package spicedb

import (
	"slices"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/google/btree"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// query is a query of an index.
type query struct {
	filter        datastore.RelationshipsFilter
	sort          options.SortOrder
	after, before *tuple.Relationship // the query excludes after, and includes before
	limit         *uint64

	skipCaveats bool
	expired     bool      // include expired relationships
	now         time.Time // relationships that expire before it do not count
}

// run yields the matching relationships. The sort order ChooseEfficient is the order of the scan.
func (x *index) run(q query) datastore.RelationshipIterator {
	p := keyspan.PlanFor(q.filter)
	if prefix := q.filter.OptionalResourceIDPrefix; prefix != "" && p.IsWhole() {
		p.Parts = x.partsOfTypes(prefix)
	}
	return func(yield func(tuple.Relationship, error) bool) {
		if q.limit != nil && *q.limit == 0 {
			return
		}
		var count uint64
		one := func(r *tuple.Relationship) bool {
			count++
			return yield(*r, nil) && (q.limit == nil || count < *q.limit)
		}
		if p.InOrder(q.sort) {
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

// partsOfTypes returns a part of the index for each stored type: the resources of the type whose ids begin with the
// prefix.
func (x *index) partsOfTypes(prefix string) (parts []keyspan.Part) {
	for next := ""; ; next += "\x00" { // sorts directly after the last type
		var from keyspan.Key
		from[0], next = next, ""
		x.resources.AscendGreaterOrEqual(pivot(from, false), func(r *tuple.Relationship) bool {
			next = r.Resource.ObjectType
			return false
		})
		if next == "" {
			return parts
		}
		parts = append(parts, keyspan.Part{Components: []string{next, prefix}, Partly: true})
	}
}

// sorted returns the matches in the requested order, if it differs from the order of the scan.
func (x *index) sorted(p keyspan.Plan, q query) []*tuple.Relationship {
	order := orderOf(q.sort == options.BySubject)
	after, before := q.after, q.before
	q.after, q.before = nil, nil
	var found []*tuple.Relationship
	x.scan(p, q, func(r *tuple.Relationship) bool {
		if (after == nil || order(r).Compare(order(after)) > 0) && (before == nil || order(r).Compare(order(before)) <= 0) {
			found = append(found, r)
		}
		return true
	})
	slices.SortFunc(found, func(a, b *tuple.Relationship) int { return order(a).Compare(order(b)) })
	return found
}

// scan calls visit with the matches in the order of the plan, until visit returns false.
func (x *index) scan(p keyspan.Plan, q query, visit func(*tuple.Relationship) bool) {
	order, tree := orderOf(p.BySubject), x.treeOf(p.BySubject)
	for _, part := range p.Parts {
		start := part.Start()
		if q.after != nil {
			after := order(q.after)
			switch {
			case part.Contains(after):
				start = after
			case after.Compare(start) > 0:
				continue // the whole part is before q.after
			}
		}
		more := true
		tree.AscendGreaterOrEqual(pivot(start, p.BySubject), func(r *tuple.Relationship) bool {
			k := order(r)
			switch {
			case !part.Contains(k):
				return false
			case q.after != nil && k == order(q.after):
			case q.before != nil && k.Compare(order(q.before)) > 0:
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

func orderOf(subject bool) func(*tuple.Relationship) keyspan.Key {
	if subject {
		return keyspan.BySubject
	}
	return keyspan.ByResource
}

func pivot(k keyspan.Key, subject bool) *tuple.Relationship {
	if subject {
		k = k.Swapped()
	}
	r := k.Relationship()
	return &r
}

func (q query) matches(r *tuple.Relationship) bool {
	switch {
	case q.skipCaveats && r.OptionalCaveat != nil:
		return false
	case !q.expired && r.OptionalExpiration != nil && r.OptionalExpiration.Before(q.now):
		return false
	}
	return keyspan.Matches(q.filter, *r)
}
