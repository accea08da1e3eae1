package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type platformOperations interface {
	AddPlatformAdministrator(ctx context.Context, by operation.Caller, user authz.ID) (authz.Token, error)
	RemovePlatformAdministrator(ctx context.Context, by operation.Caller, user authz.ID) (authz.Token, error)
	PutConnector(
		ctx context.Context, by operation.Caller, id authz.ID, capabilities []string,
	) (operation.Connector, authz.Token, error)
	GetConnector(ctx context.Context, by operation.Caller, id authz.ID) (operation.Connector, authz.Token, error)
	Delete(ctx context.Context, by operation.Caller, object authz.Object) (authz.Token, error)
}

// AddPlatformAdministrator implements ServerInterface.
func (s *server) AddPlatformAdministrator(c *gin.Context, user User, _ AddPlatformAdministratorParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		token, err := s.Operations.AddPlatformAdministrator(ctx, callOf(c).caller(), authz.ID(user))
		return done(token), err
	})
}

// RemovePlatformAdministrator implements ServerInterface.
func (s *server) RemovePlatformAdministrator(c *gin.Context, user User, _ RemovePlatformAdministratorParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		token, err := s.Operations.RemovePlatformAdministrator(ctx, callOf(c).caller(), authz.ID(user))
		return done(token), err
	})
}

// PutConnector implements ServerInterface.
func (s *server) PutConnector(c *gin.Context, id ID, _ PutConnectorParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[ConnectorCapabilities](c)
		if err != nil {
			return nil, err
		}
		connector, token, err := s.Operations.PutConnector(ctx, callOf(c).caller(), authz.ID(id), body.Capabilities)
		return showConnector(connector, token), err
	})
}

// GetConnector implements ServerInterface.
func (s *server) GetConnector(c *gin.Context, id ID, _ GetConnectorParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		connector, token, err := s.Operations.GetConnector(ctx, callOf(c).caller(), authz.ID(id))
		return showConnector(connector, token), err
	})
}

func showConnector(c operation.Connector, token authz.Token) Connector {
	return Connector{
		ID:           string(c.ID),
		Account:      nilIfEmpty(c.Account),
		Capabilities: toStrings(c.Capabilities),
		Token:        string(token),
	}
}

// delete answers a call that deletes an object of any type.
func (s *server) delete(c *gin.Context, typ authz.Type, id ID) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		token, err := s.Operations.Delete(ctx, callOf(c).caller(), authz.Object{Type: typ, ID: authz.ID(id)})
		return done(token), err
	})
}

// done is the answer of an operation without other results.
func done(token authz.Token) Done { return Done{Token: string(token)} }
