package client

import (
	"context"
	"iter"

	"github.com/sluice-authz/sluice/client/rest"
)

type (
	// NewInvitation has the parameters of a new invitation. Without an Invitee, anybody who knows the id of the
	// invitation may accept it. ExpiresIn is in seconds; without it, the invitation expires after seven days.
	NewInvitation = rest.NewInvitation

	// Invitation is a new invitation. Only its inviter receives the secret ID, with which the invitee accepts it.
	Invitation = rest.Invitation

	// ListedInvitation is an open invitation in a list. It has a handle instead of the secret id.
	ListedInvitation = rest.ListedInvitation

	// AcceptedInvitation has all roles that the person holds after accepting an invitation.
	AcceptedInvitation = rest.AcceptedInvitation
)

// InviteToAccount creates an invitation to an account.
func (a *Actor) InviteToAccount(ctx context.Context, account string, in NewInvitation) (Invitation, error) {
	in.Roles = list(in.Roles)
	return answer[Invitation](a.rest.InviteToAccount(ctx, account, nil, in))
}

// InviteToSubscription creates an invitation to a subscription.
func (a *Actor) InviteToSubscription(ctx context.Context, subscription string, in NewInvitation) (Invitation, error) {
	in.Roles = list(in.Roles)
	return answer[Invitation](a.rest.InviteToSubscription(ctx, subscription, nil, in))
}

// AccountInvitations lists the open invitations to an account.
func (a *Actor) AccountInvitations(ctx context.Context, account string) iter.Seq2[ListedInvitation, error] {
	return pages(func(cursor string) ([]ListedInvitation, string, error) {
		page, err := answer[rest.InvitationPage](a.rest.ListAccountInvitations(
			ctx, account, &rest.ListAccountInvitationsParams{Limit: &pageSize, Cursor: cursor}))
		return page.Invitations, page.NextCursor, err
	})
}

// SubscriptionInvitations lists the open invitations to a subscription.
func (a *Actor) SubscriptionInvitations(ctx context.Context, subscription string) iter.Seq2[ListedInvitation, error] {
	return pages(func(cursor string) ([]ListedInvitation, string, error) {
		page, err := answer[rest.InvitationPage](a.rest.ListSubscriptionInvitations(
			ctx, subscription, &rest.ListSubscriptionInvitationsParams{Limit: &pageSize, Cursor: cursor}))
		return page.Invitations, page.NextCursor, err
	})
}

// WithdrawAccountInvitation withdraws the invitation to an account that has this handle.
func (a *Actor) WithdrawAccountInvitation(ctx context.Context, account, handle string) error {
	return done(a.rest.WithdrawAccountInvitation(ctx, account, handle, nil))
}

// WithdrawSubscriptionInvitation withdraws the invitation to a subscription that has this handle.
func (a *Actor) WithdrawSubscriptionInvitation(ctx context.Context, subscription, handle string) error {
	return done(a.rest.WithdrawSubscriptionInvitation(ctx, subscription, handle, nil))
}

// AcceptInvitation accepts the invitation with this secret id.
func (a *Actor) AcceptInvitation(ctx context.Context, id string) (AcceptedInvitation, error) {
	return answer[AcceptedInvitation](a.rest.AcceptInvitation(ctx, id, nil))
}

// DeclineInvitation declines the invitation with this secret id.
func (a *Actor) DeclineInvitation(ctx context.Context, id string) error {
	return done(a.rest.DeclineInvitation(ctx, id, nil))
}
