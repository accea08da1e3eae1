package operation_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// newCompany returns a store of the company with further relationships. The actor has every permission.
func newCompany(t *testing.T, given ...string) *txtest.Store {
	t.Helper()
	store := txtest.New(txtest.Relationships(t, company...)...)
	store.Put(txtest.Relationships(t, strings.Fields(strings.Join(given, " "))...)...)
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	return store
}

// customService returns a service whose store has custom roles, given to nina until two o'clock, to the group crew,
// to peter, who also holds a built-in role, and to the service account robot.
func customService(t *testing.T, given ...string) (*operation.Service, *txtest.Store) {
	t.Helper()
	store := newCompany(t, append(given, customRoles, crew, robotOfS, bound(onT, "auditor"), bound(onT, "biller"),
		bound(onS, "auditor"), holderOf(onT, "auditor", "user:nina")+"[expiration:2030-01-01T14:00:00Z]",
		holderOf(onT, "auditor", "group:crew#member"), holderOf(onT, "biller", "user:peter"),
		holderOf(onT, "auditor", "service_account:robot"), holderOf(onS, "auditor", "user:nina"))...)
	return operation.New(store, operation.WithClock(store.Now)), store
}

func TestCustomRolesAreListed(t *testing.T) {
	t.Parallel()
	s, _ := customService(t)
	members, _, err := s.AccountMembers(t.Context(), by("olga"), "t", authz.TypeUser, "", operation.Page{})
	require.NoError(t, err)
	crewRoles := operation.HolderRoles{Holder: groupOf("crew"), Roles: operation.Roles{"auditor"}}
	nina := operation.Member{User: "nina", Roles: operation.Roles{"auditor"}, ExpiresAt: until}
	peter := operation.Member{User: "peter", Roles: operation.Roles{"user", "biller"}}
	ed := operation.Member{User: "ed", Via: []operation.HolderRoles{crewRoles}}
	require.Contains(t, members.Members, nina)
	require.Contains(t, members.Members, peter)
	require.Contains(t, members.Members, ed)

	auditors, _, err := s.AccountMembers(t.Context(), by("olga"), "t", authz.TypeUser, "auditor", operation.Page{})
	require.NoError(t, err)
	require.Equal(t, []operation.Member{ed, nina}, auditors.Members)
	_, _, err = s.AccountMembers(t.Context(), by("olga"), "t", authz.TypeUser, "nothing", operation.Page{})
	require.ErrorIs(t, err, authz.CodeInvalid)

	member, _, err := s.GetAccountMember(t.Context(), by("olga"), "t", "nina")
	require.NoError(t, err)
	require.Equal(t, nina, member)
	onSubscription, _, err := s.GetSubscriptionMember(t.Context(), by("olga"), "s", "nina")
	require.NoError(t, err)
	require.Equal(t, operation.Roles{"auditor"}, onSubscription.Roles)
	people, _, err := s.SubscriptionPeople(t.Context(), by("olga"), "s", operation.Page{})
	require.NoError(t, err)
	require.Contains(t, people.Members, operation.Member{
		User: "peter", Accounts: map[authz.ID]operation.Roles{"t": {"user", "biller"}},
		AccountsExpireAt: people.Members[0].AccountsExpireAt,
	})

	for holders, want := range map[authz.Type]authz.Holder{
		authz.TypeGroup: groupOf("crew"), authz.TypeServiceAccount: {Type: authz.TypeServiceAccount, ID: "robot"},
	} {
		for _, role := range []string{"", "auditor"} {
			found, _, err := s.AccountMembers(t.Context(), by("olga"), "t", holders, role, operation.Page{})
			require.NoError(t, err)
			require.Equal(t, []operation.Member{{Holder: want, Roles: operation.Roles{"auditor"}}}, found.Members)
		}
		found, _, err := s.AccountMembers(t.Context(), by("olga"), "t", holders, "biller", operation.Page{})
		require.NoError(t, err)
		require.Empty(t, found.Members)
	}

	groups, _, err := s.AccountGroups(t.Context(), by("olga"), "t", operation.Page{})
	require.NoError(t, err)
	require.Equal(t, []operation.HolderRoles{crewRoles}, groups.Groups)
	robot := authz.Holder{Type: authz.TypeServiceAccount, ID: "robot"}
	roles, _, err := s.GetHolderRoles(t.Context(), by("olga"), onT, robot)
	require.NoError(t, err)
	require.Equal(t, operation.HolderRoles{Holder: robot, Roles: operation.Roles{"auditor"}}, roles)
	account, _, err := s.GetAccount(t.Context(), by("nina"), "t")
	require.NoError(t, err)
	require.Equal(t, operation.Roles{"auditor"}, account.Roles)
	report, _, err := s.ReportOffboarding(t.Context(), by("olga"), "t", "peter")
	require.NoError(t, err)
	require.Equal(t, operation.Roles{"user", "biller"}, report.Roles)
}

// TestInvitationsOfferCustomRoles invites a person with a custom role, which the person then holds.
func TestInvitationsOfferCustomRoles(t *testing.T) {
	t.Parallel()
	s, store := customService(t)
	in := operation.NewInvitation{To: onT, Invitee: "rex", Roles: []string{"user", "auditor"}}
	invitation, _, err := s.Invite(t.Context(), by("olga"), in)
	require.NoError(t, err)
	require.NotContains(t, store.Stored(), holderOf(onT, "auditor", "user:rex"))
	accepted, _, err := s.AcceptInvitation(t.Context(), by("rex"), invitation.ID)
	require.NoError(t, err)
	require.Equal(t, operation.Roles{"user", "auditor"}, accepted.Roles)
	require.Contains(t, store.Stored(), holderOf(onT, "auditor", "user:rex"))

	in.Roles, in.Invitee = []string{"biller"}, "rex"
	invitation, _, err = s.Invite(t.Context(), by("olga"), in)
	require.NoError(t, err)
	store.Remove(txtest.Relationships(t, "custom_role:s/biller#active@user:*")...)
	_, _, err = s.AcceptInvitation(t.Context(), by("rex"), invitation.ID)
	require.ErrorIs(t, err, authz.CodeConflict, "the role is being deleted")
}

func TestCustomRolesInInvitationsNeedAssignRoles(t *testing.T) {
	runRules(t, []ruleCase{
		{
			name: "an invitation by a person with invite_members", given: customRoles, denied: "assign_roles@account:t",
			do: invite("peter", onT, "rex", "user", "auditor"), code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "an invitation to everybody", given: customRoles, do: invite("olga", onT, "", "auditor"),
			code: authz.CodeInvalid, says: "must name its invitee",
		},
		{
			name: "an invitation to a subscription", given: customRoles, denied: "manage_roles@subscription:s",
			do: invite("olga", onS, "rex", "auditor"), code: authz.CodeForbidden, says: "manage_roles",
		},
	})
}

// TestCustomRolesOfSubscriptionMembers checks that a custom role on a subscription needs manage_roles, and that it
// makes nobody a member of the subscription.
func TestCustomRolesOfSubscriptionMembers(t *testing.T) {
	given := customRoles + bound(onS, "auditor")
	nina := holderOf(onS, "auditor", "user:nina")
	runRules(t, []ruleCase{
		{
			name: "a custom role alone", given: given, do: putSubscriptionMember("olga", "s", "nina", "auditor"),
			changes: "+ " + nina,
		},
		{
			name: "a custom role and a built-in role", given: given,
			do:      putSubscriptionMember("olga", "s", "nina", "member", "auditor"),
			changes: "+ " + nina + "\n+ subscription:s#member@user:nina",
		},
		{
			name: "without manage_roles", given: given, denied: "manage_roles@subscription:s",
			do: putSubscriptionMember("olga", "s", "nina", "auditor"), code: authz.CodeForbidden, says: "manage_roles",
		},
		{
			name: "a built-in role instead", given: given + nina, denied: "manage_roles@subscription:s",
			do: putSubscriptionMember("olga", "s", "nina", "member"), code: authz.CodeForbidden, says: "manage_roles",
		},
		{
			name: "a built-in role makes a derived membership explicit", given: given,
			do: putSubscriptionMember("olga", "s", "ed", "member", "auditor"),
			changes: "+ membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#further@subscription:s\n+ " +
				holderOf(onS, "auditor", "user:ed"),
		},
		{
			name:  "a derived membership ends although the member holds a custom role",
			given: given + holderOf(onS, "auditor", "user:ed"), do: removeMember("olga", "n", "ed"),
			changes: "+ removed_user:ed#from@account:n for 24h0m0s\n- account:n#editor@user:ed\n" +
				"- membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#first@account:n\n- subscription:s#member@user:ed",
		},
		{
			name: "a role of an account", given: given, do: putSubscriptionMember("olga", "s", "nina", "biller"),
			code: authz.CodeInvalid, says: `"biller" is not a role of the role set multi_owner`,
		},
	})
}

// TestGroupsWithCustomRoles checks the rules about people who have only a custom role through a group.
func TestGroupsWithCustomRoles(t *testing.T) {
	given := customRoles + bound(onT, "auditor") + crew + holderOf(onT, "auditor", "group:crew#member") + " "
	runRules(t, []ruleCase{
		{
			name: "a person with a custom role through a group gets a role", given: given, denied: "assign_roles@account:t",
			do: putMember("peter", "t", "ed", forever, "user"), code: authz.CodeForbidden, says: "through a group",
		},
		{
			name: "a person leaves a group with a custom role", given: given, do: removeGroupMember("olga", "crew", "ed"),
			changes: "+ removed_user:ed#from@account:t for 24h0m0s\n- group:crew#member@user:ed",
		},
		{
			name:    "the first role of a group is a custom role, and ends stale shares",
			given:   customRoles + bound(onT, "auditor") + crew + "connection:crm#shared_with@user:ed ",
			do:      putAccountGroup("olga", "t", "crew", "auditor"),
			changes: "+ " + holderOf(onT, "auditor", "group:crew#member") + "\n- connection:crm#shared_with@user:ed",
		},
		{
			name:  "the removal of the last holder ends shares",
			given: given + holderOf(onT, "auditor", "user:milton"), without: "account:t#guest@user:milton",
			do: removeMember("olga", "t", "milton"),
			changes: "+ removed_user:milton#from@account:t for 24h0m0s\n- connection:crm#shared_with@user:milton\n- " +
				holderOf(onT, "auditor", "user:milton"),
		},
		{
			name: "a connection is shared with the holder of a custom role", given: given + holderOf(onT, "auditor", "user:nina"),
			do: func(ctx context.Context, s *operation.Service) error {
				sharing := operation.Sharing{Visibility: "private", Users: []authz.ID{"nina", "milton"}}
				_, _, err := s.ShareConnection(ctx, by("peter"), "crm", sharing)
				return err
			},
			changes: "+ connection:crm#shared_with@user:nina",
		},
	})
}
