package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

// SearchActions implements ServerInterface.
func (a *authZENAPI) SearchActions(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[ActionSearch](c)
		if err != nil {
			return nil, err
		}
		q := question{subject: body.Subject, resource: body.Resource, context: optional(body.Context)}
		var in reader
		in.entity("subject", q.subject)
		in.entity("resource", q.resource)
		page := in.page(callOf(c), "action", q, body.Page)
		if in.err != nil {
			return nil, in.err
		}
		v, err := a.vocabulary(ctx)
		if err != nil {
			return nil, err
		}
		found, err := a.findActions(ctx, v, q)
		if err != nil {
			return nil, err
		}
		names, failed, shown, err := found.page(page)
		errs := a.searchErrors(ctx, found, failed, func(name string) SearchError { return SearchError{Name: &name} })
		results := ActionSearchResults{
			Page:    shown,
			Context: searchContext(errs),
			Results: make([]FoundAction, len(names)),
		}
		for i, name := range names {
			results.Results[i].Name = name
		}
		return results, err
	})
}

// findActions returns the public permissions that the subject has on the resource, and those that could not be decided.
// It returns none if the schema lacks the type of the subject or of the resource.
func (a *authZENAPI) findActions(ctx context.Context, v vocabulary, q question) (outcomes, error) {
	if err := a.requireTypes(ctx, q); err != nil {
		return nil, err
	}
	definition, unknown := v.definition(q.resource.Type)
	if unknown != nil {
		return nil, nil
	}
	var questions []readCheck
	for _, permission := range definition.Public() {
		q.action.Name = string(permission)
		check, unknown := v.check(q)
		if unknown != nil {
			return nil, nil
		}
		questions = append(questions, readCheck{check: check})
	}
	results, err := a.decide(ctx, questions)
	if err != nil {
		return nil, err
	}
	found := make(outcomes)
	for i, result := range results {
		a.metrics.decision(result.Decision, result.Err)
		if result.Err != nil && !isRequestError(result.Err) {
			return nil, result.Err
		}
		if result.Err != nil || result.Decision.Allowed() {
			found[string(questions[i].check.Permission)] = result.Err
		}
	}
	return found, nil
}
