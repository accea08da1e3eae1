package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// SearchResources implements ServerInterface.
func (a *authZENAPI) SearchResources(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[ResourceSearch](c)
		if err != nil {
			return nil, err
		}
		q := question{
			subject: body.Subject, action: body.Action,
			resource: AccessEntity{Type: body.Resource.Type, Properties: body.Resource.Properties},
			context:  optional(body.Context),
		}
		var in reader
		in.entity("subject", q.subject)
		in.text("action.name", q.action.Name)
		in.text("resource.type", q.resource.Type)
		page := in.page(callOf(c), "resource", q, body.Page)
		if in.err != nil {
			return nil, in.err
		}
		v, err := a.vocabulary(ctx)
		if err != nil {
			return nil, err
		}
		found, err := a.findResources(ctx, v, q)
		if err != nil {
			return nil, err
		}
		ids, failed, shown, err := found.page(page)
		errs := a.searchErrors(ctx, found, failed, failedEntity(body.Resource.Type))
		return ResourceSearchResults{
			Page: shown, Context: searchContext(errs), Results: entities(body.Resource.Type, ids),
		}, err
	})
}

// findResources returns the resources on which the subject has the permission, and those that could not be decided. It
// returns none if the schema lacks the type or the permission.
func (a *authZENAPI) findResources(ctx context.Context, v vocabulary, q question) (outcomes, error) {
	if err := a.requireTypes(ctx, q); err != nil {
		return nil, err
	}
	query, unknown := v.resourceQuery(q)
	if unknown != nil {
		return nil, nil
	}
	if err := a.requireInspection(ctx, query.Subject, query.Type, query.Permission); err != nil {
		return nil, err
	}
	contexts := contextsOf(v.context(q))
	query.Context = contexts[0]
	found, err := a.lookUpResources(ctx, query)
	if len(contexts) == 1 || !errors.Is(err, authz.CodeInvalid) && !found.hasContextError() {
		return found, err
	}
	query.Context = contexts[1]
	second, otherErr := a.lookUpResources(ctx, query)
	if err != nil || otherErr != nil {
		return second, otherErr
	}
	for id, err := range found {
		if authz.CodeOf(err) != authz.CodeInvalid {
			continue
		}
		if other, known := second[id]; known {
			found[id] = other
		} else {
			delete(found, id)
		}
	}
	return found, nil
}

// lookUpResources looks up all resources, for every page. It does not use the engine's pages, because they repeat
// a resource that the subject reaches on several paths.
func (a *authZENAPI) lookUpResources(ctx context.Context, query authz.ResourceQuery) (outcomes, error) {
	all := make(outcomes)
	for found, err := range a.engine.LookupResources(ctx, query, authz.Consistency{}, authz.Page{}) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		if found.Err != nil || found.Decision.Allowed() {
			all[string(found.ID)] = found.Err
		}
		if err := all.checkCount(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (v vocabulary) resourceQuery(q question) (authz.ResourceQuery, error) {
	subject, err := v.object(q.subject)
	if err != nil {
		return authz.ResourceQuery{}, err
	}
	permission, err := v.permission(q.resource.Type, q.action.Name)
	return authz.ResourceQuery{
		Subject: authz.Subject{Object: subject}, Permission: permission, Type: authz.Type(q.resource.Type),
	}, err
}
