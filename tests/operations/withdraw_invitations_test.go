package operations_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestRemovalWithdrawsInvitations removes a person by every operation that removes people. After the first write, no
// invitation to the account or subscription of the removal that the person received or sent may be open, even if the
// person gets a role again. Other invitations stay open.
func TestRemovalWithdrawsInvitations(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	team := authz.Object{Type: "account", ID: "team"}
	acme := authz.Object{Type: "subscription", ID: "acme"}
	removals := []struct {
		name  string
		whole bool // the person is removed from the subscription with all of its accounts
		run   func(ctx context.Context, s *operation.Service, who authz.ID) error
	}{
		{"by another", false, func(ctx context.Context, s *operation.Service, who authz.ID) error {
			_, err := s.RemoveAccountMember(ctx, by("uma"), "team", who)
			return err
		}},
		{"by themselves", false, func(ctx context.Context, s *operation.Service, who authz.ID) error {
			_, err := s.RemoveAccountMember(ctx, by(who), "team", who)
			return err
		}},
		{"patch", false, func(ctx context.Context, s *operation.Service, who authz.ID) error {
			_, _, err := s.PatchAccountMembers(ctx, by("ada"), "team", map[authz.ID][]string{who: nil}, time.Time{})
			return err
		}},
		{"in bulk", false, func(ctx context.Context, s *operation.Service, who authz.ID) error {
			_, _, err := s.PutMemberAccounts(ctx, by("ada"), "acme", who, map[authz.ID][]string{"team": nil}, time.Time{})
			return err
		}},
		{"reassigning", false, func(ctx context.Context, s *operation.Service, who authz.ID) error {
			_, _, err := s.HandOverAccountMember(ctx, by("ada"), "team", who, operation.Handover{To: "uma"})
			return err
		}},
		{"from the subscription", true, func(ctx context.Context, s *operation.Service, who authz.ID) error {
			_, err := s.RemoveSubscriptionMember(ctx, by("ada"), "acme", who)
			return err
		}},
		{"from the subscription, reassigning", true, func(ctx context.Context, s *operation.Service, who authz.ID) error {
			_, _, err := s.HandOverSubscriptionMember(ctx, by("ada"), "acme", who, operation.Handover{To: "uma"})
			return err
		}},
	}
	for _, removal := range removals {
		t.Run(removal.name, func(t *testing.T) {
			who := authz.ID("nina-" + removal.name[:2] + removal.name[len(removal.name)-2:])
			come := func() {
				_, _, err := s.PutSubscriptionMember(ctx, by("ada"), "acme", who, []string{"member"})
				require.NoError(t, err)
				_, _, err = s.PutAccountMember(ctx, by("ada"), "team", who, []string{"user"}, time.Time{})
				require.NoError(t, err)
			}
			invite := func(inviter authz.ID, to authz.Object, invitee authz.ID, role string) string {
				invitation, _, err := s.Invite(ctx, by(inviter), operation.NewInvitation{
					To: to, Invitee: invitee, Roles: []string{role},
				})
				require.NoError(t, err)
				return invitation.ID
			}
			come()
			ended := map[string]authz.ID{
				invite("ada", team, who, "owner"):       who,
				invite(who, team, "guest-"+who, "user"): "guest-" + who,
				invite(who, team, "", "user"):           "other-" + who,
			}
			toSubscription := invite("ada", acme, who, "owner")
			others := invite("uma", team, "", "user")
			elsewhere := invite("ada", authz.Object{Type: "account", ID: "analytics"}, "nora-"+who, "editor")
			if removal.whole {
				ended[toSubscription] = who
			}

			err := removal.run(ctx, operation.New(&crashing{engine, 1}), who)
			if !errors.Is(err, errCrash) {
				require.NoError(t, err)
			}
			require.NoError(t, s.Resume(ctx))
			// These roles are stored directly. A call that grants them would itself withdraw invitations to stronger
			// roles.
			store(ctx, t, engine, "subscription:acme#member@user:"+string(who), "account:team#user@user:"+string(who))
			for id, invitee := range ended {
				_, _, err := s.AcceptInvitation(ctx, by(invitee), id)
				require.ErrorIs(t, err, authz.CodeNotFound)
			}
			if !removal.whole {
				_, _, err = s.AcceptInvitation(ctx, by(who), toSubscription)
				require.NoError(t, err)
			}
			_, _, err = s.AcceptInvitation(ctx, by("third-"+who), others)
			require.NoError(t, err)
			_, _, err = s.AcceptInvitation(ctx, by("nora-"+who), elsewhere)
			require.NoError(t, err)
		})
	}

	for _, removal := range removals {
		if removal.name == "by themselves" { // a person without a role may not view the account
			continue
		}
		t.Run(removal.name+", of somebody who holds no role", func(t *testing.T) {
			who := authz.ID("nobody")
			toTeam, _, err := s.Invite(ctx, by("ada"), operation.NewInvitation{To: team, Invitee: who, Roles: []string{"owner"}})
			require.NoError(t, err)
			toAcme, _, err := s.Invite(ctx, by("ada"), operation.NewInvitation{To: acme, Invitee: who, Roles: []string{"owner"}})
			require.NoError(t, err)
			require.NoError(t, removal.run(ctx, s, who))
			_, _, err = s.AcceptInvitation(ctx, by(who), toTeam.ID)
			require.ErrorIs(t, err, authz.CodeNotFound)
			_, err = s.DeclineInvitation(ctx, by(who), toAcme.ID)
			if removal.whole {
				require.ErrorIs(t, err, authz.CodeNotFound)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// TestNewerInvitationReplacesOlder invites one person to one place many times, one after the other and concurrently. In
// the end, exactly one of these invitations is open. Invitations of other people, to other places and for everybody
// stay open.
func TestNewerInvitationReplacesOlder(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	team := authz.Object{Type: "account", ID: "team"}
	invite := func(to authz.Object, invitee authz.ID, role string) (operation.Invitation, error) {
		invitation, _, err := s.Invite(ctx, by("ada"), operation.NewInvitation{
			To: to, Invitee: invitee, Roles: []string{role},
		})
		return invitation, err
	}
	for _, other := range []struct {
		to      authz.Object
		invitee authz.ID
		role    string
	}{
		{team, "nora", "guest"},
		{team, "", "user"},
		{authz.Object{Type: "account", ID: "analytics"}, "nina", "editor"},
		{authz.Object{Type: "subscription", ID: "acme"}, "nina", "member"},
	} {
		_, err := invite(other.to, other.invitee, other.role)
		require.NoError(t, err)
	}
	older, err := invite(team, "nina", "owner")
	require.NoError(t, err)
	newer, err := invite(team, "nina", "guest")
	require.NoError(t, err)
	_, _, err = s.AcceptInvitation(ctx, by("nina"), older.ID)
	require.ErrorIs(t, err, authz.CodeNotFound)
	_, _, err = s.AcceptInvitation(ctx, by("nina"), newer.ID)
	require.NoError(t, err)

	var group errgroup.Group
	for range 6 {
		group.Go(func() error {
			_, err := invite(team, "nina", "user")
			return err
		})
	}
	require.NoError(t, group.Wait())
	open, _, err := s.Invitations(ctx, by("ada"), team, operation.Page{Limit: 1000})
	require.NoError(t, err)
	require.Len(t, open.Invitations, 3, "one for nina, one for nora, one for everybody")
	for _, place := range []authz.Object{{Type: "account", ID: "analytics"}, {Type: "subscription", ID: "acme"}} {
		open, _, err := s.Invitations(ctx, by("ada"), place, operation.Page{Limit: 1000})
		require.NoError(t, err)
		require.Len(t, open.Invitations, 1)
	}
	_, err = s.EraseUser(ctx, by(""), "nina")
	require.NoError(t, err)
	for item, err := range engine.Read(ctx, authz.Filter{Type: "invitee"}, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		require.NotEqual(t, authz.ID("nina"), item.Relationship.Resource.ID)
	}
}

// TestReplacingInvitationOfAnotherNeedsRightToWithdraw checks people who may invite, but may not withdraw invitations
// of others. Each of them invites somebody who has an open invitation by an owner, or gets one at the same time. The
// owner's invitation must stay, for every role that it offers.
func TestReplacingInvitationOfAnotherNeedsRightToWithdraw(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	_, _, err := s.CreateSubscription(ctx, by(""), operation.NewSubscription{ID: "single", RoleSet: "single_owner", Owner: "ada"})
	require.NoError(t, err)
	for who, role := range map[authz.ID]string{"ivan": "it_admin", "bianca": "business_admin"} {
		_, _, err := s.PutSubscriptionMember(ctx, by("ada"), "single", who, []string{role})
		require.NoError(t, err)
	}
	_, _, err = s.PutAccountMember(ctx, by("ada"), "team", "ursula", []string{"user"}, time.Time{})
	require.NoError(t, err)
	team, single := authz.Object{Type: "account", ID: "team"}, authz.Object{Type: "subscription", ID: "single"}
	for i, c := range []struct {
		place    authz.Object
		offered  string // role that the owner offers
		weak     authz.ID
		offers   string
		lacks    authz.Permission
		stronger authz.ID // a person who may withdraw the offer
	}{
		{team, "owner", "uma", "user", "assign_roles", "ada"},
		{team, "user", "uma", "user", "assign_roles", "ada"},
		{team, "guest", "ursula", "user", "assign_roles", "ada"},
		{single, "owner", "ivan", "read_only", "remove_users", "bianca"},
		{single, "business_admin", "ivan", "it_admin", "remove_users", "bianca"},
		{single, "read_only", "ivan", "read_only", "remove_users", "bianca"},
	} {
		invitee := authz.ID(fmt.Sprintf("invitee-%d", i))
		invite := func(s *operation.Service, inviter authz.ID, role string) (operation.Invitation, error) {
			invitation, _, err := s.Invite(ctx, by(inviter), operation.NewInvitation{
				To: c.place, Invitee: invitee, Roles: []string{role},
			})
			return invitation, err
		}
		requireOpen := func(want operation.Invitation) {
			t.Helper()
			open, _, err := s.Invitations(ctx, by(c.weak), c.place, operation.Page{Limit: 1000})
			require.NoError(t, err, "who may invite may list, so that the refusal reveals nothing")
			var handles []authz.ID
			for _, invitation := range open.Invitations {
				if invitation.Invitee == invitee {
					handles = append(handles, invitation.Handle)
				}
			}
			require.Equal(t, []authz.ID{want.Handle}, handles)
		}
		requireRefused := func(err error) {
			t.Helper()
			require.ErrorIs(t, err, authz.CodeForbidden)
			var refused *authz.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, c.lacks, refused.Permission)
		}
		var older operation.Invitation
		_, err := invite(operation.New(&interposing{engine, func() {
			var err error
			older, err = invite(s, "ada", c.offered)
			require.NoError(t, err)
		}}), c.weak, c.offers)
		requireRefused(err)
		requireOpen(older)
		_, err = invite(s, c.weak, c.offers)
		requireRefused(err)
		requireOpen(older)

		replaced, err := invite(s, c.stronger, c.offers)
		require.NoError(t, err)
		requireOpen(replaced)
		_, err = s.WithdrawInvitation(ctx, by(c.stronger), c.place, replaced.Handle)
		require.NoError(t, err)
		_, err = invite(s, c.weak, c.offers)
		require.NoError(t, err)
		own, err := invite(s, c.weak, c.offers)
		require.NoError(t, err, "their own they may withdraw")
		requireOpen(own)
		newest, err := invite(s, "ada", c.offers)
		require.NoError(t, err)
		requireOpen(newest)
	}
}
