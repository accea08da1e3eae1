package operation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

const (
	// noRight are permissions that peter lacks if he holds no role on the account t.
	noRight = "as_subscription_owner@account:t as_platform_administrator@account:t"

	petersRole = "account:t#user@user:peter"
)

// TestRoleThroughAGroupWithdrawsLeftInvitations gives a role through a group to a person whose earlier role has ended.
// Nobody may accept the invitations that the person sent while they held it.
func TestRoleThroughAGroupWithdrawsLeftInvitations(t *testing.T) {
	const (
		holds = "account:t#user@group:crew#member "
		joins = "+ group:crew#member@user:peter"
		gives = "+ account:t#user@group:crew#member"
		isIn  = "group:crew#member@user:peter "
		guest = "group:band#subscription@subscription:s account:t#guest@group:band#member group:band#member@user:peter "
	)
	add, put := addToGroup("olga", "crew", "peter"), putAccountGroup("olga", "t", "crew", "user")
	everybody := strings.NewReplacer("invitation:h#invitee@user:nina", "invitation:h#invitee@user:*",
		"invitee:nina#latest@invitation:h[expiration:2030-01-02T12:00:00Z]", "")
	runRules(t, []ruleCase{
		{
			name: "joins a group with a role", given: crew + holds + invitation, without: petersRole, denied: noRight,
			do: add, changes: joins + withdrawn,
		},
		{
			name: "joins with others", given: crew + holds + invitation, without: petersRole, denied: noRight,
			do: changeGroup("olga", "crew", []authz.ID{"a", "b", "c", "d", "e", "f", "peter"}, nil),
			changes: "+ group:crew#member@user:a\n+ group:crew#member@user:b\n+ group:crew#member@user:c\n" +
				"+ group:crew#member@user:d\n+ group:crew#member@user:e\n+ group:crew#member@user:f\n" + joins + withdrawn,
		},
		{
			name: "joins a group with a custom role", without: petersRole, denied: noRight, do: add,
			given: customRoles + bound(onT, "auditor") + holderOf(onT, "auditor", "group:crew#member") + " " + crew +
				invitation,
			changes: joins + withdrawn,
		},
		{
			name: "joins a group without a role on the account", without: petersRole, denied: noRight, do: add,
			given: crew + "account:o#operator@group:crew#member " + invitation, changes: joins,
		},
		{
			name: "an invitation to another account", without: petersRole, do: add, changes: joins,
			given:  crew + holds + strings.ReplaceAll(invitation, "account:t", "account:n"),
			denied: noRight + " " + strings.ReplaceAll(noRight, "account:t", "account:n"),
		},
		{
			name: "an owner of the subscription joins", given: crew + holds + invitation, without: petersRole, do: add,
			denied: "as_platform_administrator@account:t", changes: joins,
		},
		{
			name: "joins while a role still runs", given: crew + holds + invitation, denied: noRight, do: add, changes: joins,
		},
		{
			name: "joins with a weaker role through another group", given: crew + holds + guest + invitation,
			without: petersRole, denied: "invite_members@account:t", do: add, changes: joins + withdrawn,
		},
		{
			name: "is in the group already", given: crew + holds + isIn + invitation, without: petersRole,
			denied: "invite_members@account:t", do: add,
		},
		{
			name: "a group gets its first role", given: crew + isIn + invitation, without: petersRole, denied: noRight,
			do: put, changes: gives + withdrawn,
		},
		{
			name: "an invitation for everybody", given: crew + isIn + everybody.Replace(invitation), without: petersRole,
			denied: noRight, do: put, changes: gives + `
				- invitation:h#invitee@user:* for 168h0m0s
				- invitation:h#inviter@user:peter for 168h0m0s
				- invitation:h#place@account:t for 168h0m0s
				- invitation:h#role@role:user for 168h0m0s
			`,
		},
		{
			name: "a group gets a stronger role", given: crew + isIn + "account:t#guest@group:crew#member " + invitation,
			without: petersRole, denied: "invite_members@account:t", do: put,
			changes: gives + "\n- account:t#guest@group:crew#member" + withdrawn,
		},
		{
			name: "a group of others gets its first role", given: crew + invitation, without: petersRole, denied: noRight,
			do: put, changes: gives,
		},
		{
			name: "a group of an inviter whose role still runs", given: crew + isIn + invitation, denied: noRight, do: put,
			changes: gives,
		},
		{
			name: "a group of an owner of the subscription", given: crew + isIn + invitation, without: petersRole,
			denied: "as_platform_administrator@account:t", do: put, changes: gives,
		},
		{
			name: "a group gets the same role", given: crew + isIn + holds + invitation, without: petersRole,
			denied: "invite_members@account:t", do: put,
		},
	})
}

// TestRoleThroughAGroupRequiresWhoGetsIt checks the preconditions of writes that give a role through a group. A person
// who sent invitations must not join the group while it gets a role on the account.
func TestRoleThroughAGroupRequiresWhoGetsIt(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(context.Context, *operation.Service) error
		absent authz.Filter
	}{
		"joins": {addToGroup("olga", "crew", "peter"), authz.Filter{
			Type: "account", ID: "t", SubjectType: "group", SubjectID: "crew",
		}},
		"gets a role": {
			putAccountGroup("olga", "t", "crew", "user"),
			authz.Exactly(txtest.Relationship(t, "group:crew#member@user:peter")),
		},
	} {
		given := append(strings.Fields(crew+invitation), company...)
		store := &recording{Store: txtest.New(txtest.Relationships(t, given...)...)}
		store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
		s := operation.New(store, operation.WithClock(store.Now))
		require.NoError(t, c.do(t.Context(), s))
		require.Contains(t, store.preconditions, authz.Precondition{Absent: true, Filter: c.absent}, name)
	}
}

// TestRoleThroughAGroupWithdrawsVeryManyLeftInvitations stops after the first write. The person gets no role before all
// of their invitations are withdrawn.
func TestRoleThroughAGroupWithdrawsVeryManyLeftInvitations(t *testing.T) {
	for name, c := range map[string]struct {
		given, role string
		do          func(context.Context, *operation.Service) error
	}{
		"joins": {
			"account:t#user@group:crew#member", "group:crew#member@user:old", addToGroup("olga", "crew", "old"),
		},
		"gets a role": {
			"group:crew#member@user:old", "account:t#user@group:crew#member", putAccountGroup("olga", "t", "crew", "user"),
		},
	} {
		given := append(strings.Fields(crew+c.given), company...)
		for i := range 300 {
			for _, r := range []string{"place@account:t", "inviter@user:old", "invitee@user:*", "role@role:user"} {
				given = append(given, fmt.Sprintf("invitation:h%d#%s[expiration:2030-01-08T12:00:00Z]", i, r))
			}
		}
		store := &stopping{txtest.New(txtest.Relationships(t, given...)...), 1}
		store.Now, store.Allow = nowOfRules, func(check authz.Check) bool {
			return !strings.Contains(noRight, string(check.Permission)+"@")
		}
		s := operation.New(store, operation.WithClock(store.Now))
		require.ErrorIs(t, c.do(t.Context(), s), errStopped, name)
		require.NotContains(t, store.Stored(), c.role, name)
		store.writes = 100
		require.NoError(t, c.do(t.Context(), s), name)
		require.Contains(t, store.Stored(), c.role, name)
		require.NotContains(t, strings.Join(store.Stored(), "\n"), "invitation:", name)
	}
}
