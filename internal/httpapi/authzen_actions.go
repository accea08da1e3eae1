package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

// SearchActions implements ServerInterface.
func (s *server) SearchActions(c *gin.Context) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[ActionSearch](c)
		if err != nil {
			return nil, err
		}
		asked := question{subject: body.Subject, resource: body.Resource, context: optional(body.Context)}
		var in reader
		in.entity("subject", asked.subject)
		in.entity("resource", asked.resource)
		page := in.page(callOf(c), "action", asked, body.Page)
		if in.err != nil {
			return nil, in.err
		}
		v, err := s.vocabulary(ctx)
		if err != nil {
			return nil, err
		}
		found, err := s.findActions(ctx, v, asked)
		if err != nil {
			return nil, err
		}
		names, failed, shown, err := found.page(page)
		errs := s.searchErrors(ctx, found, failed, func(name string) SearchError { return SearchError{Name: &name} })
		results := ActionSearchResults{Page: shown, Context: searchContext(errs), Results: make([]FoundAction, len(names))}
		for i, name := range names {
			results.Results[i].Name = name
		}
		return results, err
	})
}

// findActions returns the public permissions that the subject has, and those that could not be decided; none if the
// schema does not have the type or the permission.
func (s *server) findActions(ctx context.Context, v vocabulary, asked question) (outcomes, error) {
	if err := s.requireTypes(ctx, asked); err != nil {
		return nil, err
	}
	definition, unknown := v.definition(asked.resource.Type)
	if unknown != nil {
		return nil, nil
	}
	var questions []readCheck
	for _, permission := range definition.Public() {
		asked.action.Name = string(permission)
		check, unknown := v.check(asked)
		if unknown != nil {
			return nil, nil
		}
		questions = append(questions, readCheck{check: check})
	}
	results, err := s.decide(ctx, questions)
	if err != nil {
		return nil, err
	}
	found := make(outcomes)
	for i, result := range results {
		s.Metrics.decision(result.Decision, result.Err)
		if result.Err != nil && !isOfQuestion(result.Err) {
			return nil, result.Err
		}
		if result.Err != nil || result.Decision.Allowed() {
			found[string(questions[i].check.Permission)] = result.Err
		}
	}
	return found, nil
}
