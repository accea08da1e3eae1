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
	) (operation.Subscription, authz.Token, error)
	PutFeatures(
		ctx context.Context, by operation.Caller, id authz.ID, features []string,
	) (operation.Subscription, authz.Token, error)
	GetSubscription(ctx context.Context, by operation.Caller, id authz.ID) (operation.Subscription, authz.Token, error)
	Subscriptions(
		ctx context.Context, by operation.Caller, page operation.Page,
	) (operation.Subscriptions, authz.Token, error)
	SubscriptionAccounts(
		ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
	) (operation.Accounts, authz.Token, error)
	TransferSubscription(ctx context.Context, by operation.Caller, id, to authz.ID) (authz.Token, error)
}

// CreateSubscription implements ServerInterface.
func (s *server) CreateSubscription(c *gin.Context, _ CreateSubscriptionParams) {
	s.answer(c, http.StatusCreated, func(ctx context.Context) (any, error) {
		body, err := decode[NewSubscription](c)
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
		subscription, token, err := s.Operations.CreateSubscription(ctx, callOf(c).caller(), input)
		return showSubscription(subscription, token), err
	})
}

// PutFeatures implements ServerInterface.
func (s *server) PutFeatures(c *gin.Context, id ID, _ PutFeaturesParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[Features](c)
		if err != nil {
			return nil, err
		}
		subscription, token, err := s.Operations.PutFeatures(ctx, callOf(c).caller(), authz.ID(id), body.Features)
		return showSubscription(subscription, token), err
	})
}

// GetSubscription implements ServerInterface.
func (s *server) GetSubscription(c *gin.Context, id ID, _ GetSubscriptionParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		subscription, token, err := s.Operations.GetSubscription(ctx, callOf(c).caller(), authz.ID(id))
		return showSubscription(subscription, token), err
	})
}

// ListSubscriptions implements ServerInterface.
func (s *server) ListSubscriptions(c *gin.Context, params ListSubscriptionsParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		if s.Operations == nil {
			return nil, errNoProduct
		}
		if len(c.Request.Header.Values(actorHeader)) > 0 {
			return nil, authz.Errorf(authz.CodeInvalid,
				"this call lists all subscriptions; leave out the header %s", actorHeader)
		}
		subscriptions, token, err := s.Operations.Subscriptions(
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

// DeleteSubscription implements ServerInterface.
func (s *server) DeleteSubscription(c *gin.Context, id ID, _ DeleteSubscriptionParams) {
	s.delete(c, "subscription", id)
}

// ListSubscriptionAccounts implements ServerInterface.
func (s *server) ListSubscriptionAccounts(c *gin.Context, id ID, params ListSubscriptionAccountsParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		accounts, token, err := s.Operations.SubscriptionAccounts(
			ctx, callOf(c).caller(), authz.ID(id), page(params.Limit, params.Cursor),
		)
		return showAccounts(accounts, token), err
	})
}

// TransferSubscription implements ServerInterface.
func (s *server) TransferSubscription(c *gin.Context, id ID, _ TransferSubscriptionParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[Transfer](c)
		if err != nil {
			return nil, err
		}
		var in reader
		to := in.person("to", body.To)
		if in.err != nil {
			return nil, in.err
		}
		by, err := callOf(c).callerWith(body.Reason)
		if err != nil {
			return nil, err
		}
		token, err := s.Operations.TransferSubscription(ctx, by, authz.ID(id), to)
		return done(token), err
	})
}

func showSubscription(s operation.Subscription, token authz.Token) Subscription {
	return Subscription{
		ID: string(s.ID), RoleSet: nilIfEmpty(s.RoleSet), Features: toStrings(s.Features), Token: string(token),
	}
}

// page returns the page of a list that a request asks for.
func page(limit *Limit, cursor *Cursor) operation.Page {
	return operation.Page{Limit: optional(limit), Cursor: optional(cursor)}
}
