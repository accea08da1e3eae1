package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type partOperations interface {
	CreatePart(ctx context.Context, by operation.Caller, part operation.Part) (operation.Part, authz.Token, error)
	GetPart(ctx context.Context, by operation.Caller, object authz.Object) (operation.Part, authz.Token, error)
}

// createInWorkspace answers a call that creates an object in a workspace.
func (s *server) createInWorkspace(c *gin.Context, typ authz.Type) {
	s.answer(c, http.StatusCreated, func(ctx context.Context) (any, error) {
		body, err := decode[NewPartOfWorkspace](c)
		if err != nil {
			return nil, err
		}
		var in reader
		input := operation.Part{
			Type: typ, ID: in.id("id", body.ID), Parent: authz.Object{Type: "workspace", ID: in.id("workspace", body.Workspace)},
		}
		if in.err != nil {
			return nil, in.err
		}
		part, token, err := s.Operations.CreatePart(ctx, callOf(c).caller(), input)
		return showPartOfWorkspace(part, token), err
	})
}

// getFromWorkspace answers a call that reads an object in a workspace.
func (s *server) getFromWorkspace(c *gin.Context, typ authz.Type, id ID) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		part, token, err := s.Operations.GetPart(ctx, callOf(c).caller(), authz.Object{Type: typ, ID: authz.ID(id)})
		return showPartOfWorkspace(part, token), err
	})
}

func showPartOfWorkspace(part operation.Part, token authz.Token) PartOfWorkspace {
	return PartOfWorkspace{ID: string(part.ID), Workspace: nilIfEmpty(part.Parent.ID), Token: string(token)}
}

// createInAccount answers a call that creates an object in an account.
func (s *server) createInAccount(c *gin.Context, typ authz.Type) {
	s.answer(c, http.StatusCreated, func(ctx context.Context) (any, error) {
		body, err := decode[NewPartOfAccount](c)
		if err != nil {
			return nil, err
		}
		var in reader
		input := operation.Part{
			Type: typ, ID: in.id("id", body.ID), Parent: authz.Object{Type: "account", ID: in.id("account", body.Account)},
		}
		if in.err != nil {
			return nil, in.err
		}
		part, token, err := s.Operations.CreatePart(ctx, callOf(c).caller(), input)
		return showPartOfAccount(part, token), err
	})
}

// getFromAccount answers a call that reads an object in an account.
func (s *server) getFromAccount(c *gin.Context, typ authz.Type, id ID) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		part, token, err := s.Operations.GetPart(ctx, callOf(c).caller(), authz.Object{Type: typ, ID: authz.ID(id)})
		return showPartOfAccount(part, token), err
	})
}

func showPartOfAccount(part operation.Part, token authz.Token) PartOfAccount {
	return PartOfAccount{ID: string(part.ID), Account: nilIfEmpty(part.Parent.ID), Token: string(token)}
}

// CreateConnector implements ServerInterface.
func (s *server) CreateConnector(c *gin.Context, _ CreateConnectorParams) {
	s.createInAccount(c, "connector")
}

// DeleteConnector implements ServerInterface.
func (s *server) DeleteConnector(c *gin.Context, id ID, _ DeleteConnectorParams) {
	s.delete(c, "connector", id)
}
