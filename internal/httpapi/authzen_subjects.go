package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// SearchSubjects implements ServerInterface.
func (s *server) SearchSubjects(c *gin.Context) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[SubjectSearch](c)
		if err != nil {
			return nil, err
		}
		asked := question{
			subject: AccessEntity{Type: body.Subject.Type, Properties: body.Subject.Properties},
			action:  body.Action, resource: body.Resource, context: optional(body.Context),
		}
		var in reader
		in.text("subject.type", asked.subject.Type)
		in.text("action.name", asked.action.Name)
		in.entity("resource", asked.resource)
		page := in.page(callOf(c), "subject", asked, body.Page)
		if in.err != nil {
			return nil, in.err
		}
		v, err := s.vocabulary(ctx)
		if err != nil {
			return nil, err
		}
		found, err := s.findSubjects(ctx, v, asked)
		if err != nil {
			return nil, err
		}
		ids, failed, shown, err := found.named.page(page)
		errs := s.searchErrors(ctx, found.named, failed, failedEntity(body.Subject.Type))
		if found.failure != nil && page.After == "" {
			errs = new(append(
				SearchErrors{{Type: &body.Subject.Type, Error: s.evaluationError(ctx, found.failure)}}, optional(errs)...,
			))
		}
		return SubjectSearchResults{Page: shown, Context: found.context(errs), Results: entities(body.Subject.Type, ids)}, err
	})
}

// subjects are those with a permission or an error: by name, and everybody else if it is given to all of the type, but
// some. A failure is that of everybody.
type subjects struct {
	named     outcomes
	everybody bool
	except    []string
	failure   error
}

// findSubjects finds nobody where the schema does not know what is asked for.
func (s *server) findSubjects(ctx context.Context, v vocabulary, asked question) (found subjects, err error) {
	if err := s.requireTypes(ctx, asked); err != nil {
		return found, err
	}
	query, unknown := v.subjectQuery(asked)
	if unknown != nil {
		return found, nil
	}
	if err := s.requireInspection(ctx, query.Type, query.Resource.Type, query.Permission); err != nil {
		return found, err
	}
	contexts := contextsOf(v.context(asked))
	query.Context = contexts[0]
	found, err = s.lookUpSubjects(ctx, query)
	fails := errors.Is(err, authz.CodeInvalid) || authz.CodeOf(found.failure) == authz.CodeInvalid ||
		found.named.failsFor()
	if len(contexts) == 1 || !fails {
		return found, err
	}
	query.Context = contexts[1]
	second, otherErr := s.lookUpSubjects(ctx, query)
	if err != nil || otherErr != nil {
		return second, otherErr
	}
	return found.or(second), nil
}

// or takes from a second search what failed with the context of the first one.
func (all subjects) or(second subjects) subjects {
	for id, err := range all.named {
		if authz.CodeOf(err) != authz.CodeInvalid {
			continue
		}
		if other, known := second.named[id]; known {
			all.named[id] = other
		} else if second.everybody && !slices.Contains(second.except, id) {
			all.named[id] = nil
		} else {
			delete(all.named, id)
		}
	}
	if authz.CodeOf(all.failure) == authz.CodeInvalid {
		all.everybody, all.except, all.failure = second.everybody, second.except, second.failure
	}
	return all
}

func (s *server) lookUpSubjects(ctx context.Context, query authz.SubjectQuery) (subjects, error) {
	all := subjects{named: make(outcomes)}
	for found, err := range s.Engine.LookupSubjects(ctx, query, authz.Consistency{}) {
		switch err = cmp.Or(err, ctx.Err()); {
		case err != nil:
			return all, err
		case len(found.Excluded) > maxSubjects:
			return all, authz.Errorf(authz.CodeTooLarge, "there are more than %d exceptions from everybody", maxSubjects)
		case found.Err == nil && !found.Decision.Allowed():
		case !found.Subject.Wildcard:
			all.named[string(found.Subject.ID)] = found.Err
		case found.Err != nil:
			all.failure = found.Err
		default:
			all.everybody, all.except = true, texts(found.Excluded)
		}
		if err := all.named.bounded(); err != nil {
			return all, err
		}
	}
	slices.Sort(all.except)
	all.except = slices.DeleteFunc(all.except, func(id string) bool {
		failure, named := all.named[id]
		return named && failure == nil
	})
	return all, nil
}

func (v vocabulary) subjectQuery(asked question) (authz.SubjectQuery, error) {
	subject, err := v.definition(asked.subject.Type)
	if err != nil {
		return authz.SubjectQuery{}, err
	}
	resource, err := v.object(asked.resource)
	if err != nil {
		return authz.SubjectQuery{}, err
	}
	permission, err := v.permission(asked.resource.Type, asked.action.Name)
	return authz.SubjectQuery{Resource: resource, Permission: permission, Type: subject.Type}, err
}

// context tells of those who have no name in the results. A wildcard is none of them, since the id "*" is the letter.
func (all subjects) context(errs *SearchErrors) *SubjectSearchContext {
	switch {
	case all.everybody:
		return &SubjectSearchContext{Everybody: &Everybody{Except: all.except}, Errors: errs}
	case errs != nil:
		return &SubjectSearchContext{Errors: errs}
	default:
		return nil
	}
}

func entities(typ string, ids []string) []FoundEntity {
	found := make([]FoundEntity, len(ids))
	for i, id := range ids {
		found[i] = FoundEntity{Type: typ, ID: id}
	}
	return found
}
