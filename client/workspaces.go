package client

import "context"

// CreateWorkspace creates a workspace in an operations account.
func (a *Actor) CreateWorkspace(ctx context.Context, in NewWorkspace) (Workspace, error) {
	return answer[Workspace](a.rest.CreateWorkspace(ctx, nil, in))
}

// GetWorkspace returns a workspace with the people who may enter it.
func (a *Actor) GetWorkspace(ctx context.Context, id string) (Workspace, error) {
	return answer[Workspace](a.rest.GetWorkspace(ctx, id, nil))
}

// SetWorkspaceAccess sets who may enter a workspace.
func (a *Actor) SetWorkspaceAccess(ctx context.Context, id string, access Access) (Workspace, error) {
	return answer[Workspace](a.rest.SetWorkspaceAccess(ctx, id, nil, access))
}

// DeleteWorkspace deletes a workspace with everything in it.
func (a *Actor) DeleteWorkspace(ctx context.Context, id string) error {
	return done(a.rest.DeleteWorkspace(ctx, id, nil))
}

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
