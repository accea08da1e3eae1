package spicedb

import (
	"context"
	"maps"
	"slices"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"
)

// rewrite counts the subjects of an expression. SpiceDB merges the subjects of its parts into a set.
func (s *subjectSimulation) rewrite(
	ctx context.Context, typ string, rewrite *core.UsersetRewrite, ids []string, depth int,
) (counts, error) {
	operation, merge, union := rewrite.GetUnion(), s.intersection, true
	switch {
	case rewrite.GetIntersection() != nil:
		operation, union = rewrite.GetIntersection(), false
	case rewrite.GetExclusion() != nil:
		operation, merge, union = rewrite.GetExclusion(), s.exclusion, false
	}
	found := make(counts, len(ids))
	for i, child := range operation.GetChild() {
		part, err := s.part(ctx, typ, child, ids, depth)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if union {
				found.add(id, part[id])
				continue
			}
			n, err := s.set(part[id])
			if err == nil && i > 0 {
				n, err = merge(found[id], n)
			}
			if err != nil {
				return nil, err
			}
			found[id] = n
		}
	}
	if !union {
		return found, nil
	}
	for _, id := range ids {
		n, err := s.set(found[id])
		if err != nil {
			return nil, err
		}
		found[id] = n
	}
	return found, nil
}

func (s *subjectSimulation) part(
	ctx context.Context, typ string, child *core.SetOperation_Child, ids []string, depth int,
) (counts, error) {
	switch part := child.GetChildType().(type) {
	case *core.SetOperation_Child_ComputedUserset:
		return s.step(ctx, typ, part.ComputedUserset.GetRelation(), ids, depth+1)
	case *core.SetOperation_Child_UsersetRewrite:
		return s.rewrite(ctx, typ, part.UsersetRewrite, ids, depth)
	case *core.SetOperation_Child_TupleToUserset:
		arrow := part.TupleToUserset
		return s.follow(ctx, typ, arrow.GetTupleset().GetRelation(), arrow.GetComputedUserset().GetRelation(), ids, depth)
	case *core.SetOperation_Child_FunctionedTupleToUserset:
		arrow := part.FunctionedTupleToUserset
		relation, computed := arrow.GetTupleset().GetRelation(), arrow.GetComputedUserset().GetRelation()
		if arrow.GetFunction() == core.FunctionedTupleToUserset_FUNCTION_ALL {
			return s.all(ctx, typ, relation, computed, ids, depth)
		}
		return s.follow(ctx, typ, relation, computed, ids, depth)
	case *core.SetOperation_Child_XSelf:
		found := make(counts, len(ids))
		s.named += int64(len(ids))
		for _, id := range ids {
			found.add(id, subjectCount{subjects: 1})
		}
		return found, nil
	default: // the expression nil has no subjects
		return make(counts), nil
	}
}

// all counts the subjects of an expression with the function all(). SpiceDB takes a step for each relationship to
// which all() applies.
func (s *subjectSimulation) all(
	ctx context.Context, typ, relation, computed string, ids []string, depth int,
) (counts, error) {
	if err := s.read(ctx, typ, relation, ids); err != nil {
		return nil, err
	}
	found := make(counts, len(ids))
	for _, id := range ids {
		stored := s.stored[storedKey{typ, relation, id}]
		if s.rows += int64(len(stored.all)); s.rows > s.most.rows {
			return nil, tooManySteps()
		}
		if err := s.together.spend(int64(len(stored.all))); err != nil {
			return nil, err
		}
		for i, subject := range stored.all {
			below, err := s.step(ctx, subject.ObjectType, computed, []string{subject.ObjectID}, depth+1)
			if err != nil {
				return nil, err
			}
			n, err := s.set(below[subject.ObjectID])
			if err == nil && i > 0 {
				n, err = s.intersection(found[id], n)
			}
			if err != nil {
				return nil, err
			}
			n.conditional = n.conditional || stored.caveat[i]
			found[id] = n
		}
	}
	return found, nil
}

// set counts the subjects that remain after SpiceDB has turned a list of subjects into a set, which removes
// repetitions.
func (s *subjectSimulation) set(n subjectCount) (subjectCount, error) {
	if err := s.spend(setCost * n.total()); err != nil {
		return n, err
	}
	if n.wildcards > 0 {
		// For each subject that SpiceDB adds, it copies the exceptions of the wildcard.
		if err := s.spend((n.subjects + n.wildcards - 1) * min(n.excluded, s.named) / excludedPerCost); err != nil {
			return n, err
		}
	}
	if !n.conditional {
		n.subjects, n.wildcards = min(n.subjects, s.named), min(n.wildcards, 1)
		n.excluded = min(n.excluded, s.named)
	}
	return n, nil
}

// intersection counts the subjects that are in both a and b. A wildcard in one set matches every subject of the other.
func (s *subjectSimulation) intersection(a, b subjectCount) (subjectCount, error) {
	both := a.plus(b)
	if !both.conditional && both.wildcards == 0 {
		both.subjects = min(a.subjects, b.subjects)
	}
	if a.wildcards == 0 || b.wildcards == 0 {
		both.wildcards, both.excluded = 0, 0
	}
	return s.set(both)
}

// exclusion counts the subjects of a that are not in b. If a has a wildcard, the subjects of b become its exceptions.
func (s *subjectSimulation) exclusion(a, b subjectCount) (subjectCount, error) {
	if a.wildcards > 0 {
		// SpiceDB copies the list of exceptions for each exception that it adds, so the cost is quadratic.
		if err := s.spend(b.subjects * (a.excluded + b.subjects/2) / excludedPerCost); err != nil {
			return a, err
		}
		a.excluded += b.subjects
		a.subjects += b.excluded // a wildcard in b excludes the subjects of a, except those that the wildcard excludes
	}
	if a.conditional = a.conditional || b.conditional; b.conditional {
		a.subjects += b.subjects
	}
	return s.set(subjectCount{a.subjects, a.wildcards, a.excluded, a.conditional})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
