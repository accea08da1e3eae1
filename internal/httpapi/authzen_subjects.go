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
func (a *authZENAPI) SearchSubjects(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[SubjectSearch](c)
		if err != nil {
			return nil, err
		}
		q := question{
			subject: AccessEntity{Type: body.Subject.Type, Properties: body.Subject.Properties},
			action:  body.Action, resource: body.Resource, context: optional(body.Context),
		}
		var in reader
		in.text("subject.type", q.subject.Type)
		in.text("action.name", q.action.Name)
		in.entity("resource", q.resource)
		page := in.page(callOf(c), "subject", q, body.Page)
		if in.err != nil {
			return nil, in.err
		}
		v, err := a.vocabulary(ctx)
		if err != nil {
			return nil, err
		}
		found, err := a.findSubjects(ctx, v, q)
		if err != nil {
			return nil, err
		}
		ids, failed, shown, err := found.named.page(page)
		errs := a.searchErrors(ctx, found.named, failed, failedEntity(body.Subject.Type))
		if found.failure != nil && page.After == "" {
			errs = new(append(
				SearchErrors{
					{Type: &body.Subject.Type, Error: a.evaluationError(ctx, found.failure)},
				},
				optional(errs)...,
			))
		}
		return SubjectSearchResults{
			Page:    shown,
			Context: found.context(errs),
			Results: entities(body.Subject.Type, ids),
		}, err
	})
}

// subjects is the result of a subject search. named maps each found subject to nil, or to the error if it could not be
// decided. everybody is set if a wildcard grants the permission to all subjects of the type except those in except.
// failure is the error of deciding the wildcard.
type subjects struct {
	named     outcomes
	everybody bool
	except    []string
	failure   error
}

// findSubjects returns the subjects with the permission. It returns none if the schema lacks the type or the
// permission.
func (a *authZENAPI) findSubjects(ctx context.Context, v vocabulary, q question) (found subjects, err error) {
	if err := a.requireTypes(ctx, q); err != nil {
		return found, err
	}
	query, unknown := v.subjectQuery(q)
	if unknown != nil {
		return found, nil
	}
	if err := a.requireInspection(ctx, ofType(query.Type), query.Resource.Type, query.Permission); err != nil {
		return found, err
	}
	contexts := contextsOf(v.context(q))
	query.Context = contexts[0]
	found, err = a.lookUpSubjects(ctx, query)
	fails := errors.Is(err, authz.CodeInvalid) || authz.CodeOf(found.failure) == authz.CodeInvalid ||
		found.named.hasContextError()
	if len(contexts) == 1 || !fails {
		return found, err
	}
	query.Context = contexts[1]
	second, otherErr := a.lookUpSubjects(ctx, query)
	if err != nil || otherErr != nil {
		return second, otherErr
	}
	return found.merge(second), nil
}

// merge replaces the results that failed with the first context by the results of a second search.
func (all subjects) merge(second subjects) subjects {
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

func (a *authZENAPI) lookUpSubjects(ctx context.Context, query authz.SubjectQuery) (subjects, error) {
	all := subjects{named: make(outcomes)}
	for found, err := range a.engine.LookupSubjects(ctx, query, authz.Consistency{}) {
		switch err = cmp.Or(err, ctx.Err()); {
		case err != nil:
			return all, err
		case len(found.Excluded) > maxSubjects:
			return all, authz.Errorf(authz.CodeTooLarge, "a wildcard excludes more than %d subjects", maxSubjects)
		case found.Err == nil && !found.Decision.Allowed():
		case !found.Subject.Wildcard:
			all.named[string(found.Subject.ID)] = found.Err
		case found.Err != nil:
			all.failure = found.Err
		default:
			all.everybody, all.except = true, toStrings(found.Excluded)
		}
		if err := all.named.checkCount(); err != nil {
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

func (v vocabulary) subjectQuery(q question) (authz.SubjectQuery, error) {
	subject, err := v.definition(q.subject.Type)
	if err != nil {
		return authz.SubjectQuery{}, err
	}
	resource, err := v.object(q.resource)
	if err != nil {
		return authz.SubjectQuery{}, err
	}
	permission, err := v.permission(q.resource.Type, q.action.Name)
	return authz.SubjectQuery{Resource: resource, Permission: permission, Type: subject.Type}, err
}

// context describes the subjects that the results cannot contain. A wildcard is one of them, because AuthZEN reads the
// id "*" as an ordinary id.
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
