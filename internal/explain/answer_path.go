package explain

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// replaceCachedTrace replaces the trace if SpiceDB took decisions in it from its cache, since these have no details.
// It evaluates the check again in a temporary in-memory engine. This engine has no cache, and only the relationships
// that the decision may depend on.
func (i *inquiry) replaceCachedTrace(ctx context.Context) (err error) {
	if !i.trace.HasCached() {
		return nil
	}
	neighborhood, err := i.readNeighborhood(ctx, i.check.Subject, i.check.Resource)
	if err != nil {
		return err
	}
	scratch, err := i.engine.Scratch(ctx, "", neighborhood)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	decision, trace, _, err := scratch.Explain(ctx, i.check, authz.Fully())
	if err == nil && decision.State == i.decision.State {
		i.trace = trace
	}
	return err
}

// findPath returns the stored relationships that prove the decision, ordered from the resource to the subject. Each
// of them is necessary. It first tries the relationships of the trace. If they do not prove the decision, it tries
// all relationships that the decision may depend on. If a limit ended the reading of these early, they may not prove
// the decision either; findPath then returns nil.
func (i *inquiry) findPath(ctx context.Context) ([]authz.Relationship, error) {
	found, err := i.readAll(ctx, traceFilters(i.trace))
	if err != nil {
		return nil, err
	}
	path, follows, err := i.minimize(ctx, unique(found))
	if err == nil && !follows {
		if found, err = i.readNeighborhood(ctx, i.check.Subject, i.check.Resource); err != nil {
			return nil, err
		}
		path, _, err = i.minimize(ctx, found)
	}
	return i.sortFromResource(path), err
}

// minimize removes the relationships that the decision does not need. It reports false if even all of the
// relationships together do not lead to the decision.
func (i *inquiry) minimize(
	ctx context.Context, all []authz.Relationship,
) (_ []authz.Relationship, follows bool, err error) {
	scratch, err := i.simulate(ctx, all)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	decision, _, err := scratch.Check(ctx, i.check, authz.Fully())
	if err != nil || decision.State != i.decision.State {
		return nil, false, err
	}
	// Remove relationships far from the resource first. If several proofs exist, the one nearest to the resource
	// remains.
	needed := i.sortFromResource(all)
	slices.Reverse(needed)
	for size := min(len(needed), authz.MaxUpdates); size > 0; size /= 2 {
		for from := 0; from < len(needed); {
			part := needed[from:min(from+size, len(needed))]
			updates := make([]authz.Update, len(part))
			for n, r := range part {
				updates[n] = authz.Update{Action: authz.Delete, Relationship: r}
			}
			state, err := scratch.evaluate(ctx, i.check, updates)
			if err != nil {
				return nil, false, err
			}
			if state != i.decision.State {
				from += size
				continue
			}
			scratch.commit()
			needed = slices.Delete(needed, from, from+len(part))
		}
	}
	slices.Reverse(needed)
	return needed, true, nil
}

// isDeniedByRelationships reports whether the check that t describes is denied because a relationship is missing.
// Other checks are allowed, or their decision depends on a caveat.
func isDeniedByRelationships(t *authz.Trace) bool {
	return t.State == authz.Denied && t.Condition == nil
}

// traceFilters returns filters for the relationships that the decision of a trace may depend on. It skips the checks
// in the trace that are denied because a relationship is missing.
func traceFilters(trace *authz.Trace) []authz.Filter {
	var filters []authz.Filter
	add := func(object authz.Object, relation authz.Relation, subject authz.Filter) {
		subject.Type, subject.ID, subject.Relation = object.Type, object.ID, relation
		if !slices.Contains(filters, subject) {
			filters = append(filters, subject)
		}
	}
	var walk func(t *authz.Trace)
	walk = func(t *authz.Trace) {
		if t == nil || isDeniedByRelationships(t) {
			return
		}
		for _, object := range t.Resources {
			if t.IsRelation {
				add(object, authz.Relation(t.Name), filterOf(t.Subject))
				add(object, authz.Relation(t.Name), filterOf(authz.Everybody(t.Subject.Type)))
			}
			for _, part := range t.Parts {
				for _, next := range part.Resources {
					switch {
					case isDeniedByRelationships(part) || next == object:
					case t.IsRelation:
						add(object, authz.Relation(t.Name), filterOf(
							authz.Subject{Object: next, Relation: authz.Relation(part.Name)},
						))
					default:
						add(object, "", authz.Filter{SubjectType: next.Type, SubjectID: next.ID})
					}
				}
			}
		}
		for _, part := range t.Parts {
			walk(part)
		}
	}
	walk(trace)
	return filters
}

// sortFromResource orders relationships from the resource to the subject, as a person would explain them. For each
// object, relationships with a wildcard come first. Then come relationships to objects from which none lead to the
// subject, then relationships to objects from which some do, and last the relationships with the subject itself.
func (i *inquiry) sortFromResource(all []authz.Relationship) []authz.Relationship {
	of := make(map[authz.Object][]authz.Relationship)
	for _, r := range all {
		of[r.Resource] = append(of[r.Resource], r)
	}
	rank := func(r authz.Relationship) int {
		switch {
		case r.Subject.Wildcard:
			return 0
		case r.Subject == i.check.Subject:
			return 3
		case reaches(of, r.Subject.Object, i.check.Subject, make(map[authz.Object]bool)):
			return 2
		}
		return 1
	}
	var ordered []authz.Relationship
	seen := make(map[authz.Object]bool)
	var visit func(object authz.Object)
	visit = func(object authz.Object) {
		seen[object] = true
		here := slices.Clone(of[object])
		slices.SortStableFunc(here, func(a, b authz.Relationship) int { return rank(a) - rank(b) })
		for _, r := range here {
			ordered = append(ordered, r)
			if next := r.Subject.Object; !r.Subject.Wildcard && !seen[next] {
				visit(next)
			}
		}
	}
	visit(i.check.Resource)
	return ordered
}

// reaches reports whether relationships lead from the object to the subject. It visits each object once, and adds the
// visited objects to seen.
func reaches(
	of map[authz.Object][]authz.Relationship, object authz.Object, subject authz.Subject, seen map[authz.Object]bool,
) bool {
	seen[object] = true
	return slices.ContainsFunc(of[object], func(r authz.Relationship) bool {
		return r.Subject == subject || !r.Subject.Wildcard && !seen[r.Subject.Object] &&
			reaches(of, r.Subject.Object, subject, seen)
	})
}

func unique(all []authz.Relationship) []authz.Relationship {
	var once []authz.Relationship
	for _, r := range all {
		if !slices.Contains(once, r) {
			once = append(once, r)
		}
	}
	return once
}
