// Code generated from internal/authz/simple_type.go. DO NOT EDIT.

package client

import "context"

// CreateFlow creates a flow in a workspace.
func (a *Actor) CreateFlow(ctx context.Context, in NewWorkspacePart) (WorkspacePart, error) {
	return answer[WorkspacePart](a.rest.CreateFlow(ctx, nil, in))
}

// GetFlow returns a flow.
func (a *Actor) GetFlow(ctx context.Context, id string) (WorkspacePart, error) {
	return answer[WorkspacePart](a.rest.GetFlow(ctx, id, nil))
}

// DeleteFlow deletes a flow.
func (a *Actor) DeleteFlow(ctx context.Context, id string) error {
	return done(a.rest.DeleteFlow(ctx, id, nil))
}

// CreateSchedule creates a schedule in a workspace.
func (a *Actor) CreateSchedule(ctx context.Context, in NewWorkspacePart) (WorkspacePart, error) {
	return answer[WorkspacePart](a.rest.CreateSchedule(ctx, nil, in))
}

// GetSchedule returns a schedule.
func (a *Actor) GetSchedule(ctx context.Context, id string) (WorkspacePart, error) {
	return answer[WorkspacePart](a.rest.GetSchedule(ctx, id, nil))
}

// DeleteSchedule deletes a schedule.
func (a *Actor) DeleteSchedule(ctx context.Context, id string) error {
	return done(a.rest.DeleteSchedule(ctx, id, nil))
}

// CreateService creates a service in a workspace.
func (a *Actor) CreateService(ctx context.Context, in NewWorkspacePart) (WorkspacePart, error) {
	return answer[WorkspacePart](a.rest.CreateService(ctx, nil, in))
}

// GetService returns a service.
func (a *Actor) GetService(ctx context.Context, id string) (WorkspacePart, error) {
	return answer[WorkspacePart](a.rest.GetService(ctx, id, nil))
}

// DeleteService deletes a service.
func (a *Actor) DeleteService(ctx context.Context, id string) error {
	return done(a.rest.DeleteService(ctx, id, nil))
}

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

// CreateExport creates an export in an account.
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
