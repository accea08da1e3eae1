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
func (a *productAPI) ListAccountContents(
	c *gin.Context, id ID, collection ListAccountContentsParamsCollection, params ListAccountContentsParams,
) {
	a.listContents(
		c, authz.Object{Type: "account", ID: authz.ID(id)}, string(collection), params.Actor,
		page(params.Limit, params.Cursor),
	)
}

// ListWorkspaceContents implements ServerInterface.
func (a *productAPI) ListWorkspaceContents(
	c *gin.Context, id ID, collection ListWorkspaceContentsParamsCollection, params ListWorkspaceContentsParams,
) {
	a.listContents(
		c, authz.Object{Type: "workspace", ID: authz.ID(id)}, string(collection), params.Actor,
		page(params.Limit, params.Cursor),
	)
}

// listContents answers with the objects of one type in an account or workspace. It omits those that the actor may not
// view.
func (a *productAPI) listContents(c *gin.Context, place authz.Object, collection, actor string, page operation.Page) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		if a.operations == nil {
			return nil, errNoProduct
		}
		by := callOf(c).caller()
		var err error
		if by.Actor, err = parseActor(`the parameter "actor"`, actor); err != nil {
			return nil, err
		}
		of := operation.Collection{Place: place, Type: operation.Collections(place.Type)[collection]}
		if of.Permissions, err = a.definitions.permissionsOf(ctx, of.Type); err != nil {
			return nil, err
		}
		objects, token, err := a.operations.Contents(ctx, by, of, page)
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
