package httpapi_test

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

var someServiceAccount = operation.ServiceAccount{
	ID: "sa1", Place: authz.Object{Type: "account", ID: "a1"}, Title: "Robot", Roles: operation.Roles{"user"},
	ExpiresAt: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC),
}

func (o *operations) CreateServiceAccount(
	ctx context.Context, by operation.Caller, in operation.ServiceAccount, roles []string,
) (operation.ServiceAccount, operation.Done, error) {
	created := in
	for _, role := range roles {
		created.Roles = append(created.Roles, authz.Role(role))
	}
	return created, o.done(), o.record(ctx, "CreateServiceAccount", by, in, roles)
}

func (o *operations) GetServiceAccount(
	ctx context.Context, by operation.Caller, id authz.ID,
) (operation.ServiceAccount, authz.Token, error) {
	return someServiceAccount, token, o.record(ctx, "GetServiceAccount", by, id)
}

func (o *operations) ServiceAccounts(
	ctx context.Context, by operation.Caller, place authz.Object, page operation.Page,
) (operation.ServiceAccounts, authz.Token, error) {
	accounts := operation.ServiceAccounts{
		ServiceAccounts: []operation.ServiceAccount{someServiceAccount}, NextCursor: "next",
	}
	return accounts, token, o.record(ctx, "ServiceAccounts", by, place, page)
}
