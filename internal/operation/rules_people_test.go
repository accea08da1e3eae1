package operation_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// invitation is an open invitation to the account t, by peter to nina.
const invitation = `
	invitation:h#place@account:t[expiration:2030-01-08T12:00:00Z]
	invitation:h#inviter@user:peter[expiration:2030-01-08T12:00:00Z]
	invitation:h#invitee@user:nina[expiration:2030-01-08T12:00:00Z]
	invitation:h#role@role:user[expiration:2030-01-08T12:00:00Z]
	invitee:nina#latest@invitation:h[expiration:2030-01-02T12:00:00Z]
`

// leftShares are shares of nina on the account t that remained after her role expired.
const leftShares = `
	connection:crm#shared_with@user:nina
	connection:dwh#shared_with@user:nina
	account:t#user@user:nina[expiration:2029-01-01T00:00:00Z]
`

func TestRemovals(t *testing.T) {
	runRules(t, []ruleCase{
		{name: "a removal ends shares", do: removeMember("olga", "t", "milton"), changes: `
				+ removed_user:milton#from@account:t for 24h0m0s
				- account:t#guest@user:milton
				- connection:crm#shared_with@user:milton
			`},
		{
			name: "a removal of a person whose role expired ends shares", do: removeMember("olga", "t", "nina"),
			given: leftShares + "workspace:etl#member@user:nina", changes: `
				- connection:crm#shared_with@user:nina
				- connection:dwh#shared_with@user:nina
			`,
		},
		{
			name: "a change to nothing of a person whose role expired ends shares", given: leftShares,
			do: patchMembers("olga", "t", forever, map[authz.ID][]string{"nina": {}, "ursula": {"guest"}}), changes: `
				+ account:t#guest@user:ursula
				- account:t#user@user:ursula
				- connection:crm#shared_with@user:nina
				- connection:dwh#shared_with@user:nina
			`,
		},
		{
			name:  "a removal from the subscription ends shares where the role expired",
			given: leftShares + "workspace:etl#member@user:nina subscription:s#member@user:nina account:n#editor@user:nina",
			do: func(ctx context.Context, s *operation.Service) error {
				_, err := s.RemoveSubscriptionMember(ctx, by("olga"), "s", "nina")
				return err
			},
			changes: `
				+ removed_user:nina#from@account:n for 24h0m0s
				- account:n#editor@user:nina
				- connection:crm#shared_with@user:nina
				- connection:dwh#shared_with@user:nina
				- subscription:s#member@user:nina
				- workspace:etl#member@user:nina
			`,
		},
		{
			name:  "a removal from the subscription of a person without a role ends shares",
			given: leftShares + "workspace:etl#member@user:nina",
			do: func(ctx context.Context, s *operation.Service) error {
				_, err := s.RemoveSubscriptionMember(ctx, by("olga"), "s", "nina")
				return err
			},
			changes: `
				- connection:crm#shared_with@user:nina
				- connection:dwh#shared_with@user:nina
				- workspace:etl#member@user:nina
			`,
		},
		{name: "a removal leaves creations", do: removeMember("olga", "t", "peter"), changes: `
				+ removed_user:peter#from@account:t for 24h0m0s
				- account:t#user@user:peter
			`},
		{
			name:   "a first role leaves an offer that the actor may not withdraw",
			given:  strings.NewReplacer("role:user", "role:owner", "peter", "olga").Replace(invitation),
			denied: "assign_roles@account:t",
			do:     putMember("ursula", "t", "nina", forever, "user"),
			changes: `
				+ account:t#user@user:nina
			`,
		},
		{
			name:  "a removal withdraws invitations by the person",
			given: invitation,
			do:    removeMember("olga", "t", "peter"),
			changes: `
				+ removed_user:peter#from@account:t for 24h0m0s
				- account:t#user@user:peter
				- invitation:h#invitee@user:nina for 168h0m0s
				- invitation:h#inviter@user:peter for 168h0m0s
				- invitation:h#place@account:t for 168h0m0s
				- invitation:h#role@role:user for 168h0m0s
				- invitee:nina#latest@invitation:h for 24h0m0s
			`,
		},
		{
			name:  "a removal withdraws invitations of the person",
			given: invitation,
			do:    removeMember("olga", "t", "nina"),
			changes: `
				+ removed_user:nina#from@account:t for 24h0m0s
				- invitation:h#invitee@user:nina for 168h0m0s
				- invitation:h#inviter@user:peter for 168h0m0s
				- invitation:h#place@account:t for 168h0m0s
				- invitation:h#role@role:user for 168h0m0s
				- invitee:nina#latest@invitation:h for 24h0m0s
			`,
		},
		{
			name:   "anybody may leave",
			denied: "remove_members@account:t assign_roles@account:t",
			do:     removeMember("milton", "t", "milton"),
			changes: `
				+ deletion:membership/account/t#done@user:milton for 24h0m0s
				+ removed_user:milton#from@account:t for 24h0m0s
				- account:t#guest@user:milton
				- connection:crm#shared_with@user:milton
			`,
		},
		{
			name: "an owner is removed by who assigns roles", given: "account:t#owner@user:nina", denied: "assign_roles@account:t",
			do: removeMember("peter", "t", "nina"), code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "a removal needs remove_members", denied: "remove_members@account:t", do: removeMember("milton", "t", "ursula"),
			code: authz.CodeForbidden, says: "remove_members",
		},
		{name: "who is no member is not removed", do: removeMember("olga", "t", "stranger")},
		{
			name: "a removal from the subscription ends roles on its accounts", given: "account:t#user@user:ed",
			do: removeSubscriptionMember("olga", "s", "ed"), changes: `
				+ removed_user:ed#from@account:n for 24h0m0s
				+ removed_user:ed#from@account:t for 24h0m0s
				- account:n#editor@user:ed
				- account:t#user@user:ed
				- membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#first@account:n
				- subscription:s#member@user:ed
			`,
		},
		{
			name:  "an explicit membership outlives roles on accounts",
			given: "membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#further@subscription:s",
			do:    removeMember("olga", "n", "ed"), changes: `
				+ removed_user:ed#from@account:n for 24h0m0s
				- account:n#editor@user:ed
				- membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#first@account:n
			`,
		},
		{
			name: "a membership stays while another account is its reason",
			given: `account:n2#subscription@subscription:s account:n2#analytics@user:* account:n2#viewer@user:ed
				membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#further@account:n2`,
			do: removeMember("olga", "n", "ed"), changes: `
				+ removed_user:ed#from@account:n for 24h0m0s
				- account:n#editor@user:ed
				- membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#first@account:n
			`,
		},
		{
			name: "an account role of the last owner keeps them", given: "account:t#owner@user:ed",
			without: "account:t#owner@user:olga", do: removeSubscriptionMember("olga", "s", "ed"), code: authz.CodeConflict,
		},
	})
}

func TestInvitations(t *testing.T) {
	invite := func(actor authz.ID, in operation.NewInvitation) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.Invite(ctx, by(actor), in)
			return err
		}
	}
	account := authz.Object{Type: "account", ID: "t"}
	short := time.Millisecond
	runRules(t, []ruleCase{
		{
			name: "an invitation of anybody offers the default role", do: invite("peter", operation.NewInvitation{To: account, Roles: []string{"owner"}}),
			code: authz.CodeInvalid, says: "user",
		},
		{
			name: "an unknown role", do: invite("peter", operation.NewInvitation{To: account, Invitee: "nina", Roles: []string{"editor"}}),
			code: authz.CodeInvalid, says: "editor",
		},
		{
			name: "an invitation that is open too shortly", code: authz.CodeInvalid, says: "expires_in",
			do: invite("peter", operation.NewInvitation{To: account, Invitee: "nina", Roles: []string{"user"}, ExpiresIn: &short}),
		},
		{
			name: "inviting needs what giving needs", denied: "assign_roles@account:t invite_members@account:t",
			do: invite("milton", operation.NewInvitation{To: account, Invitee: "nina", Roles: []string{"user"}}), code: authz.CodeForbidden,
		},
		{
			name: "a wrong secret", given: invitation, do: func(ctx context.Context, s *operation.Service) error {
				_, _, err := s.AcceptInvitation(ctx, by("nina"), "secret")
				return err
			},
			code: authz.CodeNotFound, says: "no open invitation with this id",
		},
		{
			name: "an invitation is withdrawn", given: invitation, do: func(ctx context.Context, s *operation.Service) error {
				_, err := s.WithdrawInvitation(ctx, by("peter"), account, "h")
				return err
			},
			changes: `
				- invitation:h#invitee@user:nina for 168h0m0s
				- invitation:h#inviter@user:peter for 168h0m0s
				- invitation:h#place@account:t for 168h0m0s
				- invitation:h#role@role:user for 168h0m0s
				- invitee:nina#latest@invitation:h for 24h0m0s
			`,
		},
		{
			name: "somebody else's is withdrawn by who assigns roles", given: invitation, denied: "assign_roles@account:t",
			do: func(ctx context.Context, s *operation.Service) error {
				_, err := s.WithdrawInvitation(ctx, by("ursula"), account, "h")
				return err
			},
			code: authz.CodeForbidden,
		},
	})
}

func TestOffboarding(t *testing.T) {
	handOver := func(actor, who authz.ID, to operation.Handover) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.HandOverAccountMember(ctx, by(actor), "t", who, to)
			return err
		}
	}
	erase := func(who authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, err := s.EraseUser(ctx, by(""), who)
			return err
		}
	}
	runRules(t, []ruleCase{
		{
			name: "creations go to the new owner, private ones are disconnected",
			do:   handOver("olga", "peter", operation.Handover{To: "ursula", Private: "disconnect"}),
			changes: `
				+ connection:dwh#creator@user:ursula
				+ deletion:connection/crm#done@user:olga for 24h0m0s
				+ importer:leads#creator@user:ursula
				- account:t#user@user:peter
				- connection:crm#account@account:t
				- connection:crm#connector@connector:c
				- connection:crm#creator@user:peter
				- connection:crm#shared_with@user:milton
				- connection:dwh#creator@user:peter
				- importer:leads#creator@user:peter
				- importer:leads#source@connection:crm
			`,
		},
		{
			name: "a reassigning removal of a person whose role expired ends shares", given: leftShares,
			do: handOver("olga", "nina", operation.Handover{To: "ursula"}), changes: `
				- connection:crm#shared_with@user:nina
				- connection:dwh#shared_with@user:nina
			`,
		},
		{
			name: "creations go to the new owner, private ones stay",
			do:   handOver("olga", "peter", operation.Handover{To: "ursula", Private: "leave"}),
			changes: `
				+ connection:dwh#creator@user:ursula
				+ importer:leads#creator@user:ursula
				- account:t#user@user:peter
				- connection:dwh#creator@user:peter
				- importer:leads#creator@user:peter
			`,
		},
		{
			name: "the fate of private connections must be chosen",
			do:   handOver("olga", "peter", operation.Handover{To: "ursula"}),
			code: authz.CodeConflict, says: "private_connections",
		},
		{
			name: "one's own private connections go along",
			do:   handOver("peter", "peter", operation.Handover{To: "ursula"}),
			changes: `
				+ connection:crm#creator@user:ursula
				+ connection:dwh#creator@user:ursula
				+ deletion:membership/account/t#done@user:peter for 24h0m0s
				+ importer:leads#creator@user:ursula
				- account:t#user@user:peter
				- connection:crm#creator@user:peter
				- connection:dwh#creator@user:peter
				- importer:leads#creator@user:peter
			`,
		},
		{
			name: "a new owner who is no member",
			do:   handOver("olga", "peter", operation.Handover{To: "stranger", Private: "leave"}),
			code: authz.CodeInvalid, says: "stranger",
		},
		{
			name: "the person cannot be the new owner",
			do:   handOver("olga", "peter", operation.Handover{To: "peter"}),
			code: authz.CodeInvalid, says: "reassign_to",
		},
		{
			name: "an unknown choice",
			do:   handOver("olga", "peter", operation.Handover{To: "ursula", Private: "keep"}),
			code: authz.CodeInvalid, says: "private_connections",
		},
		{
			name: "the last owner is not offboarded",
			do:   handOver("olga", "olga", operation.Handover{To: "peter"}),
			code: authz.CodeConflict,
		},
		{name: "an erased user is nowhere", given: invitation, do: erase("peter"), changes: `
				- account:t#user@user:peter
				- connection:crm#account@account:t
				- connection:crm#connector@connector:c
				- connection:crm#creator@user:peter
				- connection:crm#shared_with@user:milton
				- connection:dwh#creator@user:peter
				- importer:leads#creator@user:peter
				- importer:leads#source@connection:crm
				- invitation:h#invitee@user:nina for 168h0m0s
				- invitation:h#inviter@user:peter for 168h0m0s
				- invitation:h#place@account:t for 168h0m0s
				- invitation:h#role@role:user for 168h0m0s
				- invitee:nina#latest@invitation:h for 24h0m0s
			`},
		{name: "the last owner is not erased", do: erase("olga"), code: authz.CodeConflict, says: "last owner"},
		{name: "an unknown user is erased", do: erase("stranger")},
	})
}

// TestOffboardingReportHidesHandles checks that the report names open invitations only if the actor may list
// invitations. Other actors get only the number.
func TestOffboardingReportHidesHandles(t *testing.T) {
	for _, mayList := range []bool{true, false} {
		store := txtest.New(txtest.Relationships(t, append(slices.Clone(company), strings.Fields(invitation)...)...)...)
		store.Now = nowOfRules
		store.Allow = func(check authz.Check) bool { return mayList || check.Permission != "invite_members" }
		s := operation.New(store, operation.WithClock(nowOfRules))
		report, _, err := s.ReportOffboarding(t.Context(), by("olga"), "t", "nina")
		require.NoError(t, err)
		require.Equal(t, 1, report.Invitations.Count)
		require.Equal(t, mayList, len(report.Invitations.IDs) == 1)
	}
}
