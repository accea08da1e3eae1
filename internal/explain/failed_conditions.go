package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// addFailedConditions adds to the answer the relationships whose caveats are false. If a role of the subject is
// hidden from the reader, it adds none, since they would depend on this role.
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

// step returns a description of a stored relationship. If the reader may see everything, it includes the caveat's
// expression.
func (i *inquiry) step(r authz.Relationship) Step {
	step := Step{Relationship: r, Text: i.sentence(r)}
	if condition := conditionOf(i.trace, r); condition != nil && i.view.Reader().All {
		step.Expression = condition.Expression
		step.Text += " (" + condition.Expression + ")"
	}
	return step
}

// failedStep returns a description of a relationship whose caveat is false.
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

// conditionOf returns the result of evaluating the caveat of a relationship. It returns nil if the relationship has
// no caveat, or if the trace does not contain the relationship.
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
