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

// GetAccountRole returns a built-in or custom role that can be given on an account.
func (a *Actor) GetAccountRole(ctx context.Context, account, role string) (RoleDefinition, error) {
	return answer[RoleDefinition](a.rest.GetAccountRole(ctx, account, role, nil))
}

// GetSubscriptionRole returns a built-in or custom role that can be given on a subscription.
func (a *Actor) GetSubscriptionRole(ctx context.Context, subscription, role string) (RoleDefinition, error) {
	return answer[RoleDefinition](a.rest.GetSubscriptionRole(ctx, subscription, role, nil))
}

// PutAccountRole replaces the content of a custom role of an account. The change takes effect for everybody who holds
// the role. If the parameter version is not empty, and the role has another version, the error is PreconditionFailed.
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

// quoted returns a version with quotes, as the header If-Match needs it. For an empty version, it returns nil; the
// request then has no such header.
func quoted(version string) *string {
	if version == "" {
		return nil
	}
	return new(`"` + version + `"`)
}

// DeleteAccountRole deletes a custom role of an account. If cascade is true, it also removes the role from everybody
// who holds it. If cascade is false and somebody holds the role, the error is Conflict, and names some of the
// holders.
func (a *Actor) DeleteAccountRole(ctx context.Context, account, role string, cascade bool) error {
	return done(a.rest.DeleteAccountRole(ctx, account, role, &rest.DeleteAccountRoleParams{Cascade: cascade}))
}

// DeleteSubscriptionRole deletes a custom role of a subscription, as DeleteAccountRole does for an account.
func (a *Actor) DeleteSubscriptionRole(ctx context.Context, subscription, role string, cascade bool) error {
	return done(a.rest.DeleteSubscriptionRole(
		ctx, subscription, role, &rest.DeleteSubscriptionRoleParams{Cascade: cascade},
	))
}

// HeldRole names a holder of a role, and the object on which the holder has it: an account, a subscription or another
// object.
type HeldRole struct {
	Holder, On Reference
}

// RoleHolder is a holder of a role. ExpiresAt is the time at which the holder loses the role; it is zero if the
// holder has the role permanently.
type RoleHolder struct {
	HeldRole

	ExpiresAt time.Time
}

// AccountRoleHolders lists the people, groups and service accounts that hold a role on an account or on objects in
// it.
func (a *Actor) AccountRoleHolders(ctx context.Context, account, role string) iter.Seq2[RoleHolder, error] {
	return pages(func(cursor string) ([]RoleHolder, string, error) {
		page, err := answer[rest.RoleHolderPage](a.rest.ListAccountRoleHolders(
			ctx, account, role, &rest.ListAccountRoleHoldersParams{Limit: &pageSize, Cursor: cursor},
		))
		return readHolders(page), page.NextCursor, err
	})
}

// SubscriptionRoleHolders lists the people, groups and service accounts that hold a role on a subscription, on its
// accounts, or on objects in them.
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

// readHeldRoles returns the holders of a role that a problem document names.
func readHeldRoles(sent []rest.HeldRole) (held []HeldRole) {
	for _, h := range sent {
		held = append(held, readHeld(h.Holder, h.On))
	}
	return held
}
