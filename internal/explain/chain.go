package explain

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// completeTrace replaces a trace that does not tell everything, since SpiceDB knew parts of the answer from before: a
// scratch with what the answer can rest on answers the same question anew.
func (i *inquiry) completeTrace(ctx context.Context) (err error) {
	if !i.trace.HasCached() {
		return nil
	}
	world, err := i.around(ctx, i.check.Subject, i.check.Resource)
	if err != nil {
		return err
	}
	scratch, err := i.engine.Scratch(ctx, "", world)
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

// chain returns relationships that are stored and from which the answer follows, and of which it needs each: those that
// the trace leads to, less what SpiceDB gives the same answer without. They are ordered from the resource to the subject.
func (i *inquiry) chain(ctx context.Context) (_ []authz.Relationship, err error) {
	traced, err := i.readAll(ctx, filtersOf(i.trace))
	if err != nil {
		return nil, err
	}
	whole := func() ([]authz.Relationship, error) { return i.around(ctx, i.check.Subject, i.check.Resource) }
	for _, source := range []func() ([]authz.Relationship, error){func() ([]authz.Relationship, error) { return traced, nil }, whole} {
		found, err := source()
		if err != nil {
			return nil, err
		}
		chain, proved, err := i.prove(ctx, unique(found))
		if err != nil || proved {
			return i.order(chain), err
		}
	}
	return nil, nil
}

// prove drops the relationships that the answer does not need. It reports false if the answer does not follow from them.
func (i *inquiry) prove(ctx context.Context, all []authz.Relationship) (_ []authz.Relationship, proved bool, err error) {
	scratch, err := i.rehearse(ctx, all)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	decision, _, err := scratch.Check(ctx, i.check, authz.Fully())
	if err != nil || decision.State != i.decision.State {
		return nil, false, err
	}
	// What is far from the resource goes first, so that the nearest of several reasons is the one that stays.
	needed := i.order(all)
	slices.Reverse(needed)
	for size := min(len(needed), authz.MaxUpdates); size > 0; size /= 2 {
		for from := 0; from < len(needed); {
			part := needed[from:min(from+size, len(needed))]
			updates := make([]authz.Update, len(part))
			for n, r := range part {
				updates[n] = authz.Update{Action: authz.Delete, Relationship: r}
			}
			state, err := scratch.attempt(ctx, i.check, updates)
			if err != nil {
				return nil, false, err
			}
			if state != i.decision.State {
				from += size
				continue
			}
			scratch.keep()
			needed = slices.Delete(needed, from, from+len(part))
		}
	}
	slices.Reverse(needed)
	return needed, true, nil
}

// isRefused reports whether an answer is no for want of relationships, and not because a condition on them does not hold.
func isRefused(t *authz.Trace) bool { return t.State == authz.Denied && t.Condition == nil }

// filtersOf select the relationships that the answers of a trace can rest on, those that are refused apart.
func filtersOf(trace *authz.Trace) []authz.Filter {
	var filters []authz.Filter
	add := func(object authz.Object, relation authz.Relation, subject authz.Filter) {
		subject.Type, subject.ID, subject.Relation = object.Type, object.ID, relation
		if !slices.Contains(filters, subject) {
			filters = append(filters, subject)
		}
	}
	var walk func(t *authz.Trace)
	walk = func(t *authz.Trace) {
		if t == nil || isRefused(t) {
			return
		}
		for _, object := range t.Resources {
			if t.IsRelation {
				add(object, authz.Relation(t.Name), exactly(t.Subject))
				add(object, authz.Relation(t.Name), exactly(authz.Everybody(t.Subject.Type)))
			}
			for _, part := range t.Parts {
				for _, next := range part.Resources {
					switch {
					case isRefused(part) || next == object:
					case t.IsRelation:
						add(object, authz.Relation(t.Name), exactly(authz.Subject{Object: next, Relation: authz.Relation(part.Name)}))
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

// order puts relationships in the order in which one follows them from the resource: of each object first those that
// hold everybody, then those that lead elsewhere, then those that lead to the subject, and those with the subject last.
func (i *inquiry) order(all []authz.Relationship) []authz.Relationship {
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
		case leads(of, r.Subject.Object, i.check.Subject, make(map[authz.Object]bool)):
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

// leads reports whether one comes from the object to the subject.
func leads(of map[authz.Object][]authz.Relationship, object authz.Object, subject authz.Subject, seen map[authz.Object]bool) bool {
	seen[object] = true
	return slices.ContainsFunc(of[object], func(r authz.Relationship) bool {
		return r.Subject == subject || !r.Subject.Wildcard && !seen[r.Subject.Object] && leads(of, r.Subject.Object, subject, seen)
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
