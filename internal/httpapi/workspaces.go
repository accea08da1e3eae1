package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type workspaceOperations interface {
	CreateWorkspace(
		ctx context.Context, by operation.Caller, in operation.NewWorkspace,
	) (operation.Workspace, operation.Done, error)
	GetWorkspace(ctx context.Context, by operation.Caller, id authz.ID) (operation.Workspace, authz.Token, error)
	SetWorkspaceAccess(
		ctx context.Context, by operation.Caller, id authz.ID, access operation.Access,
	) (operation.Workspace, operation.Done, error)
}

// createWorkspace decodes POST /v1/workspaces.
func createWorkspace(r request) (writeCall, error) {
	body, err := decodeBody[NewWorkspace](r)
	if err != nil {
		return nil, err
	}
	var in reader
	input := operation.NewWorkspace{
		ID: in.id(
			"id",
			body.ID,
		), Account: in.id("account", body.Account), Access: operation.Access{Open: body.Open},
	}
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		workspace, done, err := on.CreateWorkspace(ctx, r.caller(), input)
		return showWorkspace(workspace, done.Token), done, err
	}, nil
}

// GetWorkspace implements ServerInterface.
func (a *productAPI) GetWorkspace(c *gin.Context, id ID, _ GetWorkspaceParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		workspace, token, err := a.operations.GetWorkspace(ctx, callOf(c).caller(), authz.ID(id))
		return showWorkspace(workspace, token), err
	})
}

// setWorkspaceAccess decodes PUT /v1/workspaces/{id}/access.
func setWorkspaceAccess(r request) (writeCall, error) {
	body, err := decodeBody[Access](r)
	if err != nil {
		return nil, err
	}
	var in reader
	access := operation.Access{Open: body.Open, Users: in.people("users", body.Users)}
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		workspace, done, err := on.SetWorkspaceAccess(ctx, r.caller(), r.id(), access)
		return showWorkspace(workspace, done.Token), done, err
	}, nil
}

func showWorkspace(w operation.Workspace, token authz.Token) Workspace {
	return Workspace{
		ID: string(w.ID), Account: nilIfEmpty(w.Account), Open: new(w.Open), Users: new(toStrings(w.Users)),
		Token: string(token),
	}
}
