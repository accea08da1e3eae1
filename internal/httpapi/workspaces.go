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
	) (operation.Workspace, authz.Token, error)
	GetWorkspace(ctx context.Context, by operation.Caller, id authz.ID) (operation.Workspace, authz.Token, error)
	SetWorkspaceAccess(
		ctx context.Context, by operation.Caller, id authz.ID, access operation.Access,
	) (operation.Workspace, authz.Token, error)
}

// CreateWorkspace implements ServerInterface.
func (s *server) CreateWorkspace(c *gin.Context, _ CreateWorkspaceParams) {
	s.answer(c, http.StatusCreated, func(ctx context.Context) (any, error) {
		body, err := decode[NewWorkspace](c)
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
		workspace, token, err := s.Operations.CreateWorkspace(ctx, callOf(c).caller(), input)
		return showWorkspace(workspace, token), err
	})
}

// GetWorkspace implements ServerInterface.
func (s *server) GetWorkspace(c *gin.Context, id ID, _ GetWorkspaceParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		workspace, token, err := s.Operations.GetWorkspace(ctx, callOf(c).caller(), authz.ID(id))
		return showWorkspace(workspace, token), err
	})
}

// SetWorkspaceAccess implements ServerInterface.
func (s *server) SetWorkspaceAccess(c *gin.Context, id ID, _ SetWorkspaceAccessParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[Access](c)
		if err != nil {
			return nil, err
		}
		var in reader
		access := operation.Access{Open: body.Open, Users: in.people("users", body.Users)}
		if in.err != nil {
			return nil, in.err
		}
		workspace, token, err := s.Operations.SetWorkspaceAccess(ctx, callOf(c).caller(), authz.ID(id), access)
		return showWorkspace(workspace, token), err
	})
}

// DeleteWorkspace implements ServerInterface.
func (s *server) DeleteWorkspace(c *gin.Context, id ID, _ DeleteWorkspaceParams) {
	s.delete(c, "workspace", id)
}

func showWorkspace(w operation.Workspace, token authz.Token) Workspace {
	return Workspace{
		ID: string(w.ID), Account: nilIfEmpty(w.Account), Open: w.Open, Users: toStrings(w.Users), Token: string(token),
	}
}
