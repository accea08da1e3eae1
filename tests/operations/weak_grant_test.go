package operations_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestAddingRemovedPersonNeedsAssignRoles removes people by operations that do not need assign_roles. Afterwards an
// actor who may invite, but lacks assign_roles, can neither add a removed person again, nor invite them, nor make an
// invitation for everybody that they can accept.
func TestAddingRemovedPersonNeedsAssignRoles(t *testing.T) {
	engine := newEngine(t)
	now := time.Now()
	s := operation.New(engine, operation.WithClock(func() time.Time { return now }))
	company(t, s)
	ctx := t.Context()
	team := authz.Object{Type: "account", ID: "team"}
	ends := now.Add(time.Hour).UTC().Truncate(time.Second)
	for who, remove := range map[authz.ID]func(who authz.ID) error{
		"removed": func(who authz.ID) error { _, err := s.RemoveAccountMember(ctx, by("uma"), "team", who); return err },
		"left":    func(who authz.ID) error { _, err := s.RemoveAccountMember(ctx, by(who), "team", who); return err },
		"out": func(who authz.ID) error {
			_, err := s.RemoveSubscriptionMember(ctx, by("ada"), "acme", who)
			return err
		},
		"handed": func(who authz.ID) error {
			_, _, err := s.HandOverSubscriptionMember(ctx, by("ada"), "acme", who, operation.Handover{To: "uma"})
			return err
		},
	} {
		_, _, err := s.PutAccountMember(ctx, by("ada"), "team", who, []string{"guest"}, ends)
		require.NoError(t, err)
		require.NoError(t, remove(who), who)
		_, _, err = s.PutAccountMember(ctx, by("uma"), "team", who, []string{"user"}, time.Time{})
		require.ErrorIs(t, err, authz.CodeForbidden, who)
		require.ErrorContains(t, err, "assign_roles")
		_, _, err = s.Invite(ctx, by("uma"), operation.NewInvitation{To: team, Invitee: who, Roles: []string{"user"}})
		require.ErrorIs(t, err, authz.CodeForbidden, who)
		open, _, err := s.Invite(ctx, by("uma"), operation.NewInvitation{To: team, Roles: []string{"user"}})
		require.NoError(t, err)
		_, _, err = s.AcceptInvitation(ctx, by(who), open.ID)
		require.ErrorIs(t, err, authz.CodeForbidden, who)
		_, _, err = s.PutAccountMember(ctx, by("ada"), "team", who, []string{"user"}, time.Time{})
		require.NoError(t, err, who)
		_, err = s.EraseUser(ctx, by(""), who)
		require.NoError(t, err, who)
		_, _, err = s.PutAccountMember(ctx, by("uma"), "team", who, []string{"user"}, time.Time{})
		require.NoError(t, err, "erasing a person deletes that they were removed")
		_, err = s.RemoveAccountMember(ctx, by("uma"), "team", who)
		require.NoError(t, err, who)
	}
	_, err := s.Delete(ctx, by("ada"), team)
	require.NoError(t, err)
	for item, err := range engine.Read(ctx, authz.Filter{Type: "removed_user"}, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		require.Fail(t, item.Relationship.String(), "deleting the account deletes who was removed from it")
	}
}

// TestLimitedPersonGrantsUntilTheirEnd lets people whose role has an end grant roles by every operation that grants
// them. No granted role may end later than the role of the person who granted it.
func TestLimitedPersonGrantsUntilTheirEnd(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	later, sooner := ends.Add(time.Hour), ends.Add(-time.Minute)
	team, analytics := authz.Object{Type: "account", ID: "team"}, authz.Object{Type: "account", ID: "analytics"}
	for account, role := range map[authz.ID]string{"team": "user", "analytics": "editor"} {
		_, _, err := s.PutAccountMember(ctx, by("ada"), account, "carl", []string{role}, ends)
		require.NoError(t, err)
		place := authz.Object{Type: "account", ID: account}
		for who, until := range map[authz.ID]time.Time{"without": {}, "sooner": sooner} {
			member, _, err := s.PutAccountMember(ctx, by("carl"), account, who, []string{role}, until)
			require.NoError(t, err)
			want := ends
			if !until.IsZero() {
				want = until
			}
			require.Equal(t, want, member.ExpiresAt)
			require.Equal(t, map[authz.Role]time.Time{authz.Role(role): want}, rolesOn(t, engine, place, who))
		}
		_, _, err = s.PutAccountMember(ctx, by("carl"), account, "later", []string{role}, later)
		require.ErrorIs(t, err, authz.CodeForbidden)
		require.ErrorContains(t, err, ends.Format(time.RFC3339))
		for _, invitee := range []authz.ID{"", "named"} {
			invitation, _, err := s.Invite(ctx, by("carl"), operation.NewInvitation{To: place, Invitee: invitee, Roles: []string{role}})
			require.NoError(t, err)
			who := "accepts-" + invitee
			if invitee != "" {
				who = invitee
			}
			accepted, _, err := s.AcceptInvitation(ctx, by(who), invitation.ID)
			require.NoError(t, err)
			require.Equal(t, ends, accepted.ExpiresAt)
			require.Equal(t, map[authz.Role]time.Time{authz.Role(role): ends}, rolesOn(t, engine, place, who))
		}
	}
	_, _, err := s.PatchAccountMembers(ctx, by("carl"), "analytics", map[authz.ID][]string{"patched": {"editor"}}, later)
	require.ErrorIs(t, err, authz.CodeForbidden)
	changed, _, err := s.PatchAccountMembers(ctx, by("carl"), "analytics", map[authz.ID][]string{"patched": {"editor"}}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, ends, changed[0].ExpiresAt)
	_, _, err = s.PutAccountMember(ctx, by("ada"), "operations", "carl", []string{"administrator"}, time.Time{})
	require.NoError(t, err)
	inBulk := func(caller operation.Caller) (operation.Member, operation.Done) {
		wanted := map[authz.ID][]string{"analytics": {"editor"}, "operations": {"operator"}, "team": {}}
		if caller.Actor == "carl" {
			delete(wanted, "team") // he is already a user there
		}
		member, done, err := s.PutMemberAccounts(ctx, caller, "acme", "bulk", wanted, time.Time{})
		require.NoError(t, err)
		return member, done
	}
	once := operation.Caller{Actor: "carl", Key: "test", Idempotency: &operation.Idempotency{Key: "bulk", Request: "r"}}
	member, _ := inBulk(once)
	require.Equal(t, map[authz.ID]time.Time{"analytics": ends}, member.AccountsExpireAt, "an answer shows the end that the actor's role sets")
	require.Equal(t, map[authz.Role]time.Time{"editor": ends}, rolesOn(t, engine, analytics, "bulk"))

	// A replayed answer shows the ends that are stored, even though the actor's role is permanent by now.
	_, _, err = s.PutAccountMember(ctx, by("ada"), "analytics", "carl", []string{"editor"}, time.Time{})
	require.NoError(t, err)
	member, done := inBulk(once)
	require.Equal(t, map[authz.ID]time.Time{"analytics": ends}, member.AccountsExpireAt)
	require.True(t, done.IsReplay)
	member, _ = inBulk(by("ada"))
	require.Empty(t, member.AccountsExpireAt)

	// Owners of the subscription may grant roles on its accounts because of their own role, which has no end.
	_, _, err = s.PutSubscriptionMember(ctx, by("ada"), "acme", "carl", []string{"owner"})
	require.NoError(t, err)
	_, _, err = s.PutAccountMember(ctx, by("carl"), "team", "permanent", []string{"user"}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, map[authz.Role]time.Time{"user": {}}, rolesOn(t, engine, team, "permanent"))
}

// interposing is an engine that runs a function before its first write.
type interposing struct {
	authz.Engine
	before func()
}

func (i *interposing) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if before := i.before; before != nil {
		i.before = nil
		before()
	}
	return i.Engine.Write(ctx, write)
}

// TestRemovalDuringGrantNeedsAssignRoles adds a stranger by each operation that does not need assign_roles. Between the
// decision and the write, another operation makes the person a guest and removes them. The person must get no role.
func TestRemovalDuringGrantNeedsAssignRoles(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	team := authz.Object{Type: "account", ID: "team"}
	open, _, err := s.Invite(ctx, by("uma"), operation.NewInvitation{To: team, Roles: []string{"user"}})
	require.NoError(t, err)
	for who, grant := range map[authz.ID]func(s *operation.Service, who authz.ID) error{
		"added": func(s *operation.Service, who authz.ID) error {
			_, _, err := s.PutAccountMember(ctx, by("uma"), "team", who, []string{"user"}, time.Time{})
			return err
		},
		"invited": func(s *operation.Service, who authz.ID) error {
			_, _, err := s.Invite(ctx, by("uma"), operation.NewInvitation{To: team, Invitee: who, Roles: []string{"user"}})
			return err
		},
		"accepting": func(s *operation.Service, who authz.ID) error {
			_, _, err := s.AcceptInvitation(ctx, by(who), open.ID)
			return err
		},
	} {
		between := &interposing{engine, func() {
			_, _, err := s.PutAccountMember(ctx, by("ada"), "team", who, []string{"guest"}, time.Time{})
			require.NoError(t, err)
			_, err = s.RemoveAccountMember(ctx, by("uma"), "team", who)
			require.NoError(t, err)
		}}
		err := grant(operation.New(between), who)
		require.ErrorIs(t, err, authz.CodeForbidden, who)
		if who != "accepting" { // the invitee learns nothing about the inviter
			require.ErrorContains(t, err, "assign_roles")
		}
		require.Empty(t, rolesOn(t, engine, team, who))
	}
}
