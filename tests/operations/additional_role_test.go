package operations_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestAdditionalRoleAloneIsRefused grants only additional roles to a person without a base role, by every operation
// that grants roles. Each must fail. An invitation may offer additional roles alone to a person with a base role. If
// this person holds no base role when they accept, the answer is a conflict.
func TestAdditionalRoleAloneIsRefused(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	account := authz.Object{Type: "account", ID: "operations"}
	alone := []string{"flow_author", "connector_author"}
	invite := func(inviter, invitee authz.ID, roles ...string) (operation.Invitation, error) {
		invitation, _, err := s.Invite(ctx, by(inviter), operation.NewInvitation{To: account, Invitee: invitee, Roles: roles})
		return invitation, err
	}
	before := stored(t, engine)
	for name, give := range map[string]func(who authz.ID) error{
		"put": func(who authz.ID) error {
			_, _, err := s.PutAccountMember(ctx, by("ada"), "operations", who, alone, time.Time{})
			return err
		},
		"put until a time": func(who authz.ID) error {
			_, _, err := s.PutAccountMember(ctx, by("ada"), "operations", who, alone, time.Now().Add(time.Hour))
			return err
		},
		"patch": func(who authz.ID) error {
			_, _, err := s.PatchAccountMembers(
				ctx, by("ada"), "operations", map[authz.ID][]string{"nina": {"operator"}, who: alone}, time.Time{},
			)
			return err
		},
		"accounts of a person": func(who authz.ID) error {
			_, _, err := s.PutMemberAccounts(
				ctx, by("ada"), "acme", who, map[authz.ID][]string{"operations": alone}, time.Time{},
			)
			return err
		},
		"invitation": func(who authz.ID) error {
			if who == "otto" { // otto could be invited, because he keeps his base role; nora has none
				who = "nora"
			}
			_, err := invite("ada", who, alone...)
			return err
		},
		"invitation of everybody": func(authz.ID) error {
			_, err := invite("ada", "", alone...)
			return err
		},
	} {
		for _, who := range []authz.ID{"nobody", "otto"} {
			require.ErrorIs(t, give(who), authz.CodeInvalid, "%s to %s", name, who)
		}
	}
	require.Equal(t, before, stored(t, engine))

	// An actor who may not invite does not learn whether a person holds a base role.
	for _, who := range []authz.ID{"nobody", "ada"} {
		_, err := invite("otto", who, alone...)
		require.ErrorIs(t, err, authz.CodeForbidden, who)
	}

	_, _, err := s.PutAccountMember(ctx, by("ada"), "operations", "opal", []string{"operator"}, time.Time{})
	require.NoError(t, err)
	invitation, err := invite("ada", "opal", alone...)
	require.NoError(t, err)
	operator := authz.Relationship{
		Resource: account, Relation: "operator", Subject: authz.Subject{Object: authz.Object{Type: "user", ID: "opal"}},
	}
	set := func(action authz.Action) {
		_, err := engine.Write(ctx, authz.Write{Updates: []authz.Update{{Action: action, Relationship: operator}}})
		require.NoError(t, err)
	}
	set(authz.Delete) // like an expiration of the role, this leaves the invitation open
	_, _, err = s.AcceptInvitation(ctx, by("opal"), invitation.ID)
	require.ErrorIs(t, err, authz.CodeConflict)
	set(authz.Touch)
	_, _, err = s.AcceptInvitation(ctx, by("opal"), invitation.ID)
	require.NoError(t, err)
	member, _, err := s.GetAccount(ctx, by("opal"), "operations")
	require.NoError(t, err)
	require.Equal(t, operation.Roles{"operator", "flow_author", "connector_author"}, member.Roles)
}
