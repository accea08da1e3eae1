package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/explain"
)

// Explainer explains the answer to a check.
type Explainer interface {
	Explain(ctx context.Context, question explain.Question) (explain.Explanation, error)
}

// explainAPI has the call that explains a decision.
type explainAPI struct {
	*responder
	inspector

	explainer Explainer
	expensive slots
	metrics   *Metrics
}

// Explain implements ServerInterface.
func (a *explainAPI) Explain(c *gin.Context, _ ExplainParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[CheckRequest](c)
		if err != nil {
			return nil, err
		}
		var in reader
		question := explain.Question{Actor: callOf(c).actor, All: callOf(c).seesAll}
		question.Check, question.Consistency = in.check(body)
		if in.err != nil {
			return nil, in.err
		}
		if err := a.requireCheck(ctx, question.Check); err != nil {
			return nil, err
		}
		return a.expensive.run(ctx, func() (any, error) {
			explanation, err := a.explainer.Explain(ctx, question)
			a.metrics.decision(explanation.Decision, err)
			if err != nil {
				return nil, err
			}
			return showExplanation(explanation)
		})
	})
}

func showExplanation(e explain.Explanation) (_ Explanation, err error) {
	shown := Explanation{
		Allowed: e.Decision.Allowed(), MissingContext: missingContext(e.Decision), Text: e.Text,
		Unstored: nilIfFalse(e.Unstored), Omitted: nilIfFalse(e.Omitted), Incomplete: nilIfFalse(e.Incomplete),
		Token: string(e.Token),
	}
	refer := referrer{&err}
	if e.Decision.State == authz.Denied {
		suggestions := make([]Suggestion, len(e.Suggestions))
		for i, s := range e.Suggestions {
			suggestions[i] = refer.suggestion(s)
		}
		shown.Suggestions = &suggestions
		if len(e.Failed) > 0 {
			shown.Failed = new(refer.steps(e.Failed))
		}
	} else {
		shown.Path = new(refer.steps(e.Path))
	}
	if e.Trace != nil {
		shown.Trace = new(refer.trace(e.Trace))
	}
	return shown, err
}

// referrer converts objects and subjects to references, and records the first error.
type referrer struct{ err *error }

func (f referrer) subject(s authz.Subject) Reference {
	r, err := reference(s)
	if *f.err == nil {
		*f.err = err
	}
	return r
}

func (f referrer) object(o authz.Object) Reference { return f.subject(authz.Subject{Object: o}) }

func (f referrer) steps(all []explain.Step) []ExplainedStep {
	shown := make([]ExplainedStep, len(all))
	for i, step := range all {
		shown[i] = f.step(step)
	}
	return shown
}

func (f referrer) step(s explain.Step) ExplainedStep {
	r := s.Relationship
	step := ExplainedStep{
		Resource: f.object(r.Resource), Relation: string(r.Relation), Subject: f.subject(r.Subject),
		Caveat: nilIfEmpty(r.Caveat), Expression: nilIfEmpty(s.Expression), Text: s.Text,
	}
	if !r.ExpiresAt.IsZero() {
		step.ExpiresAt = new(r.ExpiresAt.UTC())
	}
	return step
}

func (f referrer) relationships(all []authz.Relationship) []SuggestedRelationship {
	shown := make([]SuggestedRelationship, len(all))
	for i, r := range all {
		shown[i] = SuggestedRelationship{
			Resource: f.object(r.Resource), Relation: string(r.Relation), Subject: f.subject(r.Subject),
		}
	}
	return shown
}

func (f referrer) suggestion(s explain.Suggestion) Suggestion {
	shown := Suggestion{
		Text: s.Text, Relationships: f.relationships(s.Relationships), RequiresFeature: nilIfEmpty(s.Requires),
		Operations: make([]SuggestedOperation, len(s.Operations)),
	}
	if len(s.Without) > 0 {
		shown.Without = new(f.relationships(s.Without))
	}
	for i, o := range s.Operations {
		shown.Operations[i] = f.operation(o)
	}
	return shown
}

func (f referrer) operation(o explain.Operation) SuggestedOperation {
	method, path, body := suggestedCall(o.Action)
	shown := SuggestedOperation{
		Text: o.Text, Method: method, Path: path, BodyOmitted: nilIfFalse(o.NamesHiddenPeople),
		Needs: make([]NeededPermission, len(o.Needs)), Approvers: make([]Approvers, len(o.Approvers)),
	}
	if body != nil && !o.NamesHiddenPeople {
		shown.Body = &body
	}
	if o.Backend {
		shown.Scope = new(SuggestedOperationScope("provision"))
	}
	for i, need := range o.Needs {
		shown.Needs[i] = NeededPermission{Permission: string(need), Resource: f.object(o.On)}
	}
	for i, group := range o.Approvers {
		shown.Approvers[i] = Approvers{
			Relation: string(group.Relation), Resource: f.object(group.Resource), More: nilIfFalse(group.More),
		}
		if len(group.People) > 0 {
			shown.Approvers[i].People = new(toStrings(group.People))
		}
	}
	return shown
}

func nilIfFalse(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}
