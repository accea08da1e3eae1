package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/pages"
)

// ListRelationships implements ServerInterface.
func (a *decisionAPI) ListRelationships(c *gin.Context, params ListRelationshipsParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		object, err := queryObject(params.Resource)
		if err != nil {
			return nil, withPlace(`the parameter "resource"`, err)
		}
		filter := authz.Filter{Type: object.Type, ID: object.ID}
		if params.Relation != nil {
			if filter.Relation, err = authz.ParseRelation(*params.Relation); err != nil {
				return nil, withPlace(`the parameter "relation"`, err)
			}
		}
		limit := optional(params.Limit)
		if limit == 0 {
			limit = operation.DefaultLimit
		}
		cursors, position := pages.CursorsOf("relationships", filter), ""
		if cursor := optional(params.Cursor); cursor != "" {
			if position, err = cursors.Parse(cursor); err != nil {
				return nil, err
			}
		}
		items, more, err := a.read(ctx, filter, limit, position)
		if err != nil {
			return nil, err
		}
		page, err := relationshipPage(items, more)
		if page.NextCursor != "" {
			page.NextCursor = cursors.New(page.NextCursor)
		}
		return page, err
	})
}

// read reads up to limit relationships, and reports whether there are more. It reads the newest revision, or that of
// the cursor.
func (a *decisionAPI) read(
	ctx context.Context, filter authz.Filter, limit int, cursor string,
) (items []authz.ReadItem, more bool, err error) {
	for item, err := range a.engine.Read(ctx, filter, authz.Fully(), authz.Page{Limit: limit + 1, Cursor: cursor}) {
		if err != nil {
			return nil, false, err
		}
		if len(items) == limit {
			return items, true, nil
		}
		items = append(items, item)
	}
	return items, false, nil
}

func relationshipPage(items []authz.ReadItem, more bool) (RelationshipPage, error) {
	page := RelationshipPage{Relationships: make([]Relationship, len(items))}
	for i, item := range items {
		resource, err := reference(authz.Subject{Object: item.Relationship.Resource})
		if err != nil {
			return page, err
		}
		subject, err := reference(item.Relationship.Subject)
		if err != nil {
			return page, err
		}
		page.Relationships[i] = Relationship{
			Resource: resource, Relation: string(item.Relationship.Relation), Subject: subject, ExpiresAt: showTime(
				item.Relationship.ExpiresAt,
			),
		}
		if page.Relationships[i].Caveat, err = showCaveat(item.Relationship); err != nil {
			return page, err
		}
	}
	if last := len(items) - 1; last >= 0 {
		page.Token = nilIfEmpty(items[last].Token)
		if more {
			page.NextCursor = items[last].Cursor
		}
	}
	return page, nil
}

// showCaveat returns the caveat of a relationship, or nil if it has none.
func showCaveat(r authz.Relationship) (*RelationshipCaveat, error) {
	if r.Caveat == "" {
		return nil, nil //nolint:nilnil // nil means that there is no caveat
	}
	shown := &RelationshipCaveat{Name: r.Caveat}
	if r.CaveatContext == "" {
		return shown, nil
	}
	return shown, json.Unmarshal([]byte(r.CaveatContext), &shown.Context)
}
