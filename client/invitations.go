package client

import (
	"context"
	"iter"

	"github.com/sluice-authz/sluice/client/rest"
)

type (
	// NewInvitation has the parameters of a new invitation. Without an Invitee, anybody who knows its id may accept it.
	// Without ExpiresIn, in seconds, it expires after seven days.
	NewInvitation = rest.NewInvitation

	// Invitation is an invitation as its inviter sees it, with the secret ID that accepts it.
	Invitation = rest.Invitation

	// ListedInvitation is an open invitation.
	ListedInvitation = rest.ListedInvitation

	// AcceptedInvitation describes the granted roles.
	AcceptedInvitation = rest.AcceptedInvitation
)

// InviteToAccount invites to an account.
func (a *Actor) InviteToAccount(ctx context.Context, account string, in NewInvitation) (Invitation, error) {
	in.Roles = list(in.Roles)
	return answer[Invitation](a.rest.InviteToAccount(ctx, account, nil, in))
}

// InviteToSubscription invites to a subscription.
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

// WithdrawAccountInvitation withdraws an invitation to an account, by its handle.
func (a *Actor) WithdrawAccountInvitation(ctx context.Context, account, handle string) error {
	return done(a.rest.WithdrawAccountInvitation(ctx, account, handle, nil))
}

// WithdrawSubscriptionInvitation withdraws an invitation to a subscription, by its handle.
func (a *Actor) WithdrawSubscriptionInvitation(ctx context.Context, subscription, handle string) error {
	return done(a.rest.WithdrawSubscriptionInvitation(ctx, subscription, handle, nil))
}

// AcceptInvitation accepts an invitation, by its secret id.
func (a *Actor) AcceptInvitation(ctx context.Context, id string) (AcceptedInvitation, error) {
	return answer[AcceptedInvitation](a.rest.AcceptInvitation(ctx, id, nil))
}

// DeclineInvitation declines an invitation, by its secret id.
func (a *Actor) DeclineInvitation(ctx context.Context, id string) error {
	return done(a.rest.DeclineInvitation(ctx, id, nil))
}
