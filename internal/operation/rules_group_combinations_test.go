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

// TestRemovalFromSubscriptionIsARemovalFromAccountsOfGroups removes a person who has roles on accounts only through
// groups from the subscription. The person counts as removed from these accounts.
func TestRemovalFromSubscriptionIsARemovalFromAccountsOfGroups(t *testing.T) {
	const (
		onTeam  = crew + "group:crew#member@user:nina account:t#guest@group:crew#member "
		left    = "- group:crew#member@user:nina\n"
		removed = "+ removed_user:nina#from@account:t for 24h0m0s\n" + left
	)
	reassign := func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.HandOverSubscriptionMember(ctx, by("olga"), "s", "nina", operation.Handover{To: "peter"})
		return err
	}
	many, fromMany := "", ""
	for i := range 70 {
		group := fmt.Sprintf("group:g%d#", 100+i)
		many += group + "subscription@subscription:s " + group + "member@user:nina "
		fromMany += "- " + group + "member@user:nina\n"
	}
	runRules(t, []ruleCase{
		{name: "by another", given: onTeam, do: removeSubscriptionMember("olga", "s", "nina"), changes: removed},
		{
			name: "roles on two accounts", given: onTeam + "account:o#operator@group:crew#member",
			do:      removeSubscriptionMember("olga", "s", "nina"),
			changes: "+ removed_user:nina#from@account:o for 24h0m0s\n" + removed,
		},
		{
			name: "by themselves", given: onTeam, do: removeSubscriptionMember("nina", "s", "nina"),
			changes: "+ deletion:membership/subscription/s#done@user:nina for 24h0m0s\n" + removed,
		},
		{name: "reassigned", given: onTeam, do: reassign, changes: removed},
		{
			name: "of very many groups", given: onTeam + many, do: removeSubscriptionMember("olga", "s", "nina"),
			changes: removed + fromMany,
		},
		{
			name: "of a group without roles", given: crew + "group:crew#member@user:nina",
			do: removeSubscriptionMember("olga", "s", "nina"), changes: left,
		},
		{
			name: "erased", given: onTeam, changes: left, do: func(ctx context.Context, s *operation.Service) error {
				_, err := s.EraseUser(ctx, by(""), "nina")
				return err
			},
		},
	})
}

// TestRemovalFromSubscriptionLeavesVeryManyGroups removes a person who is in more groups with roles than one write can
// hold, and stops after each write.
func TestRemovalFromSubscriptionLeavesVeryManyGroups(t *testing.T) {
	given := append(strings.Fields("account:t#user@group:g7#member "+
		lotsOf("group:g%d#subscription@subscription:s")+lotsOf("group:g%d#member@user:nina")), company...)
	for stop := range 4 {
		store := &stopping{txtest.New(txtest.Relationships(t, given...)...), stop}
		store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
		s := serviceOn(store)
		if err := removeSubscriptionMember("olga", "s", "nina")(t.Context(), s); err != nil {
			require.ErrorIs(t, err, errStopped)
		}
		store.writes = 1000
		require.NoError(t, removeSubscriptionMember("olga", "s", "nina")(t.Context(), s))
		stored := strings.Join(store.Stored(), "\n")
		require.NotContains(t, stored, "@user:nina")
		require.Contains(t, stored, "removed_user:nina#from@account:t")
	}
}

// TestRolesOfGroupsMakeNoMembers checks that a role through a group is no reason for a membership of the subscription.
func TestRolesOfGroupsMakeNoMembers(t *testing.T) {
	const (
		reason = "membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#"
		left   = "- " + reason + "first@account:n\n- subscription:s#member@user:ed"
		press  = "account:n2#subscription@subscription:s account:n2#analytics@user:* "
	)
	runRules(t, []ruleCase{
		{
			name: "a group becomes editor", given: crew + "group:crew#member@user:nina",
			do: putAccountGroup("olga", "n", "crew", "editor"), changes: "+ account:n#editor@group:crew#member",
		},
		{
			name: "a person joins a group that is editor", given: crew + "account:n#editor@group:crew#member",
			do: addToGroup("olga", "crew", "nina"), changes: "+ group:crew#member@user:nina",
		},
		{
			name:  "the last direct role ends, a role through a group on the same account remains",
			given: crew + "account:n#editor@group:crew#member", do: removeMember("olga", "n", "ed"),
			changes: "+ removed_user:ed#from@account:n for 24h0m0s\n- account:n#editor@user:ed\n" + left,
		},
		{
			name:  "the last direct role ends, a role through a group on another account remains",
			given: crew + press + "account:n2#editor@group:crew#member", do: removeMember("olga", "n", "ed"),
			changes: "+ removed_user:ed#from@account:n for 24h0m0s\n- account:n#editor@user:ed\n" + left,
		},
		{
			name: "the role through a group ends, a direct role remains", given: crew + "account:n#viewer@group:crew#member",
			do:      removeGroupMember("olga", "crew", "ed"),
			changes: "+ removed_user:ed#from@account:n for 24h0m0s\n- group:crew#member@user:ed",
		},
		{
			name: "the group is deleted, a direct role remains", given: crew + "account:n#editor@group:crew#member",
			do: deleteGroup("olga"), changes: `
				+ deletion:group/crew#done@user:olga for 24h0m0s
				+ removed_user:ed#from@account:n for 24h0m0s
				- account:n#editor@group:crew#member
				- group:crew#member@user:ed
				- group:crew#subscription@subscription:s
				- group:crew#title@title:Crew
			`,
		},
	})
}

// TestAcceptanceAddsToRolesThroughGroups accepts invitations of people who have roles through groups. An acceptance
// adds the offered role as a direct one, and changes no role of the group.
func TestAcceptanceAddsToRolesThroughGroups(t *testing.T) {
	const weaker, limited = "account:t#guest@group:crew#member ", "account:t#user@group:crew#member[expiration:2030-01-01T14:00:00Z] "
	accept := func(role string) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			in := operation.NewInvitation{To: authz.Object{Type: "account", ID: "t"}, Invitee: "nina", Roles: []string{role}}
			invited, _, err := s.Invite(ctx, by("olga"), in)
			if err != nil {
				return err
			}
			accepted, _, err := s.AcceptInvitation(ctx, by("nina"), invited.ID)
			if err == nil && (len(accepted.Roles) != 1 || string(accepted.Roles[0]) != role) {
				err = fmt.Errorf("the answer has the roles %v", accepted.Roles)
			}
			return err
		}
	}
	for name, c := range map[string]struct{ given, role, want string }{
		"a stronger role":                  {weaker, "user", "account:t#user@user:nina"},
		"the same role":                    {weaker, "guest", "account:t#guest@user:nina"},
		"a weaker role than a limited one": {limited, "guest", "account:t#guest@user:nina"},
		"a weaker role, with a limited direct one": {
			weaker + "account:t#user@user:nina[expiration:2030-01-01T14:00:00Z] ", "user", "account:t#user@user:nina for 2h0m0s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			given := crew + "group:crew#member@user:nina " + c.given
			store := txtest.New(txtest.Relationships(t, append(strings.Fields(given), company...)...)...)
			store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
			before := store.Stored()
			require.NoError(t, accept(c.role)(t.Context(), operation.New(store, operation.WithClock(store.Now))))
			require.Subset(t, store.Stored(), before, "no role changes or ends")
			require.Contains(t, store.Stored(), c.want)
		})
	}
}
