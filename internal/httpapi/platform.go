package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type platformOperations interface {
	AddPlatformAdministrator(ctx context.Context, by operation.Caller, user authz.ID) (operation.Done, error)
	RemovePlatformAdministrator(ctx context.Context, by operation.Caller, user authz.ID) (operation.Done, error)
	PutConnector(
		ctx context.Context, by operation.Caller, id authz.ID, capabilities []string,
	) (operation.Connector, operation.Done, error)
	GetConnector(ctx context.Context, by operation.Caller, id authz.ID) (operation.Connector, authz.Token, error)
	Delete(ctx context.Context, by operation.Caller, object authz.Object) (operation.Done, error)
}

// addPlatformAdministrator decodes PUT /v1/platform/administrators/{user}.
func addPlatformAdministrator(r request) (writeCall, error) {
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.AddPlatformAdministrator(ctx, r.caller(), r.user())
		return doneAnswer(done), done, err
	}, nil
}

// removePlatformAdministrator decodes DELETE /v1/platform/administrators/{user}.
func removePlatformAdministrator(r request) (writeCall, error) {
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.RemovePlatformAdministrator(ctx, r.caller(), r.user())
		return doneAnswer(done), done, err
	}, nil
}

// putConnector decodes PUT /v1/connectors/{id}.
func putConnector(r request) (writeCall, error) {
	body, err := decodeBody[ConnectorCapabilities](r)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		connector, done, err := on.PutConnector(ctx, r.caller(), r.id(), body.Capabilities)
		return showConnector(connector, done.Token), done, err
	}, nil
}

// GetConnector implements ServerInterface.
func (a *productAPI) GetConnector(c *gin.Context, id ID, _ GetConnectorParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		connector, token, err := a.operations.GetConnector(ctx, callOf(c).caller(), authz.ID(id))
		return showConnector(connector, token), err
	})
}

func showConnector(c operation.Connector, token authz.Token) Connector {
	return Connector{
		ID:           string(c.ID),
		Account:      nilIfEmpty(c.Account),
		Capabilities: new(toStrings(c.Capabilities)),
		Token:        string(token),
	}
}

// deleteObject decodes the DELETE of an object of a type.
func deleteObject(typ authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			done, err := on.Delete(ctx, r.caller(), authz.Object{Type: typ, ID: r.id()})
			return doneAnswer(done), done, err
		}, nil
	}
}

// doneAnswer is the answer of an operation without other results.
func doneAnswer(done operation.Done) Done { return Done{Token: string(done.Token)} }
