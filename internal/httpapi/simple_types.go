package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type partOperations interface {
	CreatePart(ctx context.Context, by operation.Caller, part operation.Part) (operation.Part, operation.Done, error)
	GetPart(ctx context.Context, by operation.Caller, object authz.Object) (operation.Part, authz.Token, error)
}

// createInWorkspace decodes the POST that creates an object in a workspace.
func createInWorkspace(typ authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		body, err := decodeBody[NewPartOfWorkspace](r)
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
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			part, done, err := on.CreatePart(ctx, r.caller(), input)
			return showPartOfWorkspace(part, done.Token), done, err
		}, nil
	}
}

// getFromWorkspace answers a call that reads an object in a workspace.
func (a *productAPI) getFromWorkspace(c *gin.Context, typ authz.Type, id ID) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		part, token, err := a.operations.GetPart(ctx, callOf(c).caller(), authz.Object{Type: typ, ID: authz.ID(id)})
		return showPartOfWorkspace(part, token), err
	})
}

func showPartOfWorkspace(part operation.Part, token authz.Token) PartOfWorkspace {
	return PartOfWorkspace{ID: string(part.ID), Workspace: nilIfEmpty(part.Parent.ID), Token: string(token)}
}

// createInAccount decodes the POST that creates an object in an account.
func createInAccount(typ authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		body, err := decodeBody[NewPartOfAccount](r)
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
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			part, done, err := on.CreatePart(ctx, r.caller(), input)
			return showPartOfAccount(part, done.Token), done, err
		}, nil
	}
}

// getFromAccount answers a call that reads an object in an account.
func (a *productAPI) getFromAccount(c *gin.Context, typ authz.Type, id ID) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		part, token, err := a.operations.GetPart(ctx, callOf(c).caller(), authz.Object{Type: typ, ID: authz.ID(id)})
		return showPartOfAccount(part, token), err
	})
}

func showPartOfAccount(part operation.Part, token authz.Token) PartOfAccount {
	return PartOfAccount{ID: string(part.ID), Account: nilIfEmpty(part.Parent.ID), Token: string(token)}
}
