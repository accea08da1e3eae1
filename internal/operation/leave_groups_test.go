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

// inManyGroups are the relationships of 1,100 groups of the subscription "s", with the person as a member of each. Only
// the group "z" holds a role on the account "t".
func inManyGroups(who string) string {
	const group = "group:%[1]s#subscription@subscription:s group:%[1]s#member@user:%[2]s "
	given := fmt.Sprintf(group, "z", who) + "account:t#guest@group:z#member "
	for i := range 1100 {
		given += fmt.Sprintf(group, fmt.Sprint("g", i), who)
	}
	return given
}

// TestRemovalLeavesVeryManyGroups removes people who are in 1,100 groups, stops after each write, and repeats the call.
// The first write ends the direct roles and the membership of the group with a role on the account.
func TestRemovalLeavesVeryManyGroups(t *testing.T) {
	leave := func(actor, who authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, err := s.RemoveAccountMemberAndGroups(ctx, by(actor), "t", who)
			return err
		}
	}
	reassign := func(actor, who, to authz.ID) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			handover := operation.Handover{To: to, Private: "leave", LeavesGroups: true}
			_, _, err := s.HandOverAccountMember(ctx, by(actor), "t", who, handover)
			return err
		}
	}
	for name, c := range map[string]struct {
		given, who string
		do         func(context.Context, *operation.Service) error
		cannot     []string // what the person may no longer do without a role
		anyGroup   bool     // the first write ends the memberships of any groups
	}{
		"by another person":   {who: "peter", do: leave("olga", "peter")},
		"by themselves":       {who: "peter", do: leave("peter", "peter"), cannot: []string{"view", "assign_roles"}},
		"only through groups": {who: "rex", do: leave("rex", "rex"), cannot: []string{"view"}},
		"with many shares": {
			given: sharesOf("peter", 1100), who: "peter", do: leave("olga", "peter"),
		},
		"with a new owner": {who: "peter", do: reassign("olga", "peter", "ursula")},
		"by themselves with a new owner": {
			given: "account:t#owner@user:pia connection:p#account@account:t connection:p#creator@user:pia ", who: "pia",
			do: reassign("pia", "pia", "olga"), cannot: []string{"view", "assign_roles"},
		},
		"from the subscription": {who: "peter", do: removeSubscriptionMember("olga", "s", "peter"), anyGroup: true},
	} {
		t.Run(name, func(t *testing.T) {
			given := append(company[:len(company):len(company)], strings.Fields(c.given+inManyGroups(c.who))...)
			for stop := 1; ; stop++ {
				store := &stopping{txtest.New(txtest.Relationships(t, given...)...), stop}
				holds := func() bool {
					return slices.ContainsFunc(store.Stored(), func(r string) bool {
						return strings.HasPrefix(r, "account:t#") && strings.Contains(r, "@user:"+c.who)
					}) || !c.anyGroup && slices.Contains(store.Stored(), "group:z#member@user:"+c.who)
				}
				store.Now = nowOfRules
				store.Allow = func(check authz.Check) bool {
					isOwn := string(check.Subject.ID) == c.who && check.Resource.ID == "t"
					return !isOwn || !slices.Contains(c.cannot, string(check.Permission)) || holds()
				}
				s := operation.New(store, operation.WithClock(store.Now))
				first := c.do(t.Context(), s)
				require.False(t, holds(), "the first write ends the roles")
				if first != nil {
					require.ErrorIs(t, first, errStopped)
					store.writes = 100
					require.NoError(t, c.do(t.Context(), s))
				}
				for _, r := range store.Stored() {
					require.NotRegexp(t, "^(group|offboarding):.*user:"+c.who, r)
				}
				if first == nil {
					require.Greater(t, stop, 1)
					return
				}
			}
		})
	}
}

// sharesOf are private connections of the account "t", each shared with the person.
func sharesOf(who string, count int) string {
	shares := ""
	for i := range count {
		shares += fmt.Sprintf(
			"connection:shared%[1]d#account@account:t connection:shared%[1]d#shared_with@user:%[2]s ", i, who)
	}
	return shares
}
