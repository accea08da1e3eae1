package client

import "context"

// CreateConnector creates a connector that belongs to an account.
func (a *Actor) CreateConnector(ctx context.Context, in NewPart) (Part, error) {
	return answer[Part](a.rest.CreateConnector(ctx, nil, in))
}

// GetConnector returns a connector that belongs to the catalogue or to an account.
func (a *Actor) GetConnector(ctx context.Context, id string) (Connector, error) {
	return answer[Connector](a.rest.GetConnector(ctx, id, nil))
}

// DeleteConnector deletes a connector that belongs to an account.
func (a *Actor) DeleteConnector(ctx context.Context, id string) error {
	return done(a.rest.DeleteConnector(ctx, id, nil))
}
