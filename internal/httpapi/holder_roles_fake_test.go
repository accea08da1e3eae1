package httpapi_test

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

func rolesOf(holder authz.Holder) operation.HolderRoles {
	return operation.HolderRoles{Holder: holder, Roles: operation.Roles{"viewer"}, ExpiresAt: time.Unix(1893456000, 0)}
}

func (o *operations) AccountGroups(
	ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
) (operation.AccountGroups, authz.Token, error) {
	groups := []operation.HolderRoles{rolesOf(authz.Holder{Type: authz.TypeGroup, ID: "g1"})}
	return operation.AccountGroups{Groups: groups, NextCursor: "next"}, token,
		o.record(ctx, "AccountGroups", by, id, page)
}

func (o *operations) GetHolderRoles(
	ctx context.Context, by operation.Caller, on authz.Object, holder authz.Holder,
) (operation.HolderRoles, authz.Token, error) {
	return rolesOf(holder), token, o.record(ctx, "GetHolderRoles", by, on, holder)
}

func (o *operations) PutHolderRoles(
	ctx context.Context, by operation.Caller, on authz.Object, holder authz.Holder, roles []string, until time.Time,
) (operation.HolderRoles, operation.Done, error) {
	return rolesOf(holder), o.done(), o.record(ctx, "PutHolderRoles", by, on, holder, roles, until)
}

func (o *operations) RemoveHolderRoles(
	ctx context.Context, by operation.Caller, on authz.Object, holder authz.Holder,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "RemoveHolderRoles", by, on, holder)
}
