package operation_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// withdrawn are the changes after which the invitation of rules_people_test.go is withdrawn.
const withdrawn = `
	- invitation:h#invitee@user:nina for 168h0m0s
	- invitation:h#inviter@user:peter for 168h0m0s
	- invitation:h#place@account:t for 168h0m0s
	- invitation:h#role@role:user for 168h0m0s
	- invitee:nina#latest@invitation:h for 24h0m0s
`

// TestRemovalOfInvitedPersonWithdrawsInvitations removes people who hold no role and have only received or sent an open
// invitation.
func TestRemovalOfInvitedPersonWithdrawsInvitations(t *testing.T) {
	const weak, record = "assign_roles@account:t", "+ removed_user:nina#from@account:t for 24h0m0s\n"
	bySuri := strings.NewReplacer("user:peter", "user:suri", "user:nina", "user:rex", "invitee:nina", "invitee:rex")
	toSubscription := strings.NewReplacer("account:t", "subscription:s")
	patch := patchMembers("olga", "t", forever, map[authz.ID][]string{"nina": {}})
	put := func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.PutMemberAccounts(ctx, by("olga"), "s", "nina", map[authz.ID][]string{"t": {}}, forever)
		return err
	}
	reassign := func(actor, who authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.HandOverAccountMember(ctx, by(actor), "t", who, operation.Handover{To: "peter"})
			return err
		}
	}
	reassignAll := func(actor, who authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.HandOverSubscriptionMember(ctx, by(actor), "s", who, operation.Handover{To: "peter"})
			return err
		}
	}
	runRules(t, []ruleCase{
		{
			name: "by an actor who may not withdraw it", given: invitation, denied: weak,
			do: removeMember("ursula", "t", "nina"), changes: record + withdrawn,
		},
		{
			name: "by an actor who may not list invitations", given: invitation, denied: weak + " invite_members@account:t",
			do: removeMember("ursula", "t", "nina"), changes: record + withdrawn,
		},
		{
			name: "by the inviter", given: invitation, denied: weak, do: removeMember("peter", "t", "nina"),
			changes: withdrawn,
		},
		{
			name: "without an invitation", denied: weak + " invite_members@account:t", do: removeMember("ursula", "t", "nina"),
		},
		{
			name: "by an actor who may not remove members", given: invitation, denied: weak + " remove_members@account:t",
			do: removeMember("ursula", "t", "nina"), code: authz.CodeForbidden, says: "remove_members",
		},
		{
			name: "of the sender", given: bySuri.Replace(invitation), denied: weak, do: removeMember("ursula", "t", "suri"),
			changes: bySuri.Replace(withdrawn),
		},
		{
			name: "of a person with an invitation to another account", denied: weak,
			given: strings.ReplaceAll(invitation, "account:t", "account:n"), do: removeMember("ursula", "t", "nina"),
		},
		{name: "patched to nothing", given: invitation, do: patch, changes: withdrawn},
		{name: "put to nothing", given: invitation, do: put, changes: withdrawn},
		{name: "reassigned", given: invitation, do: reassign("olga", "nina"), changes: withdrawn},
		{name: "who leaves", given: invitation, do: removeMember("nina", "t", "nina"), changes: withdrawn},
		{
			name: "who leaves again", given: invitation + " deletion:membership/account/t#done@user:nina",
			denied: "view@account:t", do: removeMember("nina", "t", "nina"), changes: withdrawn,
		},
		{
			name: "who leaves an account that they may not view", given: invitation, denied: "view@account:t",
			do: removeMember("nina", "t", "nina"), code: authz.CodeNotFound,
		},
		{name: "who leaves and reassigns", given: invitation, do: reassign("nina", "nina"), changes: withdrawn},
		{
			name: "from the subscription", given: toSubscription.Replace(invitation),
			do:      removeSubscriptionMember("olga", "s", "nina"),
			changes: toSubscription.Replace(withdrawn),
		},
		{
			name: "from the subscription, with an invitation to an account", given: invitation,
			do: removeSubscriptionMember("olga", "s", "nina"), changes: withdrawn,
		},
		{
			name: "from the subscription, reassigned", given: invitation, do: reassignAll("olga", "nina"), changes: withdrawn,
		},
		{
			name: "who leaves the subscription", given: invitation, do: removeSubscriptionMember("nina", "s", "nina"),
			changes: withdrawn,
		},
		{
			name: "who leaves the subscription and reassigns", given: invitation, do: reassignAll("nina", "nina"),
			changes: withdrawn,
		},
		{
			name: "then a weaker offer", given: invitation, denied: weak,
			do: func(ctx context.Context, s *operation.Service) error {
				if err := removeMember("ursula", "t", "nina")(ctx, s); err != nil {
					return err
				}
				err := putMember("ursula", "t", "nina", forever, "user")(ctx, s)
				if authz.CodeOf(err) == authz.CodeForbidden {
					return nil
				}
				return err
			},
			changes: record + withdrawn,
		},
	})
}
