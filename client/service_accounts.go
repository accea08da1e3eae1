package client

import (
	"context"
	"iter"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// AccountServiceAccounts lists the service accounts that belong to an account.
func (a *Actor) AccountServiceAccounts(ctx context.Context, account string) iter.Seq2[ListedServiceAccount, error] {
	return pages(func(cursor string) ([]ListedServiceAccount, string, error) {
		page, err := answer[rest.ServiceAccountPage](a.rest.ListAccountServiceAccounts(
			ctx, account, &rest.ListAccountServiceAccountsParams{Limit: &pageSize, Cursor: cursor},
		))
		return page.ServiceAccounts, page.NextCursor, err
	})
}

// SubscriptionServiceAccounts lists the service accounts that belong to a subscription.
func (a *Actor) SubscriptionServiceAccounts(
	ctx context.Context, subscription string,
) iter.Seq2[ListedServiceAccount, error] {
	return pages(func(cursor string) ([]ListedServiceAccount, string, error) {
		page, err := answer[rest.ServiceAccountPage](a.rest.ListSubscriptionServiceAccounts(
			ctx, subscription, &rest.ListSubscriptionServiceAccountsParams{Limit: &pageSize, Cursor: cursor},
		))
		return page.ServiceAccounts, page.NextCursor, err
	})
}

// CreateAccountServiceAccount creates a service account in an account, and gives it roles there.
func (a *Actor) CreateAccountServiceAccount(
	ctx context.Context, account string, in NewServiceAccount,
) (ServiceAccount, error) {
	return answer[ServiceAccount](a.rest.CreateAccountServiceAccount(ctx, account, nil, in))
}

// CreateSubscriptionServiceAccount creates a service account in a subscription, and gives it roles there.
func (a *Actor) CreateSubscriptionServiceAccount(
	ctx context.Context, subscription string, in NewServiceAccount,
) (ServiceAccount, error) {
	return answer[ServiceAccount](a.rest.CreateSubscriptionServiceAccount(ctx, subscription, nil, in))
}

// GetServiceAccount returns a service account, with its roles on the account or subscription that it belongs to.
func (a *Actor) GetServiceAccount(ctx context.Context, id string) (ServiceAccount, error) {
	return answer[ServiceAccount](a.rest.GetServiceAccount(ctx, id, nil))
}

// DeleteServiceAccount deletes a service account. The server may need several writes; the first one removes all of
// its access.
func (a *Actor) DeleteServiceAccount(ctx context.Context, id string) error {
	return done(a.rest.DeleteServiceAccount(ctx, id, nil))
}

// GetAccountServiceAccountRoles returns the roles of a service account on an account.
func (a *Actor) GetAccountServiceAccountRoles(
	ctx context.Context, account, serviceAccount string,
) (ServiceAccountRoles, error) {
	return answer[ServiceAccountRoles](a.rest.GetAccountServiceAccountRoles(ctx, account, serviceAccount, nil))
}

// PutAccountServiceAccountRoles sets the roles of a service account on an account until a time. The server drops a
// fraction of a second. The zero time means permanently.
func (a *Actor) PutAccountServiceAccountRoles(
	ctx context.Context, account, serviceAccount string, until time.Time, roles ...string,
) (ServiceAccountRoles, error) {
	body := rest.HolderRoles{Roles: list(roles), ExpiresAt: until}
	return answer[ServiceAccountRoles](a.rest.PutAccountServiceAccountRoles(ctx, account, serviceAccount, nil, body))
}

// RemoveAccountServiceAccountRoles removes all roles of a service account on an account.
func (a *Actor) RemoveAccountServiceAccountRoles(ctx context.Context, account, serviceAccount string) error {
	return done(a.rest.RemoveAccountServiceAccountRoles(ctx, account, serviceAccount, nil))
}

// PutSubscriptionServiceAccountRoles replaces the roles of a service account on its subscription.
func (a *Actor) PutSubscriptionServiceAccountRoles(
	ctx context.Context, subscription, serviceAccount string, roles ...string,
) (ServiceAccountRoles, error) {
	body := rest.SubscriptionHolderRoles{Roles: list(roles)}
	return answer[ServiceAccountRoles](
		a.rest.PutSubscriptionServiceAccountRoles(ctx, subscription, serviceAccount, nil, body),
	)
}

// RemoveSubscriptionServiceAccountRoles removes all roles of a service account on its subscription.
func (a *Actor) RemoveSubscriptionServiceAccountRoles(ctx context.Context, subscription, serviceAccount string) error {
	return done(a.rest.RemoveSubscriptionServiceAccountRoles(ctx, subscription, serviceAccount, nil))
}
