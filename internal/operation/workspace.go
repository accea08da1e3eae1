package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// CreateWorkspace creates a workspace. It is open to the whole account, or restricted to the named people and the
// administrators.
func (s *Service) CreateWorkspace(ctx context.Context, by Caller, in NewWorkspace) (Workspace, Done, error) {
	done, err := s.run(ctx, by, "create_workspace", func(ctx context.Context, p *plan) error {
		if err := requirePermission(ctx, p, accountObject(in.Account), "manage_workspaces"); err != nil {
			return err
		}
		account, err := readAccount(ctx, p, in.Account)
		if err != nil {
			return err
		}
		object := workspaceObject(in.ID)
		if err := claimID(ctx, p, object); err != nil {
			return err
		}
		p.Create(object, "account", only(account.object))
		return planWorkspaceAccess(ctx, p, object, account, in.Access)
	})
	return answered(Workspace{ID: in.ID, Account: in.Account, Open: in.Access.Open, Users: in.Access.Users}, done, err)
}

// SetWorkspaceAccess sets who may enter a workspace: the whole account, or exactly the named people and the
// administrators.
func (s *Service) SetWorkspaceAccess(
	ctx context.Context, by Caller, id authz.ID, access Access,
) (Workspace, Done, error) {
	access.Users = slices.Compact(slices.Sorted(slices.Values(access.Users)))
	workspace := Workspace{ID: id, Open: access.Open, Users: access.Users}
	done, err := s.run(ctx, by, "set_workspace_access", func(ctx context.Context, p *plan) error {
		object := workspaceObject(id)
		if _, err := readPermissions(ctx, p, object); err != nil {
			return err
		}
		account, err := readAccountOf(ctx, p, object)
		if err != nil {
			return err
		}
		if err := requirePermission(ctx, p, account.object, "manage_workspaces"); err != nil {
			return err
		}
		workspace.Account = account.object.ID
		return planWorkspaceAccess(ctx, p, object, account, access)
	})
	return answered(workspace, done, err)
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
