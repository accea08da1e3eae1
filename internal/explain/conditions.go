package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// tellFailed tells which relationships would have allowed what is denied, if the conditions on them held. That they would
// have rests on the subject's roles as well, so it is told only where none of those is withheld.
func (i *inquiry) tellFailed(ctx context.Context, answer *Explanation) error {
	if i.trace == nil || i.trace.Condition == nil || i.withheld {
		return nil
	}
	traced, err := i.readAll(ctx, filtersOf(i.trace))
	if err != nil {
		return err
	}
	for _, r := range unique(traced) {
		if condition := conditionOf(i.trace, r); condition == nil || condition.State != authz.Denied {
			continue
		}
		known, err := i.view.knows(ctx, r)
		if err != nil {
			return err
		}
		if !known {
			i.withheld = true
			continue
		}
		step := i.step(r)
		step.Text += ", which does not hold"
		answer.Failed = append(answer.Failed, step)
	}
	return nil
}

// step tells of a relationship, and to who is told everything what its caveat says.
func (i *inquiry) step(r authz.Relationship) Step {
	step := Step{Relationship: r, Text: i.sentence(r)}
	if condition := conditionOf(i.trace, r); condition != nil && i.view.all {
		step.Expression = condition.Expression
		step.Text += " (" + condition.Expression + ")"
	}
	return step
}

// conditionOf finds what came of the caveat of a relationship; nil if it has none, or the trace does not tell.
func conditionOf(t *authz.Trace, r authz.Relationship) *authz.Condition {
	if t == nil || r.Caveat == "" {
		return nil
	}
	if c := t.Condition; c != nil && c.Caveat == r.Caveat && t.IsRelation && t.Name == authz.Permission(r.Relation) && slices.Contains(t.Resources, r.Resource) {
		return c
	}
	for _, part := range t.Parts {
		if c := conditionOf(part, r); c != nil {
			return c
		}
	}
	return nil
}
