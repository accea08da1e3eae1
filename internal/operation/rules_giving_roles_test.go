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

// rowsOfRole returns the relationships of a custom role of the subscription s, which belongs to a scope.
func rowsOfRole(id authz.ID, scope string) string {
	role := authz.CustomRoleObject("s", id).String()
	return role + "#scope@" + scope + " " + role + "#active@user:* " + role + "#active@service_account:* " +
		role + "#version@custom_role_version:v1 " + role + "#account_view_usage@user:* "
}

// customRoles are the role auditor of the subscription s, the role biller of its account t, and the feature.
var customRoles = rowsOfRole("auditor", "subscription:s") + rowsOfRole("biller", "account:t") +
	"subscription:s#custom_roles@user:* "

// bindingOf returns the role binding of a custom role of the subscription s on a place.
func bindingOf(place authz.Object, role authz.ID) string {
	return authz.RoleBindingObject(authz.CustomRoleObject("s", role), place).String()
}

// holderOf returns the relationship that stores a holder of a custom role on a place.
func holderOf(place authz.Object, role authz.ID, holder string) string {
	return bindingOf(place, role) + "#holder@" + holder
}

// bound returns the relationships that store a role binding.
func bound(place authz.Object, role authz.ID) string {
	binding := bindingOf(place, role)
	return binding + "#place@" + place.String() + " " +
		binding + "#role@" + authz.CustomRoleObject("s", role).String() + " " +
		place.String() + "#role_binding@" + binding + " "
}

// firstBound returns the relationships that the first binding of a role to a place stores.
func firstBound(place authz.Object, role authz.ID) string {
	return bound(place, role) + place.String() + "#last_role_binding@" + bindingOf(place, role) + " "
}

var onT, onS = on("account", "t"), on("subscription", "s")

// added returns relationships as changes that add them, in the order of changesOf.
func added(relationships ...string) string {
	fields := strings.Fields(strings.Join(relationships, " "))
	slices.Sort(fields)
	return "+ " + strings.Join(fields, "\n+ ")
}

func TestCustomRolesAreGivenToMembers(t *testing.T) {
	given := customRoles + bound(onT, "auditor")
	nina, peter := holderOf(onT, "auditor", "user:nina"), holderOf(onT, "auditor", "user:peter")
	changes := func(lines ...string) string { return strings.Join(lines, "\n") }
	runRules(t, []ruleCase{
		{
			name: "the first holder, in addition to a built-in role", given: customRoles,
			do:      putMember("olga", "t", "nina", forever, "user", "auditor"),
			changes: added("account:t#user@user:nina", firstBound(onT, "auditor"), nina),
		},
		{
			name: "the first holder of another role", given: customRoles + firstBound(onT, "biller"),
			do: putMember("olga", "t", "nina", forever, "auditor"),
			changes: added(firstBound(onT, "auditor"), nina) +
				"\n- account:t#last_role_binding@" + bindingOf(onT, "biller"),
		},
		{
			name: "another holder, alone", given: given, do: putMember("olga", "t", "nina", forever, "auditor"),
			changes: "+ " + nina,
		},
		{
			name: "until a time", given: given, do: putMember("olga", "t", "nina", until, "auditor"),
			changes: "+ " + nina + " for 2h0m0s",
		},
		{
			name: "a later end", given: given + nina + "[expiration:2030-01-01T13:00:00Z]",
			do:      putMember("olga", "t", "nina", until, "auditor"),
			changes: changes("+ "+nina+" for 2h0m0s", "- "+nina+" for 1h0m0s"),
		},
		{
			name: "instead of a built-in role", given: given, do: putMember("olga", "t", "ursula", forever, "auditor"),
			changes: changes("+ "+holderOf(onT, "auditor", "user:ursula"), "- account:t#user@user:ursula"),
		},
		{
			name: "a built-in role instead", given: given + nina, do: putMember("olga", "t", "nina", forever, "user"),
			changes: changes("+ account:t#user@user:nina", "- "+nina),
		},
		{
			name: "the same roles", given: given + peter, do: putMember("olga", "t", "peter", forever, "auditor", "user"),
		},
		{
			name: "many members at once", given: given + peter,
			do:      patchMembers("olga", "t", forever, map[authz.ID][]string{"nina": {"auditor"}, "peter": {"user"}}),
			changes: changes("+ "+nina, "- "+peter),
		},
		{
			name: "many accounts at once", given: given,
			do: func(ctx context.Context, s *operation.Service) error {
				accounts := map[authz.ID][]string{"t": {"auditor"}}
				_, _, err := s.PutMemberAccounts(ctx, by("olga"), "s", "nina", accounts, forever)
				return err
			},
			changes: "+ " + nina,
		},
		{
			name: "without the feature", given: given, without: "subscription:s#custom_roles@user:*",
			do: putMember("olga", "t", "nina", forever, "auditor"), code: authz.CodeFeatureRequired,
			says: "the role auditor requires the feature custom_roles",
		},
		{
			name: "a shorter end, without the feature", given: given + nina, without: "subscription:s#custom_roles@user:*",
			do:      putMember("olga", "t", "nina", until, "auditor"),
			changes: changes("+ "+nina+" for 2h0m0s", "- "+nina),
		},
		{
			name: "without assign_roles", given: given, denied: "assign_roles@account:t",
			do: putMember("peter", "t", "nina", forever, "auditor"), code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "a default role without assign_roles, for a holder of a custom role", given: given + nina,
			denied: "assign_roles@account:t", do: putMember("peter", "t", "nina", forever, "user"),
			code: authz.CodeForbidden, says: "assign_roles",
		},
		{
			name: "a role that is being deleted", given: given, without: "custom_role:s/auditor#active@user:*",
			do: putMember("olga", "t", "nina", forever, "auditor"), code: authz.CodeInvalid,
			says: `"auditor" is not a role of the role set team`,
		},
		{
			name: "a role of another account", given: customRoles, do: putMember("olga", "o", "nina", forever, "biller"),
			code: authz.CodeInvalid, says: `"biller" is not a role of the role set operations`,
		},
		{
			name: "no such role", given: given, do: putMember("olga", "t", "nina", forever, "nothing"),
			code: authz.CodeInvalid, says: `"nothing" is not a role of the role set team`,
		},
		{
			name: "an additional role without a base role", given: customRoles,
			do:   putMember("olga", "o", "nina", forever, "flow_author", "auditor"),
			code: authz.CodeInvalid, says: "a person cannot hold only flow_author",
		},
		{
			name: "an end later than the actor's own", given: given + "account:t#user@user:rex[expiration:2030-01-01T13:00:00Z]",
			denied: "as_subscription_owner@account:t as_platform_administrator@account:t",
			do:     putMember("rex", "t", "nina", until, "auditor"),
			code:   authz.CodeForbidden, says: "must end by then",
		},
	})
}

// TestHoldersOfCustomRolesAreRemoved ends custom roles in every way that ends roles.
func TestHoldersOfCustomRolesAreRemoved(t *testing.T) {
	nina, peter := holderOf(onT, "auditor", "user:nina"), holderOf(onT, "auditor", "user:peter")
	given := customRoles + bound(onT, "auditor") + bound(onS, "auditor") + nina + " "
	const removed = "+ removed_user:nina#from@account:t for 24h0m0s\n"
	runRules(t, []ruleCase{
		{
			name: "by a person with remove_members", given: given, denied: "assign_roles@account:t",
			do: removeMember("peter", "t", "nina"), changes: removed + "- " + nina,
		},
		{
			name: "by a person with assign_roles", given: given + peter, do: removeMember("olga", "t", "peter"),
			changes: strings.ReplaceAll(removed, "nina", "peter") + "- account:t#user@user:peter\n- " + peter,
		},
		{
			name: "by leaving", given: given, do: removeMember("nina", "t", "nina"),
			changes: "+ deletion:membership/account/t#done@user:nina for 24h0m0s\n" + removed + "- " + nina,
		},
		{
			name: "with the account's subscription", given: given + holderOf(onS, "auditor", "user:nina"),
			do:      removeSubscriptionMember("olga", "s", "nina"),
			changes: removed + "- " + holderOf(onS, "auditor", "user:nina") + "\n- " + nina,
		},
		{
			name: "with an offered role", given: given, do: func(ctx context.Context, s *operation.Service) error {
				if err := invite("olga", onT, "rex", "auditor", "guest")(ctx, s); err != nil {
					return err
				}
				return removeMember("olga", "t", "rex")(ctx, s)
			},
		},
	})
}

func TestCustomRolesOfGroupsAndServiceAccounts(t *testing.T) {
	given := customRoles + bound(onT, "auditor") + bound(onS, "auditor") + crew + robotOfS
	crewRow, robotRow := "group:crew#member", "service_account:robot"
	put := func(place authz.Object, holder authz.Holder, roles ...string) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.PutHolderRoles(ctx, by("olga"), place, holder, roles, forever)
			return err
		}
	}
	remove := func(place authz.Object, holder authz.Holder) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, err := s.RemoveHolderRoles(ctx, by("olga"), place, holder)
			return err
		}
	}
	robotHolder := authz.Holder{Type: authz.TypeServiceAccount, ID: "robot"}
	runRules(t, []ruleCase{
		{
			name: "a group on an account", given: given, do: put(onT, groupOf("crew"), "user", "auditor"),
			changes: "+ account:t#user@group:crew#member\n+ " + holderOf(onT, "auditor", crewRow),
		},
		{
			name: "a group on a subscription under multi_owner", given: given, do: put(onS, groupOf("crew"), "auditor"),
			changes: "+ " + holderOf(onS, "auditor", crewRow),
		},
		{
			name: "a built-in role of a subscription under multi_owner", given: given,
			do: put(onS, groupOf("crew"), "owner", "auditor"), code: authz.CodeInvalid, says: "only people hold the role owner",
		},
		{
			name: "a group on a subscription, without manage_roles", given: given, denied: "manage_roles@subscription:s",
			do: put(onS, groupOf("crew"), "auditor"), code: authz.CodeForbidden, says: "manage_roles",
		},
		{
			name: "removal of a group from a subscription, without manage_roles", denied: "manage_roles@subscription:s",
			given: given + holderOf(onS, "auditor", crewRow), do: remove(onS, groupOf("crew")),
			code: authz.CodeForbidden, says: "manage_roles",
		},
		{
			name: "removal of a group", given: given + holderOf(onT, "auditor", crewRow), do: remove(onT, groupOf("crew")),
			changes: "- " + holderOf(onT, "auditor", crewRow),
		},
		{
			name: "a service account alone", given: given, do: put(onT, robotHolder, "biller"),
			changes: added(firstBound(onT, "biller"), holderOf(onT, "biller", robotRow)),
		},
		{
			name: "a service account on a subscription", given: given, do: put(onS, robotHolder, "auditor"),
			changes: "+ " + holderOf(onS, "auditor", robotRow),
		},
		{
			name: "a role of an account on its subscription", given: given, do: put(onS, robotHolder, "biller"),
			code: authz.CodeInvalid, says: `"biller" is not a role`,
		},
		{
			name: "another role instead", given: given + holderOf(onT, "auditor", robotRow), do: put(onT, robotHolder, "guest"),
			changes: "+ account:t#guest@service_account:robot\n- " + holderOf(onT, "auditor", robotRow),
		},
	})
}

// TestDecisionThroughCustomRoleIsAPrecondition performs an operation of people who hold custom roles directly and
// through a group. The write must require the whole path from the person to the permission, and nothing about roles
// of others.
func TestDecisionThroughCustomRoleIsAPrecondition(t *testing.T) {
	given := customRoles + bound(onT, "auditor") + bound(onT, "biller") + crew +
		"account:t#user@user:rex " + holderOf(onT, "auditor", "user:rex") + " " + holderOf(onT, "auditor", "group:crew#member") +
		" " + holderOf(onT, "biller", "user:nina")
	for actor, path := range map[authz.ID][]string{
		"rex": {holderOf(onT, "auditor", "user:rex")},
		"ed":  {holderOf(onT, "auditor", "group:crew#member"), "group:crew#member@user:ed"},
	} {
		stored := append(strings.Fields(given), company...)
		store := &recording{Store: txtest.New(txtest.Relationships(t, stored...)...)}
		store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
		_, _, err := operation.New(store, operation.WithClock(store.Now)).CreateImporter(
			t.Context(), by(actor), operation.NewImporter{ID: "new", Account: "t"},
		)
		require.NoError(t, err)
		requires := func(r string) authz.Precondition {
			return authz.Precondition{Filter: authz.Exactly(txtest.Relationship(t, r))}
		}
		path = append(path,
			"account:t#role_binding@"+bindingOf(onT, "auditor"), bindingOf(onT, "auditor")+"#role@custom_role:s/auditor",
			"custom_role:s/auditor#active@user:*", "custom_role:s/auditor#version@custom_role_version:v1")
		for _, r := range path {
			require.Contains(t, store.preconditions, requires(r), actor)
		}
		for _, r := range []string{
			holderOf(onT, "biller", "user:nina"), "custom_role:s/biller#version@custom_role_version:v1",
			"account:t#role_binding@" + bindingOf(onT, "biller"),
		} {
			require.NotContains(t, store.preconditions, requires(r), actor)
		}
	}
}

// manyBindings are the bindings of many roles on some accounts of the subscription s, all with the same holder.
func manyBindings(holder string) string {
	var b strings.Builder
	for i := range 8 {
		account := on("account", authz.ID(fmt.Sprint("a", i)))
		fmt.Fprintf(&b, "%[1]s#subscription@subscription:s %[1]s#team@user:* ", account)
		for j := range 150 {
			role := authz.ID(fmt.Sprint("role", j))
			b.WriteString(bound(account, role) + holderOf(account, role, holder) + " ")
		}
	}
	return b.String()
}

// customRoleJobs end more custom roles than one write deletes.
var customRoleJobs = []jobCase{
	{
		name:  "delete a group with very many custom roles",
		given: crew + lotsOf("role_binding:b%d#holder@group:crew#member"),
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), authz.Object{Type: "group", ID: "crew"})
			return err
		},
		left: []string{"group:crew", "requested_by"},
	},
	{
		name:  "delete a service account with very many custom roles",
		given: robotOfS + lotsOf("role_binding:b%d#holder@service_account:robot"),
		do:    deleteRobot("olga"), left: traceless,
	},
	{
		name: "erase a person with very many custom roles", given: customRoles + manyBindings("user:nina"),
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.EraseUser(ctx, by(""), "nina")
			return err
		},
		left: []string{"user:nina", "offboarding:"},
	},
	{
		name:  "remove a person with very many custom roles from the subscription",
		given: customRoles + manyBindings("user:nina"), do: removeSubscriptionMember("olga", "s", "nina"),
		left: []string{"#holder@user:nina", "offboarding:"},
	},
}

// TestGivingACustomRoleReadsNoOtherHolder gives and takes a custom role that very many people hold.
func TestGivingACustomRoleReadsNoOtherHolder(t *testing.T) {
	put := func(holder authz.Holder) func(context.Context, *operation.Service) error {
		return func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.PutHolderRoles(ctx, by("olga"), onT, holder, []string{"auditor"}, forever)
			return err
		}
	}
	for name, do := range map[string]func(context.Context, *operation.Service) error{
		"give it to a person":          putMember("olga", "t", "nina", forever, "auditor"),
		"give it to a group":           put(groupOf("crew")),
		"give it to a service account": put(authz.Holder{Type: authz.TypeServiceAccount, ID: "robot"}),
		"take it from a person":        putMember("olga", "t", "m7", forever, "user"),
		"remove a person":              removeMember("olga", "t", "m7"),
	} {
		t.Run(name, func(t *testing.T) {
			given := append(company[:len(company):len(company)], strings.Fields(customRoles+bound(onT, "auditor")+crew+robotOfS+
				lotsOf(holderOf(onT, "auditor", "user:m%d")))...)
			store := txtest.New(txtest.Relationships(t, given...)...)
			store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
			crowd := &crowd{stopping: &stopping{store, 1}, t: t}
			require.NoError(t, do(t.Context(), operation.New(crowd, operation.WithClock(store.Now))))
			require.Less(t, crowd.read, 60)
		})
	}
}
