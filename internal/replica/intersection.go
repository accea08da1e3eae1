package replica

import (
	"slices"

	"github.com/authzed/spicedb/pkg/query"
	"github.com/authzed/spicedb/pkg/tuple"
)

// intersection looks up the resources of an intersection. It looks up the resources of the first part, which is the one
// that probably has the fewest, and checks the other parts for each of them. The planner's own iterator looks up the
// resources of every part. For `owner & as_active`, this would include the active accounts of all tenants.
type intersection struct {
	*query.IntersectionIterator

	first query.Iterator
	rest  []query.Iterator // the other parts, compiled for checks
}

// IterResourcesImpl implements query.Plan.
func (i *intersection) IterResourcesImpl(
	ctx *query.Context, subject query.ObjectAndRelation, filter query.ObjectType,
) (query.PathSeq, error) {
	if subject.Relation != tuple.Ellipsis {
		return i.IntersectionIterator.IterResourcesImpl(ctx, subject, filter)
	}
	candidates, err := ctx.IterResources(i.first, subject, filter)
	if err != nil {
		return nil, err
	}
	return func(yield func(*query.Path, error) bool) {
		checked := make(map[query.Object]bool)
		for path, err := range candidates {
			if err != nil {
				yield(nil, err)
				return
			}
			if checked[path.Resource] {
				continue
			}
			checked[path.Resource] = true
			allowed, err := i.allows(ctx, path.Resource, subject)
			if err != nil {
				yield(nil, err)
				return
			}
			if allowed && !yield(path, nil) {
				return
			}
		}
	}, nil
}

// allows reports whether the other parts allow a resource that the first part allows.
func (i *intersection) allows(
	ctx *query.Context, resource query.Object, subject query.ObjectAndRelation,
) (bool, error) {
	for _, part := range i.rest {
		if path, err := ctx.Check(part, resource, subject); path == nil || err != nil {
			return false, err
		}
	}
	return true, nil
}

// Clone implements query.Iterator.
func (i *intersection) Clone() query.Iterator {
	cloned := *i
	cloned.first = i.first.Clone()
	return &cloned
}

// ReplaceSubiterators implements query.Iterator. The planner uses it to replace the placeholders of a recursive
// permission. In an exact plan, no intersection contains a placeholder, so rest does not change.
func (i *intersection) ReplaceSubiterators(parts []query.Iterator) (query.Iterator, error) {
	replaced, err := i.IntersectionIterator.ReplaceSubiterators(parts)
	own, is := replaced.(*query.IntersectionIterator)
	if err != nil || !is {
		return replaced, err
	}
	return &intersection{IntersectionIterator: own, first: parts[0], rest: i.rest}, nil
}

// compileLookUp compiles an outline to an iterator that looks up resources. It uses intersection for intersections.
func compileLookUp(o query.Outline, keys map[query.OutlineNodeID]query.CanonicalKey) (query.Iterator, error) {
	if o.Type == query.IntersectionIteratorType {
		o.SubOutlines = slices.Clone(o.SubOutlines)
		slices.SortStableFunc(o.SubOutlines, func(a, b query.Outline) int { return reach(a) - reach(b) })
	}
	parts := make([]query.Iterator, len(o.SubOutlines))
	for i, sub := range o.SubOutlines {
		var err error
		if parts[i], err = compileLookUp(sub, keys); err != nil {
			return nil, err
		}
	}
	made, err := query.MakeIterator(o.Type, o.Args, parts, keys[o.ID])
	own, is := made.(*query.IntersectionIterator)
	if err != nil || !is {
		return made, err
	}
	found := &intersection{IntersectionIterator: own, first: parts[0]}
	for _, sub := range o.SubOutlines[1:] {
		part, err := compile(query.MutateOutline(sub, []query.OutlineMutation{unnamed}), keys)
		if err != nil {
			return nil, err
		}
		found.rest = append(found.rest, part)
	}
	return found, nil
}

// Estimates of how many resources a look-up finds.
const (
	perWildcard = 1 << 20 // a wildcard finds resources of all tenants
	perArrow    = 10
	maxReach    = 1 << 40
)

// reach estimates how many resources a part of a plan finds for one subject.
func reach(o query.Outline) int {
	switch o.Type {
	case query.DatastoreIteratorType:
		if o.Args.Relation.Wildcard() {
			return perWildcard
		}
		return 1
	case query.IntersectionIteratorType:
		least := maxReach
		for _, sub := range o.SubOutlines {
			least = min(least, reach(sub))
		}
		return least
	case query.ExclusionIteratorType:
		return reach(o.SubOutlines[0])
	case query.ArrowIteratorType, query.IntersectionArrowIteratorType:
		return min(maxReach, perArrow*reach(o.SubOutlines[1]))
	default: // a union, or an iterator with at most one part
		sum := 0
		for _, sub := range o.SubOutlines {
			sum = min(maxReach, sum+reach(sub))
		}
		return sum
	}
}
