package operation_test

import (
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestEndedRoleIsNoRemoval checks who may add a person whose role has ended on its date. Such an end is no removal,
// since only an actor with assign_roles can change the date.
func TestEndedRoleIsNoRemoval(t *testing.T) {
	const ended, running = "account:t#user@user:nina[expiration:2030-01-01T11:59:59Z]", "account:t#user@user:nina[expiration:2030-01-01T15:00:00Z]"
	const denied = "assign_roles@account:t"
	runRules(t, []ruleCase{
		{
			name: "the default role again", given: ended, denied: denied, do: putMember("peter", "t", "nina", forever, "user"),
			changes: `
				+ account:t#user@user:nina
				- account:t#user@user:nina for -1s
			`,
		},
		{
			name: "another role", given: ended, denied: denied, do: putMember("peter", "t", "nina", forever, "guest"),
			code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "by a person whose own role ends", given: ended + " account:t#user@user:tim[expiration:2030-01-01T14:00:00Z]",
			denied: denied + " as_subscription_owner@account:t as_platform_administrator@account:t",
			do:     putMember("tim", "t", "nina", forever, "user"), changes: `
				+ account:t#user@user:nina for 2h0m0s
				- account:t#user@user:nina for -1s
			`,
		},
		{
			name: "by a person whose own role ends, for longer", given: ended + " account:t#user@user:tim[expiration:2030-01-01T13:00:00Z]",
			denied: denied + " as_subscription_owner@account:t as_platform_administrator@account:t",
			do:     putMember("tim", "t", "nina", until, "user"), code: authz.CodeForbidden, says: "must end by then",
		},
		{
			name: "after a removal before the end", given: ended + " removed_user:nina#from@account:t[expiration:2030-01-02T00:00:00Z]",
			denied: denied, do: putMember("peter", "t", "nina", forever, "user"), code: authz.CodeForbidden, says: "within the last day",
		},
		{
			name: "a later end of a running role", given: running, denied: denied, do: putMember("peter", "t", "nina", forever, "user"),
			code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "an earlier end of a running role", given: running, denied: denied, do: putMember("peter", "t", "nina", until, "user"),
			code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "a removal before the end", given: running, denied: denied, do: removeMember("peter", "t", "nina"), changes: `
				+ removed_user:nina#from@account:t for 24h0m0s
				- account:t#user@user:nina for 3h0m0s
			`,
		},
		{
			name: "a removal after the end", given: ended, denied: denied, do: removeMember("peter", "t", "nina"), changes: "",
		},
	})
}
