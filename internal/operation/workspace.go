package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// CreateWorkspace creates a workspace. It is open to the whole account, or only to the given people and the
// administrators.
func (s *Service) CreateWorkspace(ctx context.Context, by Caller, in NewWorkspace) (Workspace, Done, error) {
	build := func(ctx context.Context, p *plan) (Workspace, error) {
		created := Workspace{ID: in.ID, Account: in.Account, Open: in.Access.Open, Users: in.Access.Users}
		if err := requirePermission(ctx, p, accountObject(in.Account), "manage_workspaces"); err != nil {
			return created, err
		}
		account, err := readAccount(ctx, p, in.Account)
		if err != nil {
			return created, err
		}
		object := workspaceObject(in.ID)
		if err := claimID(ctx, p, object); err != nil {
			return created, err
		}
		p.Create(object, "account", only(account.object))
		return created, planWorkspaceAccess(ctx, p, object, account, in.Access)
	}
	return runWithResult(ctx, s, by, "create_workspace", s.workspaceResult(by, in.ID), build)
}

// SetWorkspaceAccess sets who may enter a workspace: the whole account, or exactly the given people and the
// administrators.
func (s *Service) SetWorkspaceAccess(
	ctx context.Context, by Caller, id authz.ID, access Access,
) (Workspace, Done, error) {
	access.Users = slices.Compact(slices.Sorted(slices.Values(access.Users)))
	build := func(ctx context.Context, p *plan) (Workspace, error) {
		object := workspaceObject(id)
		if _, err := readPermissions(ctx, p, object); err != nil {
			return Workspace{}, err
		}
		account, err := readAccountOf(ctx, p, object)
		if err != nil {
			return Workspace{}, err
		}
		if err := requirePermission(ctx, p, account.object, "manage_workspaces"); err != nil {
			return Workspace{}, err
		}
		workspace := Workspace{ID: id, Account: account.object.ID, Open: access.Open, Users: access.Users}
		return workspace, planWorkspaceAccess(ctx, p, object, account, access)
	}
	return runWithResult(ctx, s, by, "set_workspace_access", s.workspaceResult(by, id), build)
}

// planWorkspaceAccess plans who may enter a workspace.
func planWorkspaceAccess(ctx context.Context, p *plan, object authz.Object, account accountFacts, access Access) error {
	if access.Open && len(access.Users) > 0 {
		return authz.Errorf(
			authz.CodeInvalid,
			`the field "users" is allowed only with "open": false; everybody in the account may enter an open workspace`,
		)
	}
	if account.set.Name != authz.Operations {
		return authz.Errorf(
			authz.CodeInvalid, "%s has the role set %s; only accounts with the role set %s have workspaces",
			account.object, account.set.Name, authz.Operations,
		)
	}
	if open := (authz.Relationship{Resource: object, Relation: "open", Subject: only(account.object)}); access.Open {
		p.Touch(object, open.Relation, open.Subject)
	} else {
		p.Delete(open)
	}
	return setNamedPeople(ctx, p, object, "member", account, access.Users, "")
}
