package client

import "context"

// CreateIntegration creates an integration in an account.
func (a *Actor) CreateIntegration(ctx context.Context, in NewPart) (Part, error) {
	return answer[Part](a.rest.CreateIntegration(ctx, nil, in))
}

// GetIntegration returns an integration.
func (a *Actor) GetIntegration(ctx context.Context, id string) (Part, error) {
	return answer[Part](a.rest.GetIntegration(ctx, id, nil))
}

// DeleteIntegration deletes an integration.
func (a *Actor) DeleteIntegration(ctx context.Context, id string) error {
	return done(a.rest.DeleteIntegration(ctx, id, nil))
}

// CreateExport creates a scheduled export in an account.
func (a *Actor) CreateExport(ctx context.Context, in NewPart) (Part, error) {
	return answer[Part](a.rest.CreateExport(ctx, nil, in))
}

// GetExport returns an export.
func (a *Actor) GetExport(ctx context.Context, id string) (Part, error) {
	return answer[Part](a.rest.GetExport(ctx, id, nil))
}

// DeleteExport deletes an export.
func (a *Actor) DeleteExport(ctx context.Context, id string) error {
	return done(a.rest.DeleteExport(ctx, id, nil))
}

// CreateReport creates a report in an account.
func (a *Actor) CreateReport(ctx context.Context, in NewPart) (Part, error) {
	return answer[Part](a.rest.CreateReport(ctx, nil, in))
}

// GetReport returns a report.
func (a *Actor) GetReport(ctx context.Context, id string) (Part, error) {
	return answer[Part](a.rest.GetReport(ctx, id, nil))
}

// DeleteReport deletes a report.
func (a *Actor) DeleteReport(ctx context.Context, id string) error {
	return done(a.rest.DeleteReport(ctx, id, nil))
}

// CreateConnector creates a connector that belongs to an account.
func (a *Actor) CreateConnector(ctx context.Context, in NewPart) (Part, error) {
	return answer[Part](a.rest.CreateConnector(ctx, nil, in))
}

// GetConnector returns a connector of the catalogue or of an account.
func (a *Actor) GetConnector(ctx context.Context, id string) (Connector, error) {
	return answer[Connector](a.rest.GetConnector(ctx, id, nil))
}

// DeleteConnector deletes a connector that belongs to an account.
func (a *Actor) DeleteConnector(ctx context.Context, id string) error {
	return done(a.rest.DeleteConnector(ctx, id, nil))
}
