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
	) (operation.Invitation, operation.Done, error)
	Invitations(
		ctx context.Context, by operation.Caller, to authz.Object, page operation.Page,
	) (operation.Invitations, authz.Token, error)
	WithdrawInvitation(ctx context.Context, by operation.Caller, to authz.Object, handle authz.ID) (operation.Done, error)
	AcceptInvitation(
		ctx context.Context, by operation.Caller, id string,
	) (operation.AcceptedInvitation, operation.Done, error)
	DeclineInvitation(ctx context.Context, by operation.Caller, id string) (operation.Done, error)
}

// invite decodes POST /v1/accounts/{id}/invitations, or the same of a subscription.
func invite(to authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		body, err := decodeBody[NewInvitation](r)
		if err != nil {
			return nil, err
		}
		var in reader
		input := operation.NewInvitation{
			To: authz.Object{Type: to, ID: r.id()}, Invitee: in.optionalPerson("invitee", body.Invitee), Roles: body.Roles,
			ExpiresIn: seconds(body.ExpiresIn),
		}
		if in.err != nil {
			return nil, in.err
		}
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			invitation, done, err := on.Invite(ctx, r.caller(), input)
			return showInvitation(invitation, done.Token), done, err
		}, nil
	}
}

func showInvitation(i operation.Invitation, token authz.Token) Invitation {
	account, subscription := showPlace(i.To)
	return Invitation{
		ID: nilIfEmpty(i.ID), Handle: nilIfEmpty(i.Handle), Account: account, Subscription: subscription,
		Inviter: string(i.Inviter), Invitee: nilIfEmpty(i.Invitee), Roles: new(toStrings(i.Roles)),
		ExpiresAt: showTime(i.ExpiresAt), Token: string(token),
	}
}

// ListAccountInvitations implements ServerInterface.
func (a *productAPI) ListAccountInvitations(c *gin.Context, id ID, params ListAccountInvitationsParams) {
	a.listInvitations(c, authz.Object{Type: "account", ID: authz.ID(id)}, page(params.Limit, params.Cursor))
}

// ListSubscriptionInvitations implements ServerInterface.
func (a *productAPI) ListSubscriptionInvitations(c *gin.Context, id ID, params ListSubscriptionInvitationsParams) {
	a.listInvitations(c, authz.Object{Type: "subscription", ID: authz.ID(id)}, page(params.Limit, params.Cursor))
}

func (a *productAPI) listInvitations(c *gin.Context, to authz.Object, page operation.Page) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		invitations, token, err := a.operations.Invitations(ctx, callOf(c).caller(), to, page)
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

// withdrawInvitation decodes DELETE /v1/accounts/{id}/invitations/{handle}, or the same of a subscription.
func withdrawInvitation(to authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		place, handle := authz.Object{Type: to, ID: r.id()}, authz.ID(r.params.ByName("handle"))
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			done, err := on.WithdrawInvitation(ctx, r.caller(), place, handle)
			return doneAnswer(done), done, err
		}, nil
	}
}

// acceptInvitation decodes POST /v1/invitations/{id}/accept.
func acceptInvitation(r request) (writeCall, error) {
	by := r.caller()
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		accepted, done, err := on.AcceptInvitation(ctx, by, string(r.id()))
		account, subscription := showPlace(accepted.To)
		return AcceptedInvitation{
			Account: account, Subscription: subscription, User: string(by.Actor), Roles: new(toStrings(accepted.Roles)),
			ExpiresAt: showTime(accepted.ExpiresAt), Token: string(done.Token),
		}, done, err
	}, nil
}

// declineInvitation decodes POST /v1/invitations/{id}/decline.
func declineInvitation(r request) (writeCall, error) {
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.DeclineInvitation(ctx, r.caller(), string(r.id()))
		return doneAnswer(done), done, err
	}, nil
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
