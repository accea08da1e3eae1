package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// addFailedConditions adds the relationships that would allow the check if their conditions held. It adds none if a
// role of the subject is hidden, since the result would depend on this role.
func (i *inquiry) addFailedConditions(ctx context.Context, answer *Explanation) error {
	if i.trace == nil || i.trace.Condition == nil || i.omitted {
		return nil
	}
	traced, err := i.readAll(ctx, traceFilters(i.trace))
	if err != nil {
		return err
	}
	for _, r := range unique(traced) {
		condition := conditionOf(i.trace, r)
		if condition == nil || condition.State != authz.Denied {
			continue
		}
		known, err := i.view.MaySeeRelationship(ctx, r, i.check.Subject)
		if err == nil && known {
			known, err = i.view.MayKnowRole(ctx, i.check.Subject, r.Resource)
		}
		if err != nil {
			return err
		}
		if !known {
			i.omitted = true
			continue
		}
		answer.Failed = append(answer.Failed, i.failedStep(r, condition))
	}
	return nil
}

// step describes a stored relationship. It includes the caveat's expression if the reader may see everything.
func (i *inquiry) step(r authz.Relationship) Step {
	step := Step{Relationship: r, Text: i.sentence(r)}
	if condition := conditionOf(i.trace, r); condition != nil && i.view.Reader().All {
		step.Expression = condition.Expression
		step.Text += " (" + condition.Expression + ")"
	}
	return step
}

// failedStep describes a relationship whose condition does not hold.
func (i *inquiry) failedStep(r authz.Relationship, condition *authz.Condition) Step {
	unconditional, name := r, r.Caveat
	unconditional.Caveat = ""
	step := Step{Relationship: r}
	if i.view.Reader().All {
		step.Expression = condition.Expression
		name += " (" + condition.Expression + ")"
	}
	step.Text = i.sentence(unconditional) + ", but the condition " + name + " does not hold"
	return step
}

// conditionOf returns the evaluated condition of a relationship, or nil if the relationship has no caveat or the trace
// does not contain it.
func conditionOf(t *authz.Trace, r authz.Relationship) *authz.Condition {
	if t == nil || r.Caveat == "" {
		return nil
	}
	if c := t.Condition; c != nil && c.Caveat == r.Caveat && t.IsRelation && t.Name == authz.Permission(r.Relation) &&
		slices.Contains(t.Resources, r.Resource) {
		return c
	}
	for _, part := range t.Parts {
		if c := conditionOf(part, r); c != nil {
			return c
		}
	}
	return nil
}
