package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type connectionOperations interface {
	CreateConnection(
		ctx context.Context, by operation.Caller, in operation.NewConnection,
	) (operation.Connection, authz.Token, error)
	GetConnection(ctx context.Context, by operation.Caller, id authz.ID) (operation.Connection, authz.Token, error)
	ShareConnection(
		ctx context.Context, by operation.Caller, id authz.ID, in operation.Sharing,
	) (operation.Connection, authz.Token, error)
	GroupConnection(
		ctx context.Context, by operation.Caller, id, group authz.ID,
	) (operation.Connection, authz.Token, error)
	UngroupConnection(ctx context.Context, by operation.Caller, id authz.ID) (operation.Connection, authz.Token, error)
}

// CreateConnection implements ServerInterface.
func (s *server) CreateConnection(c *gin.Context, _ CreateConnectionParams) {
	s.answer(c, http.StatusCreated, func(ctx context.Context) (any, error) {
		body, err := decode[NewConnection](c)
		if err != nil {
			return nil, err
		}
		var in reader
		input := operation.NewConnection{
			ID: in.id(
				"id",
				body.ID,
			), Account: in.id("account", body.Account), Connector: in.id("connector", body.Connector),
		}
		if body.Visibility != nil {
			input.Visibility = in.visibility("visibility", *body.Visibility)
		}
		if in.err != nil {
			return nil, in.err
		}
		connection, token, err := s.Operations.CreateConnection(ctx, callOf(c).caller(), input)
		return showConnection(connection, token), err
	})
}

// GetConnection implements ServerInterface.
func (s *server) GetConnection(c *gin.Context, id ID, _ GetConnectionParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		connection, token, err := s.Operations.GetConnection(ctx, callOf(c).caller(), authz.ID(id))
		return showConnection(connection, token), err
	})
}

// ShareConnection implements ServerInterface.
func (s *server) ShareConnection(c *gin.Context, id ID, _ ShareConnectionParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[Sharing](c)
		if err != nil {
			return nil, err
		}
		var in reader
		sharing := operation.Sharing{
			Visibility: in.visibility("visibility", body.Visibility), Users: in.people("users", body.Users),
		}
		if in.err != nil {
			return nil, in.err
		}
		connection, token, err := s.Operations.ShareConnection(ctx, callOf(c).caller(), authz.ID(id), sharing)
		return showConnection(connection, token), err
	})
}

// DeleteConnection implements ServerInterface.
func (s *server) DeleteConnection(c *gin.Context, id ID, _ DeleteConnectionParams) {
	s.delete(c, "connection", id)
}

// GroupConnection implements ServerInterface.
func (s *server) GroupConnection(c *gin.Context, id ID, _ GroupConnectionParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[Group](c)
		if err != nil {
			return nil, err
		}
		var in reader
		group := in.id("group", body.Group)
		if in.err != nil {
			return nil, in.err
		}
		connection, token, err := s.Operations.GroupConnection(ctx, callOf(c).caller(), authz.ID(id), group)
		return showConnection(connection, token), err
	})
}

// UngroupConnection implements ServerInterface.
func (s *server) UngroupConnection(c *gin.Context, id ID, _ UngroupConnectionParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		connection, token, err := s.Operations.UngroupConnection(ctx, callOf(c).caller(), authz.ID(id))
		return showConnection(connection, token), err
	})
}

func showConnection(c operation.Connection, token authz.Token) Connection {
	return Connection{
		ID: string(c.ID), Account: nilIfEmpty(c.Account), Connector: nilIfEmpty(c.Connector),
		Visibility: (*Visibility)(nilIfEmpty(c.Visibility)),
		Users:      toStrings(c.Users), Group: nilIfEmpty(c.Group), Token: string(token),
	}
}
