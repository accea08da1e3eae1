package httpapi

import (
	"context"
	"errors"
	"net/http"

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
		found, err := s.findResources(ctx, v, asked, page)
		if err != nil {
			return nil, err
		}
		shown, err := page.answer(len(found.ids), found.more, found.cursor)
		return ResourceSearchResults{Page: shown, Results: entities(body.Resource.Type, found.ids)}, err
	})
}

// resources are those of one page, with the engine's cursor after them.
type resources struct {
	ids    []string
	cursor string
	more   bool
}

// findResources finds nothing where the schema does not know what is asked for.
func (s *server) findResources(ctx context.Context, v vocabulary, asked question, page searchPage) (found resources, err error) {
	query, unknown := v.resourceQuery(asked)
	if unknown != nil {
		return found, nil
	}
	for _, query.Context = range contextsOf(v.context(asked)) {
		if found, err = s.lookUpResources(ctx, query, page); !errors.Is(err, authz.CodeInvalid) {
			break
		}
	}
	return found, err
}

func (s *server) lookUpResources(ctx context.Context, query authz.ResourceQuery, page searchPage) (resources, error) {
	all := resources{cursor: page.After}
	seen := make(map[authz.ID]bool)
	// Beyond the page, one more resource tells whether there is a next one. Those that do not count (conditional ones, and
	// those that come twice) take part of what the engine is asked for, so it may have to be asked again.
	next := authz.Page{Limit: page.Limit + 1, Cursor: page.After}
	for {
		received := 0
		for found, err := range s.Engine.LookupResources(ctx, query, authz.Consistency{}, next) {
			if err != nil {
				return all, err
			}
			received++
			next.Cursor = found.Cursor
			if !found.Decision.Allowed() || seen[found.ID] {
				continue
			}
			if len(all.ids) == page.Limit {
				all.more = true
				return all, nil
			}
			seen[found.ID] = true
			all.ids, all.cursor = append(all.ids, string(found.ID)), found.Cursor
		}
		if received < next.Limit || next.Cursor == "" {
			return all, nil
		}
	}
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
