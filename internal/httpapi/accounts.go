package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type accountOperations interface {
	CreateAccount(
		ctx context.Context, by operation.Caller, in operation.NewAccount,
	) (operation.Account, operation.Done, error)
	GetAccount(ctx context.Context, by operation.Caller, id authz.ID) (operation.Account, authz.Token, error)
	UserAccounts(
		ctx context.Context, by operation.Caller, user authz.ID, inspect bool, page operation.Page,
	) (operation.Accounts, authz.Token, error)
}

// createAccount decodes POST /v1/accounts.
func createAccount(r request) (writeCall, error) {
	body, err := decodeBody[NewAccount](r)
	if err != nil {
		return nil, err
	}
	var in reader
	input := operation.NewAccount{
		ID: in.id("id", body.ID), Subscription: in.id("subscription", body.Subscription), RoleSet: body.RoleSet,
	}
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		account, done, err := on.CreateAccount(ctx, r.caller(), input)
		return showAccount(account, done.Token), done, err
	}, nil
}

// productAPI has the calls that read objects of the product. The calls that change them are in writes.
type productAPI struct {
	*responder

	operations Operations // nil if the schema lacks the definitions of the product
}

// GetAccount implements ServerInterface.
func (a *productAPI) GetAccount(c *gin.Context, id ID, _ GetAccountParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		account, token, err := a.operations.GetAccount(ctx, callOf(c).caller(), authz.ID(id))
		return showAccount(account, token), err
	})
}

// ListUserAccounts implements ServerInterface.
func (a *productAPI) ListUserAccounts(c *gin.Context, user User, params ListUserAccountsParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		k := callOf(c)
		accounts, token, err := a.operations.UserAccounts(
			ctx, k.caller(), authz.ID(user), k.inspects, page(params.Limit, params.Cursor),
		)
		return showAccounts(accounts, token), err
	})
}

func showAccount(a operation.Account, token authz.Token) Account {
	return Account{
		ID: string(a.ID), Subscription: nilIfEmpty(a.Subscription), RoleSet: new(string(a.RoleSet)), Token: string(token),
	}
}

func showAccounts(accounts operation.Accounts, token authz.Token) AccountPage {
	listed := make([]ListedAccount, len(accounts.Accounts))
	for i, a := range accounts.Accounts {
		listed[i] = ListedAccount{
			ID: string(a.ID), Subscription: nilIfEmpty(a.Subscription), RoleSet: string(a.RoleSet),
			Roles:     toStrings(a.Roles),
			ExpiresAt: showTime(a.ExpiresAt),
		}
	}
	return AccountPage{Accounts: listed, NextCursor: accounts.NextCursor, Token: string(token)}
}
