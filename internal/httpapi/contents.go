package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type contentOperations interface {
	Contents(
		ctx context.Context, by operation.Caller, of operation.Collection, page operation.Page,
	) (operation.Objects, authz.Token, error)
}

// ListAccountContents implements ServerInterface.
func (s *server) ListAccountContents(
	c *gin.Context, id ID, collection ListAccountContentsParamsCollection, params ListAccountContentsParams,
) {
	s.listContents(
		c, authz.Object{Type: "account", ID: authz.ID(id)}, string(collection), params.Actor,
		page(params.Limit, params.Cursor),
	)
}

// ListWorkspaceContents implements ServerInterface.
func (s *server) ListWorkspaceContents(
	c *gin.Context, id ID, collection ListWorkspaceContentsParamsCollection, params ListWorkspaceContentsParams,
) {
	s.listContents(
		c, authz.Object{Type: "workspace", ID: authz.ID(id)}, string(collection), params.Actor,
		page(params.Limit, params.Cursor),
	)
}

// listContents answers the objects of one type in a place that the actor may view.
func (s *server) listContents(c *gin.Context, place authz.Object, collection, actor string, page operation.Page) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		if s.Operations == nil {
			return nil, errNoProduct
		}
		by := callOf(c).caller()
		var err error
		if by.Actor, err = parsePerson(`the parameter "actor"`, actor); err != nil {
			return nil, err
		}
		of := operation.Collection{Place: place, Type: operation.Collections(place.Type)[collection]}
		if of.Permissions, err = s.permissionsOf(ctx, of.Type); err != nil {
			return nil, err
		}
		objects, token, err := s.Operations.Contents(ctx, by, of, page)
		shown := ObjectPage{
			Objects: make([]VisibleObject, len(objects.Objects)), NextCursor: objects.NextCursor, Token: string(token),
		}
		for i, object := range objects.Objects {
			shown.Objects[i] = VisibleObject{
				ID: string(
					object.ID,
				), Permissions: toStrings(object.Permissions), Errors: permissionErrors(object.Errors),
			}
		}
		return shown, err
	})
}
