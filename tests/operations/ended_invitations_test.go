package operations_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestEndOfMembershipWithdrawsInvitations ends the last role that made ed a member of a subscription, by every
// operation that can. Afterwards, nobody may accept an older invitation to the subscription that ed received or sent.
// Ed's invitation to an account on which he held no role, and invitations of other people, stay.
func TestEndOfMembershipWithdrawsInvitations(t *testing.T) {
	engine := newEngine(t)
	ctx := t.Context()
	for i, end := range endings {
		t.Run(end.name, func(t *testing.T) {
			c := newPublisher(t, engine, authz.ID(fmt.Sprintf("w%d", i)))
			_, _, err := c.s.PutFeatures(ctx, by(""), c.id, []string{"dashboards"}) // this lets members invite
			require.NoError(t, err)
			c.give("ed", "a", "editor")
			subscription := authz.Object{Type: "subscription", ID: c.id}
			invite := func(inviter authz.ID, to authz.Object, invitee authz.ID, role string) string {
				in := operation.NewInvitation{To: to, Invitee: invitee, Roles: []string{role}}
				invitation, _, err := c.s.Invite(ctx, by(inviter), in)
				require.NoError(t, err)
				return invitation.ID
			}
			elsewhere := authz.Object{Type: "account", ID: c.account("b")}
			toEd := invite("olga", subscription, "ed", "owner")
			others := invite("olga", subscription, "nora", "member")
			toOther := invite("olga", elsewhere, "ed", "report_user")
			inviteMany(t, engine, "many"+end.name, subscription, "ed", "member", 3)
			requireEnded := func() {
				_, _, err := c.s.AcceptInvitation(ctx, by("ed"), toEd)
				require.ErrorIs(t, err, authz.CodeNotFound)
				_, _, err = c.s.AcceptInvitation(ctx, by("anybody"), "many"+end.name+"1")
				require.ErrorIs(t, err, authz.CodeNotFound)
			}
			err = end.perform(ctx, operation.New(engine), c.id, c.account("a"))
			require.NoError(t, err)
			require.Empty(t, c.belongs("ed"))
			// As an owner, ed may invite again, but the withdrawn invitations must stay closed.
			c.grant("ed", "owner")
			requireEnded()
			_, _, err = c.s.AcceptInvitation(ctx, by("nora"), others)
			require.NoError(t, err)
			_, _, err = c.s.AcceptInvitation(ctx, by("ed"), toOther)
			require.NoError(t, err)
		})
	}
}

// TestEndOfMembershipWithdrawsManyInvitations ends a membership by several kinds of operations. The person has more
// open invitations to the subscription than one write deletes. The invitations must end before the membership.
func TestEndOfMembershipWithdrawsManyInvitations(t *testing.T) {
	engine := newEngine(t)
	for _, name := range []string{"removed", "reassigned", "account deleted"} {
		for i, end := range endings {
			if end.name != name {
				continue
			}
			c := newPublisher(t, engine, authz.ID(fmt.Sprintf("many%d", i)))
			c.give("ed", "a", "editor")
			subscription := authz.Object{Type: "subscription", ID: c.id}
			inviteMany(t, engine, name, subscription, "ed", "member", 260)
			err := end.perform(t.Context(), operation.New(&crashing{engine, 1}), c.id, c.account("a"))
			require.ErrorIs(t, err, errCrash)
			require.Equal(t, []string{"member"}, c.belongs("ed"))
			require.NoError(t, end.perform(t.Context(), c.s, c.id, c.account("a")))
			require.Empty(t, c.belongs("ed"))
			require.Empty(t, invited(t, engine))
		}
	}
}

// TestInvitationEndsWithRoleOfInviter lets people whose role has an end invite to accounts, for every role set that
// allows it. The invitation must end with the role, even if the person is granted the role again. Invitations of an
// owner of the subscription, and of a person whose base role has no end, keep their full time.
func TestInvitationEndsWithRoleOfInviter(t *testing.T) {
	engine := newEngine(t)
	company(t, operation.New(engine))
	now := time.Now().UTC().Truncate(time.Second)
	s := operation.New(engine)
	ctx := t.Context()
	ends, long := now.Add(time.Hour), now.Add(operation.DefaultInvitation)
	for account, role := range map[authz.ID]string{"team": "user", "analytics": "editor"} {
		place := authz.Object{Type: "account", ID: account}
		for _, invitee := range []authz.ID{"", "nina"} {
			carl := "carl-" + invitee
			put := func(until time.Time) {
				_, _, err := s.PutAccountMember(ctx, by("ada"), account, carl, []string{role}, until)
				require.NoError(t, err)
			}
			in := operation.NewInvitation{To: place, Invitee: invitee, Roles: []string{role}}
			put(ends)
			limited, _, err := s.Invite(ctx, by(carl), in)
			require.NoError(t, err)
			require.Equal(t, ends, limited.ExpiresAt)
			rows := authz.Filter{Type: "invitation", ID: limited.Handle}
			for item, err := range engine.Read(ctx, rows, authz.Fully(), authz.Page{}) {
				require.NoError(t, err)
				require.True(t, ends.Equal(item.Relationship.ExpiresAt))
			}
			short := time.Minute
			in.ExpiresIn = &short
			sooner, _, err := s.Invite(ctx, by(carl), in)
			require.NoError(t, err)
			require.Less(t, sooner.ExpiresAt, ends)
			in.ExpiresIn = nil

			put(time.Time{}) // a permanent role does not extend earlier invitations
			open, _, err := s.Invitations(ctx, by("ada"), place, operation.Page{Limit: 1000})
			require.NoError(t, err)
			for _, invitation := range open.Invitations {
				require.False(t, invitation.ExpiresAt.After(ends))
			}
			permanent, _, err := s.Invite(ctx, by(carl), in)
			require.NoError(t, err)
			require.False(t, permanent.ExpiresAt.Before(long))
			put(ends)
			store(ctx, t, engine, "subscription:acme#owner@user:"+string(carl))
			owner, _, err := s.Invite(ctx, by(carl), in)
			require.NoError(t, err)
			require.False(t, owner.ExpiresAt.Before(long))
			_, err = s.RemoveSubscriptionMember(ctx, by("ada"), "acme", carl)
			require.NoError(t, err)
		}
	}
}

// TestRoleGrantedAgainLeavesOldInvitationsClosed grants a role to a person whose earlier role was shortened and has
// ended. While the person had that role, they sent invitations. These must be withdrawn, however many there are. But an
// invitation by an owner of the subscription must stay.
func TestRoleGrantedAgainLeavesOldInvitationsClosed(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	team := authz.Object{Type: "account", ID: "team"}
	give := map[string]func(s *operation.Service) error{
		"put": func(s *operation.Service) error {
			_, _, err := s.PutAccountMember(ctx, by("ada"), "team", "carl", []string{"user"}, time.Time{})
			return err
		},
		"patch": func(s *operation.Service) error {
			_, _, err := s.PatchAccountMembers(ctx, by("ada"), "team", map[authz.ID][]string{"carl": {"user"}}, time.Time{})
			return err
		},
		"accounts of a person": func(s *operation.Service) error {
			wanted := map[authz.ID][]string{"team": {"user"}}
			_, _, err := s.PutMemberAccounts(ctx, by("ada"), "acme", "carl", wanted, time.Time{})
			return err
		},
		"invitation": func(s *operation.Service) error {
			invitation, _, err := s.Invite(ctx, by("ada"), operation.NewInvitation{To: team, Invitee: "carl", Roles: []string{"user"}})
			if err == nil {
				_, _, err = s.AcceptInvitation(ctx, by("carl"), invitation.ID)
			}
			return err
		},
	}
	for name, again := range rolesThroughGroups(t, engine) {
		give[name] = again
	}
	for name, again := range give {
		for _, n := range []int{3, 260} {
			inviteMany(t, engine, name, team, "carl", "user", n) // carl's role has ended since
			elsewhere := inviteMany(t, engine, name+"elsewhere", authz.Object{Type: "account", ID: "analytics"}, "carl", "editor", 2)
			require.NoError(t, again(s))
			_, _, err := s.AcceptInvitation(ctx, by("anybody"), name+"1")
			require.ErrorIs(t, err, authz.CodeNotFound, name)
			open, _, err := s.Invitations(ctx, by("ada"), team, operation.Page{Limit: 1000})
			require.NoError(t, err)
			require.Empty(t, open.Invitations, name)
			store(ctx, t, engine, "account:analytics#editor@user:carl")
			_, _, err = s.AcceptInvitation(ctx, by("anybody"), elsewhere[1])
			require.NoError(t, err)
			_, err = s.EraseUser(ctx, by(""), "carl")
			require.NoError(t, err)
		}
	}
	store(ctx, t, engine, "subscription:acme#owner@user:carl")
	ids := inviteMany(t, engine, "owner", team, "carl", "user", 2)
	require.NoError(t, give["put"](s))
	_, _, err := s.AcceptInvitation(ctx, by("nora"), ids[1])
	require.NoError(t, err)
}

// rolesThroughGroups returns functions that give carl a role on the account team through a group, by name. Each call
// begins with a group that gives carl no role.
func rolesThroughGroups(t *testing.T, engine authz.Engine) map[string]func(s *operation.Service) error {
	t.Helper()
	store(
		t.Context(), t, engine, "group:band#subscription@subscription:acme", "group:crew#subscription@subscription:acme",
		"account:team#user@group:crew#member",
	)
	band := authz.Holder{Type: authz.TypeGroup, ID: "band"}
	team := authz.Object{Type: "account", ID: "team"}
	return map[string]func(s *operation.Service) error{
		"joins a group": func(s *operation.Service) error {
			_, err := s.AddGroupMember(t.Context(), by("ada"), "crew", "carl")
			return err
		},
		"joins a group with others": func(s *operation.Service) error {
			_, err := s.ChangeGroupMembers(t.Context(), by("ada"), "crew", []authz.ID{"nils", "carl"}, nil)
			return err
		},
		"a group gets a role": func(s *operation.Service) error {
			_, err := s.RemoveHolderRoles(t.Context(), by("ada"), team, band)
			if err == nil {
				store(t.Context(), t, engine, "group:band#member@user:carl")
				_, _, err = s.PutHolderRoles(t.Context(), by("ada"), team, band, []string{"user"}, time.Time{})
			}
			return err
		},
	}
}
