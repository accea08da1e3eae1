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
	) (operation.Connection, operation.Done, error)
	GetConnection(ctx context.Context, by operation.Caller, id authz.ID) (operation.Connection, authz.Token, error)
	ShareConnection(
		ctx context.Context, by operation.Caller, id authz.ID, in operation.Sharing,
	) (operation.Connection, operation.Done, error)
	GroupConnection(
		ctx context.Context, by operation.Caller, id, group authz.ID,
	) (operation.Connection, operation.Done, error)
	UngroupConnection(ctx context.Context, by operation.Caller, id authz.ID) (operation.Connection, operation.Done, error)
}

// createConnection decodes POST /v1/connections.
func createConnection(r request) (writeCall, error) {
	body, err := decodeBody[NewConnection](r)
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
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		connection, done, err := on.CreateConnection(ctx, r.caller(), input)
		return showConnection(connection, done.Token), done, err
	}, nil
}

// GetConnection implements ServerInterface.
func (a *productAPI) GetConnection(c *gin.Context, id ID, _ GetConnectionParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		connection, token, err := a.operations.GetConnection(ctx, callOf(c).caller(), authz.ID(id))
		return showConnection(connection, token), err
	})
}

// shareConnection decodes PUT /v1/connections/{id}/sharing.
func shareConnection(r request) (writeCall, error) {
	body, err := decodeBody[Sharing](r)
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
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		connection, done, err := on.ShareConnection(ctx, r.caller(), r.id(), sharing)
		return showConnection(connection, done.Token), done, err
	}, nil
}

// groupConnection decodes PUT /v1/connections/{id}/group.
func groupConnection(r request) (writeCall, error) {
	body, err := decodeBody[ConnectionGroup](r)
	if err != nil {
		return nil, err
	}
	var in reader
	group := in.id("group", body.Group)
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		connection, done, err := on.GroupConnection(ctx, r.caller(), r.id(), group)
		return showConnection(connection, done.Token), done, err
	}, nil
}

// ungroupConnection decodes DELETE /v1/connections/{id}/group.
func ungroupConnection(r request) (writeCall, error) {
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		connection, done, err := on.UngroupConnection(ctx, r.caller(), r.id())
		return showConnection(connection, done.Token), done, err
	}, nil
}

func showConnection(c operation.Connection, token authz.Token) Connection {
	return Connection{
		ID: string(c.ID), Account: nilIfEmpty(c.Account), Connector: nilIfEmpty(c.Connector),
		Visibility: (*Visibility)(nilIfEmpty(c.Visibility)),
		Users:      new(toStrings(c.Users)), Group: nilIfEmpty(c.Group), Token: string(token),
	}
}
