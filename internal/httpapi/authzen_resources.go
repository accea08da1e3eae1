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

// SearchResources implements ServerInterface.
func (s *server) SearchResources(c *gin.Context) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[ResourceSearch](c)
		if err != nil {
			return nil, err
		}
		asked := question{
			subject: body.Subject, action: body.Action,
			resource: AccessEntity{Type: body.Resource.Type, Properties: body.Resource.Properties},
			context:  optional(body.Context),
		}
		var in reader
		in.entity("subject", asked.subject)
		in.text("action.name", asked.action.Name)
		in.text("resource.type", asked.resource.Type)
		page := in.page("resource", asked, body.Page)
		if in.err != nil {
			return nil, in.err
		}
		v, err := s.vocabulary(ctx)
		if err != nil {
			return nil, err
		}
		found, err := s.findResources(ctx, v, asked)
		if err != nil {
			return nil, err
		}
		ids, shown, err := page.of(found)
		return ResourceSearchResults{Page: shown, Results: entities(body.Resource.Type, ids)}, err
	})
}

// findResources returns the ids of what the subject has the permission on, in order; none where the schema does not know what
// is asked for.
func (s *server) findResources(ctx context.Context, v vocabulary, asked question) (ids []string, err error) {
	query, unknown := v.resourceQuery(asked)
	if unknown != nil {
		return nil, nil
	}
	if err := s.requireInspection(ctx, query.Subject.Type, query.Type, query.Permission); err != nil {
		return nil, err
	}
	for _, query.Context = range contextsOf(v.context(asked)) {
		if ids, err = s.lookUpResources(ctx, query); !errors.Is(err, authz.CodeInvalid) {
			break
		}
	}
	return ids, err
}

// lookUpResources looks up all of them, whatever the page: the engine's own pages repeat a resource that is reached in
// several ways.
func (s *server) lookUpResources(ctx context.Context, query authz.ResourceQuery) ([]string, error) {
	var ids []string
	for found, err := range s.Engine.LookupResources(ctx, query, authz.Consistency{}, authz.Page{}) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		if found.Decision.Allowed() {
			ids = append(ids, string(found.ID))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (v vocabulary) resourceQuery(asked question) (authz.ResourceQuery, error) {
	subject, err := v.object(asked.subject)
	if err != nil {
		return authz.ResourceQuery{}, err
	}
	permission, err := v.permission(asked.resource.Type, asked.action.Name)
	return authz.ResourceQuery{
		Subject: authz.Subject{Object: subject}, Permission: permission, Type: authz.Type(asked.resource.Type),
	}, err
}
