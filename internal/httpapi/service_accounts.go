package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type serviceAccountOperations interface {
	CreateServiceAccount(
		ctx context.Context, by operation.Caller, in operation.ServiceAccount, roles []string,
	) (operation.ServiceAccount, operation.Done, error)
	GetServiceAccount(
		ctx context.Context, by operation.Caller, id authz.ID,
	) (operation.ServiceAccount, authz.Token, error)
	ServiceAccounts(
		ctx context.Context, by operation.Caller, place authz.Object, page operation.Page,
	) (operation.ServiceAccounts, authz.Token, error)
	GetAccountServiceAccountRoles(
		ctx context.Context, by operation.Caller, id, account authz.ID,
	) (operation.HolderRoles, authz.Token, error)
	PutAccountServiceAccountRoles(
		ctx context.Context, by operation.Caller, id, account authz.ID, roles []string, until time.Time,
	) (operation.HolderRoles, operation.Done, error)
	RemoveAccountServiceAccountRoles(
		ctx context.Context, by operation.Caller, id, account authz.ID,
	) (operation.Done, error)
	PutSubscriptionServiceAccountRoles(
		ctx context.Context, by operation.Caller, id, account authz.ID, roles []string,
	) (operation.HolderRoles, operation.Done, error)
	RemoveSubscriptionServiceAccountRoles(
		ctx context.Context, by operation.Caller, id, account authz.ID,
	) (operation.Done, error)
}

// createServiceAccount decodes POST /v1/accounts/{id}/service-accounts, and the same call on a subscription.
func createServiceAccount(place authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		body, err := decodeBody[NewServiceAccount](r)
		if err != nil {
			return nil, err
		}
		var in reader
		input := operation.ServiceAccount{
			ID: in.id("id", body.ID), Place: authz.Object{Type: place, ID: r.id()}, Title: in.title(body.Title),
		}
		if in.err != nil {
			return nil, in.err
		}
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			account, done, err := on.CreateServiceAccount(ctx, r.caller(), input, body.Roles)
			return showServiceAccount(account, done.Token), done, err
		}, nil
	}
}

// ListAccountServiceAccounts implements ServerInterface.
func (a *productAPI) ListAccountServiceAccounts(c *gin.Context, id ID, params ListAccountServiceAccountsParams) {
	a.listServiceAccounts(c, authz.Object{Type: "account", ID: authz.ID(id)}, page(params.Limit, params.Cursor))
}

// ListSubscriptionServiceAccounts implements ServerInterface.
func (a *productAPI) ListSubscriptionServiceAccounts(
	c *gin.Context, id ID, params ListSubscriptionServiceAccountsParams,
) {
	a.listServiceAccounts(c, authz.Object{Type: "subscription", ID: authz.ID(id)}, page(params.Limit, params.Cursor))
}

func (a *productAPI) listServiceAccounts(c *gin.Context, place authz.Object, page operation.Page) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		accounts, token, err := a.operations.ServiceAccounts(ctx, callOf(c).caller(), place, page)
		listed := make([]ListedServiceAccount, len(accounts.ServiceAccounts))
		for i, account := range accounts.ServiceAccounts {
			listed[i] = ListedServiceAccount{ID: string(account.ID), Title: string(account.Title)}
		}
		return ServiceAccountPage{
			ServiceAccounts: listed, NextCursor: accounts.NextCursor, Token: string(token),
		}, err
	})
}

// GetServiceAccount implements ServerInterface.
func (a *productAPI) GetServiceAccount(c *gin.Context, id ID, _ GetServiceAccountParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		account, token, err := a.operations.GetServiceAccount(ctx, callOf(c).caller(), authz.ID(id))
		return showServiceAccount(account, token), err
	})
}

// GetAccountServiceAccountRoles implements ServerInterface.
func (a *productAPI) GetAccountServiceAccountRoles(
	c *gin.Context, id ID, account ServiceAccountID, _ GetAccountServiceAccountRolesParams,
) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		roles, token, err := a.operations.GetAccountServiceAccountRoles(
			ctx, callOf(c).caller(), authz.ID(id), authz.ID(account),
		)
		return showServiceAccountRoles(roles, token), err
	})
}

// putAccountServiceAccountRoles decodes PUT /v1/accounts/{id}/service-accounts/{service_account}/roles.
func putAccountServiceAccountRoles(r request) (writeCall, error) {
	body, err := decodeBody[NewServiceAccountRoles](r)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		roles, done, err := on.PutAccountServiceAccountRoles(
			ctx, r.caller(), r.id(), r.serviceAccount(), body.Roles, endOf(body.ExpiresAt),
		)
		return showServiceAccountRoles(roles, done.Token), done, err
	}, nil
}

// removeAccountServiceAccountRoles decodes DELETE /v1/accounts/{id}/service-accounts/{service_account}/roles.
func removeAccountServiceAccountRoles(r request) (writeCall, error) {
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.RemoveAccountServiceAccountRoles(ctx, r.caller(), r.id(), r.serviceAccount())
		return doneAnswer(done), done, err
	}, nil
}

// putSubscriptionServiceAccountRoles decodes PUT /v1/subscriptions/{id}/service-accounts/{service_account}/roles.
func putSubscriptionServiceAccountRoles(r request) (writeCall, error) {
	body, err := decodeBody[SubscriptionServiceAccountRoles](r)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		roles, done, err := on.PutSubscriptionServiceAccountRoles(ctx, r.caller(), r.id(), r.serviceAccount(), body.Roles)
		return showServiceAccountRoles(roles, done.Token), done, err
	}, nil
}

// removeSubscriptionServiceAccountRoles decodes DELETE /v1/subscriptions/{id}/service-accounts/{service_account}/roles.
func removeSubscriptionServiceAccountRoles(r request) (writeCall, error) {
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.RemoveSubscriptionServiceAccountRoles(ctx, r.caller(), r.id(), r.serviceAccount())
		return doneAnswer(done), done, err
	}, nil
}

// serviceAccount returns the service account in the path.
func (r request) serviceAccount() authz.ID { return authz.ID(r.params.ByName("service_account")) }

func showServiceAccount(a operation.ServiceAccount, token authz.Token) ServiceAccount {
	shown := ServiceAccount{
		ID: string(a.ID), Title: nilIfEmpty(a.Title), ExpiresAt: showTime(a.ExpiresAt), Token: string(token),
	}
	if a.Place.Type == "subscription" {
		shown.Subscription = nilIfEmpty(a.Place.ID)
	} else {
		shown.Account = nilIfEmpty(a.Place.ID)
	}
	if a.Roles != nil {
		shown.Roles = new(toStrings(a.Roles))
	}
	return shown
}

func showServiceAccountRoles(h operation.HolderRoles, token authz.Token) ServiceAccountRoles {
	shown := ServiceAccountRoles{
		ServiceAccount: string(h.Holder.ID), ExpiresAt: showTime(h.ExpiresAt), Token: string(token),
	}
	if h.Roles != nil {
		shown.Roles = new(toStrings(h.Roles))
	}
	return shown
}
