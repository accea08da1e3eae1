package operations_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestSharesCountWithARoleOnTheAccount gives sam, whose direct role has ended, other roles. His shares must count with
// a role on the account itself, direct or through a group, but not with a custom role of the subscription. The lists of
// the connection and the workspace must name him exactly if he has access.
func TestSharesCountWithARoleOnTheAccount(t *testing.T) {
	engine := withAuditor(t)
	s := operation.New(engine)
	for _, grant := range []string{"connection_view", "connection_use", "workspace_view", "workspace_create_flow"} {
		store(t.Context(), t, engine, "custom_role:acme/auditor#"+grant+"@user:*")
	}
	connection, workspace := authz.Object{Type: "connection", ID: "crm"}, authz.Object{Type: "workspace", ID: "closed"}
	onOperations := authz.Object{Type: "account", ID: "operations"}
	bound := func(place authz.Object, holder string) []string {
		row := parse(t, auditorRow(place, holder))
		binding := row.Resource.String()
		return []string{
			row.String(), place.String() + "#role_binding@" + binding, binding + "#role@custom_role:acme/auditor",
			binding + "#place@" + place.String(),
		}
	}
	const inCrew = "group:crew#member@user:sam"
	for name, c := range map[string]struct {
		roles                   []string
		connection, createsFlow bool
	}{
		"no role":                           {nil, false, false},
		"a group without a role":            {[]string{inCrew}, false, false},
		"a role through a group on team":    {[]string{inCrew, "account:team#user@group:crew#member"}, true, false},
		"a custom role of the subscription": {bound(onAcme, "user:sam"), false, false},
		"a custom role of the subscription through a group": {
			append(bound(onAcme, "group:crew#member"), inCrew), false, false,
		},
		"a custom role of the subscription, given on accounts": {
			append(bound(onTeam, "user:sam"), bound(onOperations, "user:sam")...), true, true,
		},
		"a custom role through a group": {
			append(append(bound(onTeam, "group:crew#member"), bound(onOperations, "group:crew#member")...), inCrew),
			true, true,
		},
		"a custom role of the subscription, and a role through a group": {
			append(bound(onAcme, "user:sam"), inCrew, "account:team#user@group:crew#member",
				"account:operations#read_only@group:crew#member"), true, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			rows := append([]string{
				"group:crew#subscription@subscription:acme", "connection:crm#shared_with@user:sam",
				"workspace:closed#member@user:sam",
			}, c.roles...)
			store(t.Context(), t, engine, rows...)
			sam := authz.Person("sam").Subject()
			requireMay(t, engine, c.connection, sam, "use", connection)
			requireMay(t, engine, c.connection, sam, "view", connection)
			requireMay(t, engine, c.createsFlow, sam, "create_flow", workspace)
			requireMay(t, engine, c.createsFlow, sam, "view", workspace)
			shown, _, err := s.GetConnection(t.Context(), by("uma"), "crm")
			require.NoError(t, err)
			require.Equal(t, c.connection, slices.Contains(shown.Users, "sam"), shown.Users)
			entered, _, err := s.GetWorkspace(t.Context(), by("ada"), "closed")
			require.NoError(t, err)
			require.Equal(t, c.createsFlow, slices.Contains(entered.Users, "sam"), entered.Users)
			if c.connection { // the list that an answer shows can be sent back
				sharing := operation.Sharing{Visibility: "private", Users: shown.Users}
				_, _, err = s.ShareConnection(t.Context(), by("uma"), "crm", sharing)
				require.NoError(t, err)
				requireMay(t, engine, true, sam, "use", connection)
			}
			remove(t, engine, rows...)
		})
	}
}

// TestFirstDirectRoleKeepsSharesOfAGroupsMember gives a direct role to a person who has a role through a group. The
// person's shares count before and afterwards.
func TestFirstDirectRoleKeepsSharesOfAGroupsMember(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	for i, given := range [][]string{nil, {"group:crew#member@user:sam", "account:team#user@group:crew#member"}} {
		store(t.Context(), t, engine, append(given, "connection:crm#shared_with@user:sam")...)
		_, _, err := s.PutAccountMember(t.Context(), by("ada"), "team", "sam", []string{"user"}, time.Time{})
		require.NoError(t, err)
		connection := authz.Object{Type: "connection", ID: "crm"}
		requireMay(t, engine, len(given) > 0, authz.Person("sam").Subject(), "use", connection)
		_, err = s.RemoveAccountMember(t.Context(), by("ada"), "team", "sam")
		require.NoError(t, err)
		requireMay(t, engine, false, authz.Person("sam").Subject(), "use", connection)
		require.NotContains(t, fmt.Sprint(namingObjects(t, engine)), "sam", i)
	}
}

func remove(t *testing.T, engine authz.Engine, relationships ...string) {
	t.Helper()
	var write authz.Write
	for _, r := range relationships {
		write.Updates = append(write.Updates, authz.Update{Action: authz.Delete, Relationship: parse(t, r)})
	}
	_, err := engine.Write(t.Context(), write)
	require.NoError(t, err)
}
