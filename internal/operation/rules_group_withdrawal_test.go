package operation_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/operation"
)

// TestFewerRolesOfAGroupWithdrawInvitations checks which open invitations end when a group loses roles on their account
// or subscription.
func TestFewerRolesOfAGroupWithdrawInvitations(t *testing.T) {
	const user, gone = "account:t#user@group:crew#member ", "- account:t#user@group:crew#member\n"
	const crewAndNina = crew + "group:crew#member@user:nina "
	swapped := strings.NewReplacer("user:nina", "user:rex", "user:peter", "user:nina", "invitee:nina", "invitee:rex")
	remove := func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveHolderRoles(ctx, by("olga"), on("account", "t"), groupOf("crew"))
		return err
	}
	onOne := strings.ReplaceAll(crewAndNina, "subscription:s", "subscription:one") +
		"subscription:one#it_admin@group:crew#member "
	toOne := strings.ReplaceAll(invitation, "account:t", "subscription:one")
	runRules(t, []ruleCase{
		{
			name: "an invitation of a member", given: crewAndNina + user + invitation, do: remove,
			changes: gone + withdrawn,
		},
		{
			name: "an invitation by a member", given: crewAndNina + user + swapped.Replace(invitation), do: remove,
			changes: gone + swapped.Replace(withdrawn),
		},
		{
			name: "an invitation of another person", given: crew + user + invitation, do: remove, changes: gone,
		},
		{
			name: "an invitation to another account", do: remove, changes: gone,
			given: crewAndNina + user + strings.ReplaceAll(invitation, "account:t", "account:n"),
		},
		{
			name: "a member with a direct role", do: remove, changes: gone,
			given: crewAndNina + user + invitation + "account:t#guest@user:nina",
		},
		{
			name: "a member with a role through another group", do: remove, changes: gone,
			given: crewAndNina + user + invitation + "group:others#member@user:nina account:t#guest@group:others#member",
		},
		{name: "a group without a role", do: remove, given: crewAndNina + invitation},
		{
			name: "a weaker role", given: crewAndNina + user + invitation, do: putAccountGroup("olga", "t", "crew", "guest"),
			changes: "+ account:t#guest@group:crew#member\n" + gone + withdrawn,
		},
		{
			name: "a stronger role", given: crewAndNina + "account:t#guest@group:crew#member " + invitation,
			do:      putAccountGroup("olga", "t", "crew", "user"),
			changes: "+ " + user + "\n- account:t#guest@group:crew#member",
		},
		{
			name: "the same role", given: crewAndNina + user + invitation, do: putAccountGroup("olga", "t", "crew", "user"),
		},
		{
			name: "an invitation to the subscription", given: onOne + toOne,
			do: func(ctx context.Context, s *operation.Service) error {
				_, err := s.RemoveHolderRoles(ctx, by("uma"), on("subscription", "one"), groupOf("crew"))
				return err
			},
			changes: strings.ReplaceAll(withdrawn, "account:t", "subscription:one") +
				"- subscription:one#it_admin@group:crew#member",
		},
		{
			name: "another role on the subscription", given: onOne + toOne,
			do: func(ctx context.Context, s *operation.Service) error {
				_, _, err := s.PutHolderRoles(
					ctx, by("uma"), on("subscription", "one"), groupOf("crew"), []string{"it_admin", "read_only"}, forever,
				)
				return err
			},
			changes: "+ subscription:one#read_only@group:crew#member",
		},
	})
}
