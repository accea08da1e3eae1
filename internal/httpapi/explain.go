package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/explain"
)

// Explainer says why a check is answered as it is.
type Explainer interface {
	Explain(ctx context.Context, question explain.Question) (explain.Explanation, error)
}

// Explain implements ServerInterface.
func (s *server) Explain(c *gin.Context, _ ExplainParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
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
		if err := s.requireCheck(ctx, question.Check); err != nil {
			return nil, err
		}
		return s.expensive(ctx, func() (any, error) {
			explanation, err := s.Explainer.Explain(ctx, question)
			s.Metrics.decision(explanation.Decision, err)
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
		Unstored: unlessFalse(e.Unstored), Withheld: unlessFalse(e.Omitted), Incomplete: unlessFalse(e.Incomplete),
		Token: string(e.Token),
	}
	refer := referrer{&err}
	if e.Decision.State == authz.Denied {
		missing := make([]MissingWay, len(e.Suggestions))
		for i, way := range e.Suggestions {
			missing[i] = refer.way(way)
		}
		shown.Missing = &missing
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

// referrer writes references, and keeps the first error.
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
		Caveat: unlessEmpty(r.Caveat), Expression: unlessEmpty(s.Expression), Text: s.Text,
	}
	if !r.ExpiresAt.IsZero() {
		step.ExpiresAt = new(r.ExpiresAt.UTC())
	}
	return step
}

func (f referrer) relationships(all []authz.Relationship) []MissingRelationship {
	shown := make([]MissingRelationship, len(all))
	for i, r := range all {
		shown[i] = MissingRelationship{
			Resource: f.object(r.Resource), Relation: string(r.Relation), Subject: f.subject(r.Subject),
		}
	}
	return shown
}

func (f referrer) way(w explain.Suggestion) MissingWay {
	way := MissingWay{
		Text: w.Text, Relationships: f.relationships(w.Relationships), RequiresFeature: unlessEmpty(w.Requires),
		Operations: make([]GrantingOperation, len(w.Operations)),
	}
	if len(w.Without) > 0 {
		way.Without = new(f.relationships(w.Without))
	}
	for i, o := range w.Operations {
		way.Operations[i] = f.operation(o)
	}
	return way
}

func (f referrer) operation(o explain.Operation) GrantingOperation {
	method, path, body := suggestedCall(o.Action)
	shown := GrantingOperation{
		Text: o.Text, Method: method, Path: path, BodyWithheld: unlessFalse(o.NamesHiddenPeople),
		Needs: make([]NeededPermission, len(o.Needs)), Performers: make([]Performers, len(o.Approvers)),
	}
	if body != nil && !o.NamesHiddenPeople {
		shown.Body = &body
	}
	if o.Backend {
		shown.Scope = new(GrantingOperationScope("provision"))
	}
	for i, need := range o.Needs {
		shown.Needs[i] = NeededPermission{Permission: string(need), Resource: f.object(o.On)}
	}
	for i, group := range o.Approvers {
		shown.Performers[i] = Performers{
			Relation: string(group.Relation), Resource: f.object(group.Resource), More: unlessFalse(group.More),
		}
		if len(group.People) > 0 {
			shown.Performers[i].People = new(texts(group.People))
		}
	}
	return shown
}

func unlessFalse(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}
