package operation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// crewOnTeam is the group crew, with nina as another member. It holds the role guest on the account t.
const crewOnTeam = crew + "group:crew#member@user:nina account:t#guest@group:crew#member[expiration:2030-01-01T14:00:00Z] "

func removeMemberAndGroups(actor, account, who authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMemberAndGroups(ctx, by(actor), account, who)
		return err
	}
}

func removeGroupMember(actor, id, who authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveGroupMember(ctx, by(actor), id, who)
		return err
	}
}

// on returns the object on which a holder has roles.
func on(typ authz.Type, id authz.ID) authz.Object { return authz.Object{Type: typ, ID: id} }

func groupOf(id authz.ID) authz.Holder { return authz.Holder{Type: authz.TypeGroup, ID: id} }

func putAccountGroup(actor, account, group authz.ID, roles ...string) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.PutHolderRoles(ctx, by(actor), on("account", account), groupOf(group), roles, forever)
		return err
	}
}

func invite(
	actor authz.ID, to authz.Object, who authz.ID, roles ...string,
) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		in := operation.NewInvitation{To: to, Invitee: who, Roles: roles}
		_, _, err := s.Invite(ctx, by(actor), in)
		return err
	}
}

// TestRolesThroughGroupsCountAsRoles checks that an actor without assign_roles gives no role to a person who has one
// through a group.
func TestRolesThroughGroupsCountAsRoles(t *testing.T) {
	const denied = "assign_roles@account:t"
	runRules(t, []ruleCase{
		{
			name: "a grant", given: crewOnTeam, denied: denied, do: putMember("peter", "t", "nina", forever, "user"),
			code: authz.CodeForbidden, says: "nina has a role on account:t through a group",
		},
		{
			name: "a grant with an end", given: crewOnTeam, denied: denied, do: putMember("peter", "t", "nina", until, "user"),
			code: authz.CodeForbidden, says: "through a group",
		},
		{
			name: "an invitation", given: crewOnTeam, denied: denied, code: authz.CodeForbidden, says: "through a group",
			do: invite("peter", authz.Object{Type: "account", ID: "t"}, "nina", "user"),
		},
		{
			name: "an invitation to everybody, when a member of the group accepts", given: crewOnTeam, denied: denied,
			code: authz.CodeForbidden, says: "may no longer give these roles",
			do: func(ctx context.Context, s *operation.Service) error {
				in := operation.NewInvitation{To: authz.Object{Type: "account", ID: "t"}, Roles: []string{"user"}}
				invitation, _, err := s.Invite(ctx, by("peter"), in)
				if err == nil {
					_, _, err = s.AcceptInvitation(ctx, by("nina"), invitation.ID)
				}
				if err == nil {
					return nil
				}
				_, _ = s.WithdrawInvitation(ctx, by("peter"), in.To, invitation.Handle)
				return err
			},
		},
		{
			name: "a grant by an actor who assigns roles", given: crewOnTeam, do: putMember("olga", "t", "nina", forever, "user"),
			changes: "+ account:t#user@user:nina",
		},
		{
			name: "a role of the group on another account", given: crew + "account:o#operator@group:crew#member", denied: denied,
			do: putMember("peter", "t", "ed", forever, "user"), changes: "+ account:t#user@user:ed",
		},
		{
			name: "the role of a group that the person is not in", denied: denied,
			given: crew + "account:t#guest@group:crew#member", do: putMember("peter", "t", "nina", forever, "user"),
			changes: "+ account:t#user@user:nina",
		},
		{
			name: "a role of a group that has ended", denied: denied,
			given: crew + "account:t#guest@group:crew#member[expiration:2030-01-01T11:00:00Z]",
			do:    putMember("peter", "t", "ed", forever, "user"), changes: "+ account:t#user@user:ed",
		},
	})
}

// TestLeavingGroupsIsARemoval checks that Sluice stores a removal for every account on which a person had roles through
// the groups that they leave.
func TestLeavingGroupsIsARemoval(t *testing.T) {
	const elsewhere = "account:o#operator@group:crew#member "
	runRules(t, []ruleCase{
		{
			name: "a removal of a person who has roles only through groups", given: crewOnTeam,
			do: removeMember("olga", "t", "nina"), changes: "+ removed_user:nina#from@account:t for 24h0m0s",
		},
		{
			name: "a removal that also leaves groups", given: crewOnTeam + elsewhere,
			do: removeMemberAndGroups("olga", "t", "nina"), changes: `
				+ removed_user:nina#from@account:o for 24h0m0s
				+ removed_user:nina#from@account:t for 24h0m0s
				- group:crew#member@user:nina
			`,
		},
		{
			name: "leaving the group", given: crewOnTeam + elsewhere, do: removeGroupMember("olga", "crew", "nina"), changes: `
				+ removed_user:nina#from@account:o for 24h0m0s
				+ removed_user:nina#from@account:t for 24h0m0s
				- group:crew#member@user:nina
			`,
		},
		{
			name: "a change of the group", given: crewOnTeam,
			do: changeGroup("olga", "crew", []authz.ID{"otto"}, []authz.ID{"nina", "rex"}), changes: `
				+ group:crew#member@user:otto
				+ removed_user:nina#from@account:t for 24h0m0s
				- group:crew#member@user:nina
			`,
		},
		{
			name: "a person who was not in the group", given: crewOnTeam, do: removeGroupMember("olga", "crew", "rex"),
		},
	})
}

// TestManyPeopleLeaveAGroupWithRolesOnManyAccounts checks that the writes have a limited size, and that each of them
// can be the last one before an interruption.
func TestManyPeopleLeaveAGroupWithRolesOnManyAccounts(t *testing.T) {
	given := append(company[:len(company):len(company)], strings.Fields(crew)...)
	for i := range 150 {
		given = append(given, fmt.Sprintf("account:a%d#user@group:crew#member", i))
	}
	var people []authz.ID
	for i := range 30 {
		people = append(people, authz.ID(fmt.Sprint("old", i)))
		given = append(given, fmt.Sprintf("group:crew#member@user:old%d", i))
	}
	store := &stopping{txtest.New(txtest.Relationships(t, given...)...), 2}
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	s := operation.New(store, operation.WithClock(store.Now))
	require.ErrorIs(t, changeGroup("olga", "crew", []authz.ID{"new"}, people)(t.Context(), s), errStopped)
	store.writes = 100
	require.NoError(t, changeGroup("olga", "crew", []authz.ID{"new"}, people)(t.Context(), s))
	records := 0
	for _, r := range store.Stored() {
		require.NotContains(t, r, "member@user:old")
		if strings.HasPrefix(r, "removed_user:") {
			records++
		}
	}
	require.Equal(t, 100*len(people), records)
	require.Contains(t, store.Stored(), "group:crew#member@user:new")
}

// TestSuggestedGrantToMemberOfAGroupNeedsAssignRoles checks what explanations say about a person who has a role through
// a group.
func TestSuggestedGrantToMemberOfAGroupNeedsAssignRoles(t *testing.T) {
	for who, needed := range map[authz.ID]authz.Permission{"nina": "assign_roles", "rex": "invite_members"} {
		given := append(company[:len(company):len(company)], strings.Fields(crewOnTeam)...)
		store := txtest.New(txtest.Relationships(t, given...)...)
		store.Now = nowOfRules
		grants, err := operation.New(store).Grants(t.Context(), who, authz.Object{Type: "account", ID: "t"}, "")
		require.NoError(t, err)
		i := slices.IndexFunc(grants, func(g operation.Grant) bool {
			give, ok := g.Action.(operation.GiveAccountRoles)
			return ok && slices.Equal(give.Roles, []authz.Role{"user"})
		})
		require.Equal(t, []authz.Permission{needed}, grants[i].Needs, who)
	}
}

// TestHiddenGroupDoesNotExist checks that an actor who may not view a group learns nothing about it, until it holds a
// role on an account of the actor.
func TestHiddenGroupDoesNotExist(t *testing.T) {
	const denied, holds = "view@group:crew", "account:t#guest@group:crew#member "
	getGroup := func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.GetHolderRoles(ctx, by("peter"), on("account", "t"), groupOf("crew"))
		return err
	}
	removeGroup := func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveHolderRoles(ctx, by("peter"), on("account", "t"), groupOf("crew"))
		return err
	}
	put := putAccountGroup("peter", "t", "crew", "user")
	runRules(t, []ruleCase{
		{
			name: "a first role of a hidden group", given: crew, denied: denied, do: put,
			code: authz.CodeNotFound, says: "there is no group:crew",
		},
		{
			name: "a first role of a missing group", do: put,
			code: authz.CodeNotFound, says: "there is no group:crew",
		},
		{
			name: "a first role of a hidden group elsewhere", denied: denied, do: put,
			given: strings.ReplaceAll(crew, "subscription:s", "subscription:one"),
			code:  authz.CodeNotFound, says: "there is no group:crew",
		},
		{
			name: "another role of a hidden group", given: crew + holds, denied: denied, do: put, changes: `
				+ account:t#user@group:crew#member
				- account:t#guest@group:crew#member
			`,
		},
		{
			name: "a hidden group with a role on another account", given: crew + "account:n#viewer@group:crew#member",
			denied: denied, do: put, code: authz.CodeNotFound, says: "there is no group:crew",
		},
		{name: "a first role of a visible group", given: crew, do: put, changes: "+ account:t#user@group:crew#member"},
		{
			name: "the roles of a hidden group", given: crew, denied: denied, do: getGroup,
			code: authz.CodeNotFound, says: "group:crew holds no role on account:t",
		},
		{name: "the roles of a missing group", do: getGroup, code: authz.CodeNotFound, says: "group:crew holds no role on account:t"},
		{name: "removing a hidden group", given: crew, denied: denied, do: removeGroup},
		{name: "removing a missing group", do: removeGroup},
		{
			name: "removing a hidden group with a role", given: crew + holds, denied: denied, do: removeGroup,
			changes: "- account:t#guest@group:crew#member",
		},
	})
}

// TestLeavingGroupsWithdrawsInvitations checks which open invitations end when a person leaves a group.
func TestLeavingGroupsWithdrawsInvitations(t *testing.T) {
	const record = "+ removed_user:nina#from@account:t for 24h0m0s\n"
	const left = "- group:crew#member@user:nina\n"
	const withdrawn = `- invitation:h#invitee@user:nina for 168h0m0s
		- invitation:h#inviter@user:peter for 168h0m0s
		- invitation:h#place@account:t for 168h0m0s
		- invitation:h#role@role:user for 168h0m0s
		- invitee:nina#latest@invitation:h for 24h0m0s
	`
	swapped := strings.NewReplacer("user:nina", "user:peter", "user:peter", "user:nina", "invitee:nina", "invitee:peter")
	leave := removeGroupMember("olga", "crew", "nina")
	replaced := func(old, by, in string) string { return strings.ReplaceAll(in, old, by) }
	onOne := replaced("subscription:s", "subscription:one", crew) +
		"group:crew#member@user:nina subscription:one#it_admin@group:crew#member "
	runRules(t, []ruleCase{
		{
			name: "an invitation of the person", given: crewOnTeam + invitation, do: leave,
			changes: record + left + withdrawn,
		},
		{
			name: "an invitation by the person", given: crewOnTeam + swapped.Replace(invitation), do: leave,
			changes: record + left + swapped.Replace(withdrawn),
		},
		{
			name: "a change of the group", given: crewOnTeam + invitation,
			do:      changeGroup("olga", "crew", nil, []authz.ID{"nina"}),
			changes: record + left + withdrawn,
		},
		{
			name: "a person with a direct role", given: crewOnTeam + invitation + "account:t#guest@user:nina", do: leave,
			changes: record + left,
		},
		{
			name: "a person with a role through another group", do: leave, changes: record + left,
			given: crewOnTeam + invitation + "group:others#member@user:nina account:t#guest@group:others#member",
		},
		{
			name: "an invitation to another account", do: leave, changes: record + left,
			given: crewOnTeam + replaced("account:t", "account:n", invitation),
		},
		{
			name: "a person who is not in the group", do: leave,
			given: replaced("group:crew#member@user:nina", "", crewOnTeam) + invitation,
		},
		{
			name: "a group that holds no roles", do: leave, changes: left,
			given: crew + "group:crew#member@user:nina " + invitation,
		},
		{
			name:  "a removal from another account that also leaves groups",
			given: crewOnTeam + invitation, do: removeMemberAndGroups("olga", "o", "nina"),
			changes: record + left + withdrawn,
		},
		{
			name: "an invitation to the subscription", do: removeGroupMember("uma", "crew", "nina"),
			given:   onOne + replaced("account:t", "subscription:one", invitation),
			changes: left + replaced("account:t", "subscription:one", withdrawn),
		},
		{
			name: "an invitation to an account of the subscription", do: removeGroupMember("uma", "crew", "nina"),
			given:   onOne + replaced("account:t", "account:of-one", invitation),
			changes: left + replaced("account:t", "account:of-one", withdrawn),
		},
		{
			name: "an invitation to an account of the subscription where a role remains",
			do:   removeGroupMember("uma", "crew", "nina"), changes: left,
			given: onOne + replaced("account:t", "account:of-one", invitation) + "account:of-one#guest@user:nina",
		},
		{
			name: "a person who keeps a role on the subscription", do: removeGroupMember("uma", "crew", "nina"),
			given:   onOne + replaced("account:t", "account:of-one", invitation) + "subscription:one#read_only@user:nina",
			changes: left,
		},
	})
}
