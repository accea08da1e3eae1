package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type invitationOperations interface {
	Invite(
		ctx context.Context,
		by operation.Caller,
		in operation.NewInvitation,
	) (operation.Invitation, authz.Token, error)
	Invitations(
		ctx context.Context, by operation.Caller, to authz.Object, page operation.Page,
	) (operation.Invitations, authz.Token, error)
	WithdrawInvitation(ctx context.Context, by operation.Caller, to authz.Object, handle authz.ID) (authz.Token, error)
	AcceptInvitation(
		ctx context.Context, by operation.Caller, id string,
	) (operation.AcceptedInvitation, authz.Token, error)
	DeclineInvitation(ctx context.Context, by operation.Caller, id string) (authz.Token, error)
}

// InviteToAccount implements ServerInterface.
func (s *server) InviteToAccount(c *gin.Context, id ID, _ InviteToAccountParams) {
	s.invite(c, authz.Object{Type: "account", ID: authz.ID(id)})
}

// InviteToSubscription implements ServerInterface.
func (s *server) InviteToSubscription(c *gin.Context, id ID, _ InviteToSubscriptionParams) {
	s.invite(c, authz.Object{Type: "subscription", ID: authz.ID(id)})
}

func (s *server) invite(c *gin.Context, to authz.Object) {
	s.answer(c, http.StatusCreated, func(ctx context.Context) (any, error) {
		body, err := decode[NewInvitation](c)
		if err != nil {
			return nil, err
		}
		var in reader
		input := operation.NewInvitation{
			To: to, Invitee: in.optionalPerson("invitee", body.Invitee), Roles: body.Roles, ExpiresIn: seconds(body.ExpiresIn),
		}
		if in.err != nil {
			return nil, in.err
		}
		invitation, token, err := s.Operations.Invite(ctx, callOf(c).caller(), input)
		account, subscription := showPlace(invitation.To)
		return Invitation{
			ID: nilIfEmpty(
				invitation.ID,
			), Handle: nilIfEmpty(invitation.Handle), Account: account, Subscription: subscription,
			Inviter: string(
				invitation.Inviter,
			), Invitee: nilIfEmpty(invitation.Invitee), Roles: toStrings(invitation.Roles),
			ExpiresAt: showTime(invitation.ExpiresAt), Token: string(token),
		}, err
	})
}

// ListAccountInvitations implements ServerInterface.
func (s *server) ListAccountInvitations(c *gin.Context, id ID, params ListAccountInvitationsParams) {
	s.listInvitations(c, authz.Object{Type: "account", ID: authz.ID(id)}, page(params.Limit, params.Cursor))
}

// ListSubscriptionInvitations implements ServerInterface.
func (s *server) ListSubscriptionInvitations(c *gin.Context, id ID, params ListSubscriptionInvitationsParams) {
	s.listInvitations(c, authz.Object{Type: "subscription", ID: authz.ID(id)}, page(params.Limit, params.Cursor))
}

func (s *server) listInvitations(c *gin.Context, to authz.Object, page operation.Page) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		invitations, token, err := s.Operations.Invitations(ctx, callOf(c).caller(), to, page)
		listed := make([]ListedInvitation, len(invitations.Invitations))
		for i, invitation := range invitations.Invitations {
			listed[i] = ListedInvitation{
				Handle: string(
					invitation.Handle,
				), Inviter: string(invitation.Inviter), Invitee: nilIfEmpty(invitation.Invitee),
				Roles: toStrings(invitation.Roles), ExpiresAt: invitation.ExpiresAt.UTC(),
			}
		}
		return InvitationPage{Invitations: listed, NextCursor: invitations.NextCursor, Token: string(token)}, err
	})
}

// WithdrawAccountInvitation implements ServerInterface.
func (s *server) WithdrawAccountInvitation(c *gin.Context, id ID, handle Handle, _ WithdrawAccountInvitationParams) {
	s.withdraw(c, authz.Object{Type: "account", ID: authz.ID(id)}, handle)
}

// WithdrawSubscriptionInvitation implements ServerInterface.
func (s *server) WithdrawSubscriptionInvitation(
	c *gin.Context, id ID, handle Handle, _ WithdrawSubscriptionInvitationParams,
) {
	s.withdraw(c, authz.Object{Type: "subscription", ID: authz.ID(id)}, handle)
}

func (s *server) withdraw(c *gin.Context, to authz.Object, handle Handle) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		token, err := s.Operations.WithdrawInvitation(ctx, callOf(c).caller(), to, authz.ID(handle))
		return done(token), err
	})
}

// AcceptInvitation implements ServerInterface.
func (s *server) AcceptInvitation(c *gin.Context, id InvitationID, _ AcceptInvitationParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		by := callOf(c).caller()
		accepted, token, err := s.Operations.AcceptInvitation(ctx, by, id)
		account, subscription := showPlace(accepted.To)
		return AcceptedInvitation{
			Account: account, Subscription: subscription, User: string(by.Actor), Roles: toStrings(accepted.Roles),
			ExpiresAt: showTime(accepted.ExpiresAt), Token: string(token),
		}, err
	})
}

// DeclineInvitation implements ServerInterface.
func (s *server) DeclineInvitation(c *gin.Context, id InvitationID, _ DeclineInvitationParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		token, err := s.Operations.DeclineInvitation(ctx, callOf(c).caller(), id)
		return done(token), err
	})
}

// showPlace returns the id of an account or a subscription as the first or the second result. The other is nil.
func showPlace(place authz.Object) (account, subscription *ID) {
	if place.Type == "account" {
		return nilIfEmpty(place.ID), nil
	}
	return nil, nilIfEmpty(place.ID)
}

// seconds reads an optional number of seconds. A number that overflows becomes the longest duration.
func seconds(value *int) *time.Duration {
	if value == nil {
		return nil
	}
	const most = int(10 * operation.MaxInvitation / time.Second)
	return new(time.Duration(min(max(*value, -most), most)) * time.Second)
}
