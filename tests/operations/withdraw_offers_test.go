package operations_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestLoweringDuringAcceptance makes a person a guest while the person accepts an invitation to be owner. In either
// order, the person must be a guest afterwards: the change of role withdraws the invitation, or replaces the accepted
// role.
func TestLoweringDuringAcceptance(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	for round := range 30 {
		who := authz.ID(fmt.Sprintf("w%d", round))
		invitation, _, err := s.Invite(t.Context(), by("ada"), operation.NewInvitation{
			To: authz.Object{Type: "account", ID: "team"}, Invitee: who, Roles: []string{"owner"},
		})
		require.NoError(t, err)
		group, ctx := errgroup.WithContext(t.Context())
		group.Go(func() error {
			_, _, err := s.PutAccountMember(ctx, by("ada"), "team", who, []string{"guest"}, time.Time{})
			return err
		})
		group.Go(func() error {
			_, _, err := s.AcceptInvitation(ctx, by(who), invitation.ID)
			if errors.Is(err, authz.CodeNotFound) {
				return nil
			}
			return err
		})
		require.NoError(t, group.Wait())
		require.Equal(t, []string{"account:team#guest@user:" + string(who)}, accountRolesOf(t, engine, "team", who))
	}
}

// accountRolesOf returns the roles of a person on an account.
func accountRolesOf(t *testing.T, engine authz.Engine, account, who authz.ID) (found []string) {
	t.Helper()
	roles := authz.Filter{Type: "account", ID: account, SubjectType: "user", SubjectID: who}
	for item, err := range engine.Read(t.Context(), roles, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		found = append(found, item.Relationship.String())
	}
	return found
}

// TestLoweringWithdrawsConcurrentInvitation invites a person to be owner between the reads and the write of a change
// that makes them a guest. The change retries and withdraws the invitation.
func TestLoweringWithdrawsConcurrentInvitation(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	team := authz.Object{Type: "account", ID: "team"}
	var invitation operation.Invitation
	_, _, err := operation.New(&interposing{engine, func() {
		var err error
		invitation, _, err = s.Invite(t.Context(), by("ada"), operation.NewInvitation{
			To: team, Invitee: "wendy", Roles: []string{"owner"},
		})
		require.NoError(t, err)
	}}).PutAccountMember(t.Context(), by("ada"), "team", "wendy", []string{"guest"}, time.Time{})
	require.NoError(t, err)
	_, _, err = s.AcceptInvitation(t.Context(), by("wendy"), invitation.ID)
	require.ErrorIs(t, err, authz.CodeNotFound)
	require.Equal(t, []string{"account:team#guest@user:wendy"}, accountRolesOf(t, engine, "team", "wendy"))
}
