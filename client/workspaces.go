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

// SetWorkspaceAccess selects the members of the account who may enter a workspace.
func (a *Actor) SetWorkspaceAccess(ctx context.Context, id string, access Access) (Workspace, error) {
	return answer[Workspace](a.rest.SetWorkspaceAccess(ctx, id, nil, access))
}

// DeleteWorkspace deletes a workspace with everything in it.
func (a *Actor) DeleteWorkspace(ctx context.Context, id string) error {
	return done(a.rest.DeleteWorkspace(ctx, id, nil))
}
