package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type subscriptionOperations interface {
	CreateSubscription(
		ctx context.Context, by operation.Caller, in operation.NewSubscription,
	) (operation.Subscription, operation.Done, error)
	PutFeatures(
		ctx context.Context, by operation.Caller, id authz.ID, features []string,
	) (operation.Subscription, operation.Done, error)
	GetSubscription(ctx context.Context, by operation.Caller, id authz.ID) (operation.Subscription, authz.Token, error)
	Subscriptions(
		ctx context.Context, by operation.Caller, page operation.Page,
	) (operation.Subscriptions, authz.Token, error)
	SubscriptionAccounts(
		ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
	) (operation.Accounts, authz.Token, error)
	TransferSubscription(ctx context.Context, by operation.Caller, id, to authz.ID) (operation.Done, error)
}

// createSubscription decodes POST /v1/subscriptions.
func createSubscription(r request) (writeCall, error) {
	body, err := decodeBody[NewSubscription](r)
	if err != nil {
		return nil, err
	}
	var in reader
	input := operation.NewSubscription{
		ID: in.id("id", body.ID), RoleSet: body.RoleSet, Owner: in.person("owner", body.Owner), Features: optional(
			body.Features,
		),
	}
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		subscription, done, err := on.CreateSubscription(ctx, r.caller(), input)
		return showSubscription(subscription, done.Token), done, err
	}, nil
}

// putFeatures decodes PUT /v1/subscriptions/{id}/features.
func putFeatures(r request) (writeCall, error) {
	body, err := decodeBody[Features](r)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		subscription, done, err := on.PutFeatures(ctx, r.caller(), r.id(), body.Features)
		return showSubscription(subscription, done.Token), done, err
	}, nil
}

// GetSubscription implements ServerInterface.
func (a *productAPI) GetSubscription(c *gin.Context, id ID, _ GetSubscriptionParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		subscription, token, err := a.operations.GetSubscription(ctx, callOf(c).caller(), authz.ID(id))
		return showSubscription(subscription, token), err
	})
}

// ListSubscriptions implements ServerInterface.
func (a *productAPI) ListSubscriptions(c *gin.Context, params ListSubscriptionsParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		if a.operations == nil {
			return nil, errNoProduct
		}
		if len(c.Request.Header.Values(actorHeader)) > 0 {
			return nil, authz.Errorf(authz.CodeInvalid,
				"this call lists all subscriptions; leave out the header %s", actorHeader)
		}
		subscriptions, token, err := a.operations.Subscriptions(
			ctx,
			callOf(c).caller(),
			page(params.Limit, params.Cursor),
		)
		listed := make([]ListedSubscription, len(subscriptions.Subscriptions))
		for i, subscription := range subscriptions.Subscriptions {
			listed[i] = ListedSubscription{
				ID: string(
					subscription.ID,
				), RoleSet: string(subscription.RoleSet), Features: toStrings(subscription.Features),
			}
		}
		return SubscriptionPage{Subscriptions: listed, NextCursor: subscriptions.NextCursor, Token: string(token)}, err
	})
}

// ListSubscriptionAccounts implements ServerInterface.
func (a *productAPI) ListSubscriptionAccounts(c *gin.Context, id ID, params ListSubscriptionAccountsParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		accounts, token, err := a.operations.SubscriptionAccounts(
			ctx, callOf(c).caller(), authz.ID(id), page(params.Limit, params.Cursor),
		)
		return showAccounts(accounts, token), err
	})
}

// transferSubscription decodes POST /v1/subscriptions/{id}/transfer.
func transferSubscription(r request) (writeCall, error) {
	body, err := decodeBody[Transfer](r)
	if err != nil {
		return nil, err
	}
	var in reader
	to := in.person("to", body.To)
	if in.err != nil {
		return nil, in.err
	}
	by, err := r.callerWith(body.Reason)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.TransferSubscription(ctx, by, r.id(), to)
		return doneAnswer(done), done, err
	}, nil
}

func showSubscription(s operation.Subscription, token authz.Token) Subscription {
	return Subscription{
		ID: string(s.ID), RoleSet: nilIfEmpty(s.RoleSet), Features: new(toStrings(s.Features)), Token: string(token),
	}
}

// page returns the page of a list that a request asks for.
func page(limit *Limit, cursor *Cursor) operation.Page {
	return operation.Page{Limit: optional(limit), Cursor: optional(cursor)}
}
