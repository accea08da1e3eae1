package client

import (
	"context"

	"github.com/sluice-authz/sluice/client/rest"
)

// PutConnector creates or replaces a connector of the catalogue, which all accounts share. It needs a key with the
// scope provision.
func (c *Client) PutConnector(ctx context.Context, id string, capabilities ...string) (Connector, error) {
	body := rest.ConnectorCapabilities{Capabilities: list(capabilities)}
	return answer[Connector](c.rest.PutConnector(ctx, id, nil, body))
}

// CreateConnection creates a connection in an account.
func (a *Actor) CreateConnection(ctx context.Context, in NewConnection) (Connection, error) {
	return answer[Connection](a.rest.CreateConnection(ctx, nil, in))
}

// GetConnection returns a connection, with its visibility and the people with whom it is shared by name.
func (a *Actor) GetConnection(ctx context.Context, id string) (Connection, error) {
	return answer[Connection](a.rest.GetConnection(ctx, id, nil))
}

// ShareConnection sets the visibility of a connection and the people with whom it is shared by name.
func (a *Actor) ShareConnection(ctx context.Context, id string, with Sharing) (Connection, error) {
	return answer[Connection](a.rest.ShareConnection(ctx, id, nil, with))
}

// GroupConnection puts a connection into a group of its account.
func (a *Actor) GroupConnection(ctx context.Context, id, group string) (Connection, error) {
	return answer[Connection](a.rest.GroupConnection(ctx, id, nil, rest.ConnectionGroup{Group: group}))
}

// UngroupConnection removes a connection from its group.
func (a *Actor) UngroupConnection(ctx context.Context, id string) (Connection, error) {
	return answer[Connection](a.rest.UngroupConnection(ctx, id, nil))
}

// DeleteConnection deletes a connection.
func (a *Actor) DeleteConnection(ctx context.Context, id string) error {
	return done(a.rest.DeleteConnection(ctx, id, nil))
}
