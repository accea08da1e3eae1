package operations_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestEndOfAdditionalRoleLimitsNothingElse lets administrators grant roles by every operation. The administrators also
// hold an additional role with an end. Their permission to grant comes from the role administrator, which has no end,
// so the roles that they grant need no end.
func TestEndOfAdditionalRoleLimitsNothingElse(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	account := authz.Object{Type: "account", ID: "operations"}
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	held := func(who authz.ID) map[authz.Role]time.Time { return rolesOn(t, engine, account, who) }
	put := func(actor, who authz.ID, until time.Time, roles ...string) {
		t.Helper()
		member, _, err := s.PutAccountMember(ctx, by(actor), account.ID, who, roles, until)
		require.NoError(t, err)
		require.Equal(t, until, member.ExpiresAt)
	}
	accept := func(actor, who authz.ID, roles ...string) {
		t.Helper()
		invitation, _, err := s.Invite(ctx, by(actor), operation.NewInvitation{To: account, Invitee: who, Roles: roles})
		require.NoError(t, err)
		_, _, err = s.AcceptInvitation(ctx, by(who), invitation.ID)
		require.NoError(t, err)
	}
	mixed := map[authz.Role]time.Time{"administrator": {}, "flow_author": ends}
	for who, promote := range map[authz.ID]func(who authz.ID){
		"invited": func(who authz.ID) { accept("ada", who, "administrator") },
		"added": func(who authz.ID) {
			backend := operation.Caller{Key: "test", Reason: "the administrator is lost"}
			_, _, err := s.PutAccountMember(ctx, backend, account.ID, who, []string{"administrator"}, time.Time{})
			require.NoError(t, err)
		},
	} {
		for _, person := range []authz.ID{who, who + "-too"} {
			put("ada", person, ends, "operator", "flow_author")
			promote(person)
			require.Equal(t, mixed, held(person), "no end moves")
		}
		other := who + "-other"
		for _, until := range []time.Time{{}, ends.Add(time.Hour)} {
			put(who, other, until, "operator", "flow_author")
			require.Equal(t, map[authz.Role]time.Time{"operator": until, "flow_author": until}, held(other))
		}
		put(who, who+"-too", time.Time{}, "administrator", "flow_author")
		require.Equal(t, map[authz.Role]time.Time{"administrator": {}, "flow_author": {}}, held(who+"-too"))

		for _, until := range []time.Time{ends.Add(time.Hour), {}} {
			change := map[authz.ID][]string{other: {"read_only"}}
			changed, _, err := s.PatchAccountMembers(ctx, by(who), account.ID, change, until)
			require.NoError(t, err)
			require.Equal(t, until, changed[0].ExpiresAt)
			_, _, err = s.PutMemberAccounts(ctx, by(who), "acme", other, map[authz.ID][]string{account.ID: {"operator"}}, until)
			require.NoError(t, err)
			require.Equal(t, map[authz.Role]time.Time{"operator": until}, held(other))
		}
		accept(who, other, "administrator")
		require.Equal(t, map[authz.Role]time.Time{"administrator": {}}, held(other))

		accept("ada", who, "connector_author")
		require.Equal(t, map[authz.Role]time.Time{"administrator": {}, "flow_author": ends, "connector_author": {}}, held(who),
			"a role beside the base role ends with the base role")
		put(who, who, time.Time{}, "administrator", "integration_author")
		require.Equal(t, map[authz.Role]time.Time{"administrator": {}, "integration_author": {}}, held(who), "their own roles, too")
	}
}

// TestOwnRoleThatEndsLimitsOnlyItsRight lets people whose role on an account has an end change this role. An editor
// cannot extend it. An owner of the subscription can, since an owner's permission does not come from the role on the
// account.
func TestOwnRoleThatEndsLimitsOnlyItsRight(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	_, _, err := s.PutFeatures(t.Context(), by(""), "acme", []string{"dashboards", "user_permissions"})
	require.NoError(t, err)
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	place := authz.Object{Type: "account", ID: "analytics"}
	own := func(who authz.ID, role string, until time.Time) error {
		_, _, err := s.PutAccountMember(t.Context(), by(who), place.ID, who, []string{role}, until)
		return err
	}
	for _, who := range []authz.ID{"carl", "olaf"} {
		_, _, err := s.PutAccountMember(t.Context(), by("ada"), place.ID, who, []string{"editor"}, ends)
		require.NoError(t, err)
	}
	_, _, err = s.PutSubscriptionMember(t.Context(), by("ada"), "acme", "olaf", []string{"owner"})
	require.NoError(t, err)
	for _, until := range []time.Time{{}, ends.Add(time.Second)} {
		for _, role := range []string{"editor", "viewer"} {
			require.ErrorIs(t, own("carl", role, until), authz.CodeForbidden)
			require.NoError(t, own("olaf", role, until))
			require.Equal(t, map[authz.Role]time.Time{authz.Role(role): until}, rolesOn(t, engine, place, "olaf"))
		}
	}
	require.Equal(t, map[authz.Role]time.Time{"editor": ends}, rolesOn(t, engine, place, "carl"))
	require.NoError(t, own("carl", "viewer", ends))
}

// TestRoleThatNeverEndsRefusesEnd grants the roles owner and administrator with an end, which must fail. It does so by
// every operation that accepts an end, to people with and without the role. The error names the role, and the roles
// that can have an end.
func TestRoleThatNeverEndsRefusesEnd(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	ends := time.Now().Add(time.Hour)
	backend := operation.Caller{Key: "test", Reason: "the owner is lost"}
	never := 0
	for _, set := range authz.RoleSets {
		if set.On != "account" || set.Required == "" {
			continue
		}
		never++
		account := authz.ID(set.Name)
		rolesToGive := [][]string{{string(set.Required)}}
		for _, info := range set.Roles {
			if info.Additional {
				rolesToGive = append(rolesToGive, []string{string(set.Required), string(info.Name)})
			}
		}
		_, _, err := s.PutAccountMember(ctx, by("ada"), account, "holder", rolesToGive[0], time.Time{})
		require.NoError(t, err)
		before := stored(t, engine)
		for _, roles := range rolesToGive {
			for _, who := range []authz.ID{"stranger", "holder", "ada"} {
				for name, give := range map[string]func() error{
					"put": func() error {
						_, _, err := s.PutAccountMember(ctx, by("ada"), account, who, roles, ends)
						return err
					},
					"patch": func() error {
						_, _, err := s.PatchAccountMembers(ctx, by("ada"), account, map[authz.ID][]string{who: roles}, ends)
						return err
					},
					"accounts of a person": func() error {
						_, _, err := s.PutMemberAccounts(ctx, by("ada"), "acme", who, map[authz.ID][]string{account: roles}, ends)
						return err
					},
					"backend": func() error {
						_, _, err := s.PutAccountMember(ctx, backend, account, who, rolesToGive[0], ends)
						return err
					},
				} {
					err := give()
					require.ErrorIs(t, err, authz.CodeInvalid, name)
					require.ErrorContains(t, err, "the role "+string(set.Required)+" on account:"+string(account)+" never ends", name)
					for _, info := range set.Roles[1:] {
						require.ErrorContains(t, err, string(info.Name), name)
					}
				}
			}
		}
		require.Equal(t, before, stored(t, engine))
	}
	require.Equal(t, 2, never)
}

// TestExpiryIsShownWhereAllRolesEnd grants roles with different ends. An answer shows an end only if all roles of the
// person have one. Then it shows the latest.
func TestExpiryIsShownWhereAllRolesEnd(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	_, _, err := s.PutAccountMember(ctx, by("ada"), "operations", "adam", []string{"operator", "flow_author"}, ends)
	require.NoError(t, err)
	shown := func() (ends []time.Time) {
		members, _, err := s.AccountMembers(ctx, by("ada"), "operations", authz.TypeUser, "", operation.Page{})
		require.NoError(t, err)
		for _, member := range members.Members {
			if member.User == "adam" {
				ends = append(ends, member.ExpiresAt)
			}
		}
		member, _, err := s.GetAccountMember(ctx, by("ada"), "operations", "adam")
		require.NoError(t, err)
		ends = append(ends, member.ExpiresAt)
		accounts, _, err := s.UserAccounts(ctx, by("adam"), "adam", false, operation.Page{})
		require.NoError(t, err)
		ends = append(ends, accounts.Accounts[0].ExpiresAt)
		people, _, err := s.SubscriptionPeople(ctx, by("ada"), "acme", operation.Page{})
		require.NoError(t, err)
		for _, person := range people.Members {
			if person.User == "adam" {
				ends = append(ends, person.AccountsExpireAt["operations"])
			}
		}
		return ends
	}
	require.Equal(t, []time.Time{ends, ends, ends, ends}, shown())
	backend := operation.Caller{Key: "test", Reason: "the administrator is lost"}
	member, _, err := s.PutAccountMember(ctx, backend, "operations", "adam", []string{"administrator"}, time.Time{})
	require.NoError(t, err)
	require.Zero(t, member.ExpiresAt)
	require.Equal(t, operation.Roles{"administrator", "flow_author"}, member.Roles)
	require.Equal(t, []time.Time{{}, {}, {}, {}}, shown())
}
