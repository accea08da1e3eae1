package client

import (
	"context"
	"iter"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// AccountRoles lists the roles that can be given on an account: the built-in roles of its role set, its custom roles,
// and those of its subscription.
func (a *Actor) AccountRoles(ctx context.Context, account string) iter.Seq2[ListedRole, error] {
	return pages(func(cursor string) ([]ListedRole, string, error) {
		page, err := answer[rest.RoleDefinitionPage](a.rest.ListAccountRoles(
			ctx, account, &rest.ListAccountRolesParams{Limit: &pageSize, Cursor: cursor},
		))
		return page.Roles, page.NextCursor, err
	})
}

// SubscriptionRoles lists the roles that can be given on a subscription: the built-in roles of its role set, and its
// custom roles.
func (a *Actor) SubscriptionRoles(ctx context.Context, subscription string) iter.Seq2[ListedRole, error] {
	return pages(func(cursor string) ([]ListedRole, string, error) {
		page, err := answer[rest.RoleDefinitionPage](a.rest.ListSubscriptionRoles(
			ctx, subscription, &rest.ListSubscriptionRolesParams{Limit: &pageSize, Cursor: cursor},
		))
		return page.Roles, page.NextCursor, err
	})
}

// CreateAccountRole creates a custom role of an account.
func (a *Actor) CreateAccountRole(ctx context.Context, account string, in NewRole) (RoleDefinition, error) {
	return answer[RoleDefinition](a.rest.CreateAccountRole(ctx, account, nil, in))
}

// CreateSubscriptionRole creates a custom role of a subscription, which can also be given on its accounts.
func (a *Actor) CreateSubscriptionRole(ctx context.Context, subscription string, in NewRole) (RoleDefinition, error) {
	return answer[RoleDefinition](a.rest.CreateSubscriptionRole(ctx, subscription, nil, in))
}

// GetAccountRole returns a role that can be given on an account.
func (a *Actor) GetAccountRole(ctx context.Context, account, role string) (RoleDefinition, error) {
	return answer[RoleDefinition](a.rest.GetAccountRole(ctx, account, role, nil))
}

// GetSubscriptionRole returns a role that can be given on a subscription.
func (a *Actor) GetSubscriptionRole(ctx context.Context, subscription, role string) (RoleDefinition, error) {
	return answer[RoleDefinition](a.rest.GetSubscriptionRole(ctx, subscription, role, nil))
}

// PutAccountRole replaces the content of a custom role of an account. The change takes effect for everybody who holds
// the role. If the version is not empty and the role has another one, the error is PreconditionFailed.
func (a *Actor) PutAccountRole(
	ctx context.Context, account, role, version string, content RoleContent,
) (RoleDefinition, error) {
	return answer[RoleDefinition](a.rest.PutAccountRole(
		ctx, account, role, &rest.PutAccountRoleParams{IfMatch: quoted(version)}, content,
	))
}

// PutSubscriptionRole replaces the content of a custom role of a subscription, as PutAccountRole does for an account.
func (a *Actor) PutSubscriptionRole(
	ctx context.Context, subscription, role, version string, content RoleContent,
) (RoleDefinition, error) {
	return answer[RoleDefinition](a.rest.PutSubscriptionRole(
		ctx, subscription, role, &rest.PutSubscriptionRoleParams{IfMatch: quoted(version)}, content,
	))
}

// quoted returns a version as the header If-Match has it. For an empty version, it returns nil: no header.
func quoted(version string) *string {
	if version == "" {
		return nil
	}
	return new(`"` + version + `"`)
}

// DeleteAccountRole deletes a custom role of an account. If somebody holds the role and cascade is false, the error is
// Conflict, and names some of the holders.
func (a *Actor) DeleteAccountRole(ctx context.Context, account, role string, cascade bool) error {
	return done(a.rest.DeleteAccountRole(ctx, account, role, &rest.DeleteAccountRoleParams{Cascade: cascade}))
}

// DeleteSubscriptionRole deletes a custom role of a subscription, as DeleteAccountRole does for an account.
func (a *Actor) DeleteSubscriptionRole(ctx context.Context, subscription, role string, cascade bool) error {
	return done(a.rest.DeleteSubscriptionRole(
		ctx, subscription, role, &rest.DeleteSubscriptionRoleParams{Cascade: cascade},
	))
}

// HeldRole is a holder of a role, with the account, subscription or other object on which they hold it.
type HeldRole struct {
	Holder, On Reference
}

// RoleHolder is a HeldRole with its end. ExpiresAt is zero if the role does not end.
type RoleHolder struct {
	HeldRole

	ExpiresAt time.Time
}

// AccountRoleHolders lists who holds a role on an account, and on objects in it.
func (a *Actor) AccountRoleHolders(ctx context.Context, account, role string) iter.Seq2[RoleHolder, error] {
	return pages(func(cursor string) ([]RoleHolder, string, error) {
		page, err := answer[rest.RoleHolderPage](a.rest.ListAccountRoleHolders(
			ctx, account, role, &rest.ListAccountRoleHoldersParams{Limit: &pageSize, Cursor: cursor},
		))
		return readHolders(page), page.NextCursor, err
	})
}

// SubscriptionRoleHolders lists who holds a role on a subscription, on its accounts, and on objects in them.
func (a *Actor) SubscriptionRoleHolders(ctx context.Context, subscription, role string) iter.Seq2[RoleHolder, error] {
	return pages(func(cursor string) ([]RoleHolder, string, error) {
		page, err := answer[rest.RoleHolderPage](a.rest.ListSubscriptionRoleHolders(
			ctx, subscription, role, &rest.ListSubscriptionRoleHoldersParams{Limit: &pageSize, Cursor: cursor},
		))
		return readHolders(page), page.NextCursor, err
	})
}

func readHolders(page rest.RoleHolderPage) []RoleHolder {
	holders := make([]RoleHolder, len(page.Holders))
	for i, h := range page.Holders {
		holders[i] = RoleHolder{HeldRole: readHeld(h.Holder, h.On), ExpiresAt: h.ExpiresAt}
	}
	return holders
}

func readHeld(holder, on rest.Reference) (held HeldRole) {
	held.Holder, _ = readReference(holder)
	held.On, _ = readReference(on)
	return held
}

// readHeldRoles returns the holders in a problem document.
func readHeldRoles(sent []rest.HeldRole) (held []HeldRole) {
	for _, h := range sent {
		held = append(held, readHeld(h.Holder, h.On))
	}
	return held
}
