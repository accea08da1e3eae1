package client_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
)

func TestInvitations(t *testing.T) {
	ctx := t.Context()
	s, a, olga := company(t, "multi_owner", "team")
	ina := shared.Client.As("ina")
	in := client.NewInvitation{Invitee: "ina", Roles: []string{"user"}, ExpiresIn: 3600}
	toAccount := ok[client.Invitation](t)(olga.InviteToAccount(ctx, a, in))
	require.WithinDuration(t, time.Now().Add(time.Hour), toAccount.ExpiresAt, 10*time.Minute)
	require.Equal(t, toAccount.Handle, all(t, olga.AccountInvitations(ctx, a))[0].Handle)
	require.Equal(t, a, ok[client.AcceptedInvitation](t)(ina.AcceptInvitation(ctx, toAccount.ID)).Account)
	require.True(t, ok[bool](t)(shared.Client.Can(ctx, "ina", "view", "account:"+a)))

	in.Roles = []string{"member"}
	toSubscription := ok[client.Invitation](t)(olga.InviteToSubscription(ctx, s, in))
	require.Equal(t, []string{"member"}, all(t, olga.SubscriptionInvitations(ctx, s))[0].Roles)
	require.NoError(t, olga.WithdrawSubscriptionInvitation(ctx, s, toSubscription.Handle))
	require.ErrorIs(t, ina.DeclineInvitation(ctx, toSubscription.ID), client.NotFound)

	in = client.NewInvitation{Invitee: "gus", Roles: []string{"guest"}}
	declined := ok[client.Invitation](t)(olga.InviteToAccount(ctx, a, in))
	require.NoError(t, shared.Client.As("gus").DeclineInvitation(ctx, declined.ID))
	withdrawn := ok[client.Invitation](t)(olga.InviteToAccount(ctx, a, in))
	require.NoError(t, olga.WithdrawAccountInvitation(ctx, a, withdrawn.Handle))
	require.Empty(t, all(t, olga.AccountInvitations(ctx, a)))
	_, err := olga.InviteToAccount(ctx, a, client.NewInvitation{})
	require.ErrorIs(t, err, client.Invalid)
}

// TestLimitedTime grants a role with an expiry date.
func TestLimitedTime(t *testing.T) {
	ctx := t.Context()
	_, a, olga := company(t, "multi_owner", "team")
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	require.Equal(
		t, until, ok[client.ChangedMember](t)(olga.PutAccountMemberUntil(ctx, a, "gus", until, "guest")).ExpiresAt,
	)
	require.Equal(t, until, all(t, shared.Client.As("gus").Accounts(ctx))[0].ExpiresAt)
	require.Zero(t, ok[client.ChangedMember](t)(olga.PutAccountMember(ctx, a, "gus", "guest")).ExpiresAt)
}

// TestIdempotencyKeyOfCaller performs an operation twice, with an idempotency key that the caller chooses.
func TestIdempotencyKeyOfCaller(t *testing.T) {
	ctx := client.WithIdempotencyKey(t.Context(), t.Name())
	_, a, olga := company(t, "multi_owner", "team")
	in := client.NewInvitation{Roles: []string{"user"}}
	first, again := ok[client.Invitation](t)(olga.InviteToAccount(ctx, a, in)), ok[client.Invitation](t)(
		olga.InviteToAccount(ctx, a, in),
	)
	require.Equal(t, first.ID, again.ID)
	require.False(t, first.Replayed)
	require.True(t, again.Replayed)
	_, err := olga.PutAccountMember(ctx, a, "gus", "guest")
	require.ErrorIs(t, err, client.Conflict)
}

// TestHiddenReplay creates a workspace twice with the same idempotency key. Between the two calls, the workspace is
// deleted. So the second answer has only the id, the token and Replayed.
func TestHiddenReplay(t *testing.T) {
	_, a, olga := company(t, "multi_owner", "operations")
	ctx := client.WithIdempotencyKey(t.Context(), t.Name())
	in := client.NewWorkspace{ID: a + "-w", Account: a, Open: true}
	require.True(t, ok[client.Workspace](t)(olga.CreateWorkspace(ctx, in)).Open)
	require.NoError(t, olga.DeleteWorkspace(t.Context(), in.ID))
	again := ok[client.Workspace](t)(olga.CreateWorkspace(ctx, in))
	require.NotEmpty(t, again.Token)
	require.Equal(t, client.Workspace{ID: in.ID, Replayed: true, Token: again.Token}, again)
}
