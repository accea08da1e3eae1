package httpapi

import (
	"context"
	"net/http"

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
