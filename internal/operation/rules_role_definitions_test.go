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

// feature turns the feature custom_roles on for both subscriptions of the company.
const feature = "subscription:s#custom_roles@user:* subscription:one#custom_roles@user:* "

var (
	inT   = authz.Object{Type: "account", ID: "t"}
	inS   = authz.Object{Type: "subscription", ID: "s"}
	inOne = authz.Object{Type: "subscription", ID: "one"}
)

// definedRole returns the relationships of a custom role with the title Auditor that grants the permissions.
func definedRole(scope authz.Object, subscription, id authz.ID, slot int, grants ...string) string {
	role := operation.CustomRole{Title: "Auditor", Object: authz.CustomRoleObject(subscription, id)}
	rows := []string{
		"scope@" + scope.String(), "title@title:Auditor", "active@user:*", "active@service_account:*",
		fmt.Sprintf("slot@custom_role_slot:%s/%s/%d", scope.Type, scope.ID, slot),
	}
	for _, grant := range authz.Grantable {
		for _, wanted := range grants {
			if grant.String() == wanted {
				role.Grants = append(role.Grants, grant)
				rows = append(rows, string(grant.Flag())+"@user:*", string(grant.Flag())+"@service_account:*")
			}
		}
	}
	rows = append(rows, "version@custom_role_version:"+string(role.Version()))
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&b, "%s#%s ", role.Object, row)
	}
	return b.String()
}

// given returns the relationships that give a custom role to a holder.
func given(subscription, id authz.ID, place authz.Object, holder string) string {
	role := authz.CustomRoleObject(subscription, id)
	binding := authz.RoleBindingObject(role, place)
	text := fmt.Sprintf("%[1]s#role@%[2]s %[1]s#place@%[3]s %[3]s#role_binding@%[1]s ", binding, role, place)
	if holder != "" {
		text += fmt.Sprintf("%s#holder@%s ", binding, holder)
	}
	return text
}

type act = func(context.Context, *operation.Service) error

func createRole(actor authz.ID, scope authz.Object, id authz.ID, from string, grants ...string) act {
	return func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.CreateCustomRole(ctx, by(actor), operation.NewCustomRole{
			ID: id, Scope: scope, Title: "Auditor", Grants: grants, From: from,
		})
		return err
	}
}

func replaceRole(actor authz.ID, scope authz.Object, id authz.ID, match []string, grants ...string) act {
	return func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.ReplaceCustomRole(ctx, by(actor), scope, id, operation.RoleContent{
			Title: "Auditor", Grants: grants, Match: match,
		})
		return err
	}
}

func deleteRole(actor authz.ID, scope authz.Object, id authz.ID, cascade bool) act {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.DeleteCustomRole(ctx, by(actor), scope, id, cascade, nil)
		return err
	}
}

// change returns the lines of a change that adds (+) or deletes (-) the relationships of the texts, sorted.
func change(sign string, rows ...string) string {
	return sign + " " + strings.Join(slices.Sorted(strings.FieldsSeq(strings.Join(rows, " "))), "\n"+sign+" ") + "\n"
}

func TestRulesOfCreatingCustomRoles(t *testing.T) {
	var fifty strings.Builder
	for i := range 50 {
		fifty.WriteString(definedRole(inT, "s", authz.ID(fmt.Sprint("r", i)), i+1))
	}
	auditor := definedRole(inT, "s", "auditor", 1, "account.view_usage")
	runRules(t, []ruleCase{
		{
			name: "a role stores its grants for people and service accounts", given: feature,
			do:      createRole("olga", inT, "auditor", "", "importer.view", "account.view_usage", "importer.view"),
			changes: change("+", definedRole(inT, "s", "auditor", 1, "account.view_usage", "importer.view")),
		},
		{
			name: "a role may grant nothing", given: feature, do: createRole("olga", inS, "auditor", ""),
			changes: change("+", definedRole(inS, "s", "auditor", 1)),
		},
		{
			name: "a role takes the first free slot", given: feature + definedRole(inT, "s", "a", 1) + definedRole(inT, "s", "b", 3),
			do: createRole("olga", inT, "auditor", ""), changes: change("+", definedRole(inT, "s", "auditor", 2)),
		},
		{
			name: "an account has at most 50 roles", given: feature + fifty.String(), do: createRole("olga", inT, "auditor", ""),
			code: authz.CodeConflict, says: "account:t has 50 custom roles, and cannot have more; delete one first",
		},
		{
			name: "the limit counts one account", given: feature + fifty.String(), do: createRole("olga", inS, "auditor", ""),
			changes: change("+", definedRole(inS, "s", "auditor", 1)),
		},
		{
			name: "the feature is required", do: createRole("olga", inT, "auditor", ""),
			code: authz.CodeFeatureRequired, says: "custom roles require the feature custom_roles, which the subscription lacks",
		},
		{
			name: "creating needs manage_roles", given: feature, denied: "manage_roles@account:t",
			do: createRole("peter", inT, "auditor", ""), code: authz.CodeForbidden,
			says: "peter lacks the permission manage_roles on account:t",
		},
		{
			name: "a hidden place does not exist", given: feature, denied: "view@account:t",
			do: createRole("peter", inT, "auditor", ""), code: authz.CodeNotFound,
		},
		{
			name: "an id is unique in the subscription", given: feature + definedRole(authz.Object{Type: "account", ID: "o"}, "s", "auditor", 1),
			do:   createRole("olga", inT, "auditor", ""),
			code: authz.CodeConflict, says: `has a role with the id "auditor" already, perhaps in another account`,
		},
		{
			name: "another subscription can use the id", given: feature + auditor, do: createRole("uma", inOne, "auditor", ""),
			changes: change("+", definedRole(inOne, "one", "auditor", 1)),
		},
		{
			name: "a role copies a built-in role and adds to it", given: feature,
			do: createRole("olga", inT, "auditor", "guest", "importer.view", "account.view"),
			changes: change("+", definedRole(inT, "s", "auditor", 1, "account.view", "account.contact_support",
				"account.view_help_center", "account.create_importer", "account.create_connection", "importer.view")),
		},
		{
			name: "a role copies another custom role", given: feature + auditor, do: createRole("olga", inT, "copy", "auditor", "report.view"),
			changes: change("+", definedRole(inT, "s", "copy", 2, "account.view_usage", "report.view")),
		},
		{
			name:  "an account's role copies the part of a subscription's role that it can have",
			given: feature + definedRole(inS, "s", "top", 1, "subscription.view", "importer.run"),
			do:    createRole("olga", inT, "copy", "top"), changes: change("+", definedRole(inT, "s", "copy", 1, "importer.run")),
		},
		{
			name:  "a role of another account cannot be copied",
			given: feature + definedRole(authz.Object{Type: "account", ID: "o"}, "s", "other", 1),
			do:    createRole("olga", inT, "copy", "other"), code: authz.CodeInvalid,
			says: `from: "other" is no role of account:t; built-in roles are owner, user, guest`,
		},
		{
			name: "a misspelt permission", given: feature, do: createRole("olga", inT, "auditor", "", "account.view", "importer.runn"),
			code: authz.CodeInvalid, says: `grants[1]: custom roles cannot grant "importer.runn"; the nearest are importer.run`,
		},
		{
			name: "a permission that hands out access", given: feature, do: createRole("olga", inT, "auditor", "", "account.assign_roles"),
			code: authz.CodeInvalid, says: `grants[0]: custom roles cannot grant "account.assign_roles"`,
		},
		{
			name: "an account's role grants nothing on the subscription", given: feature,
			do: createRole("olga", inT, "auditor", "", "subscription.view"), code: authz.CodeInvalid,
			says: "grants[0]: a role of an account cannot grant subscription.view; only a role of the subscription can",
		},
	})
}

func TestRulesOfReplacingCustomRoles(t *testing.T) {
	auditor := definedRole(inT, "s", "auditor", 1, "account.view_usage", "importer.view")
	version := func(grants ...string) []string {
		_, after, _ := strings.Cut(definedRole(inT, "s", "auditor", 1, grants...), "custom_role_version:")
		return []string{strings.Fields(after)[0]}
	}
	powerful := definedRole(inOne, "one", "clerk", 1, "importer.view")
	notOwner := "invite_owner@subscription:one"
	runRules(t, []ruleCase{
		{
			name: "only the differences are written", given: auditor,
			do: replaceRole("olga", inT, "auditor", nil, "importer.view", "importer.run"),
			changes: `
				+ custom_role:s/auditor#importer_run@service_account:*
				+ custom_role:s/auditor#importer_run@user:*
				+ custom_role:s/auditor#version@custom_role_version:` + version("importer.view", "importer.run")[0] + `
				- custom_role:s/auditor#account_view_usage@service_account:*
				- custom_role:s/auditor#account_view_usage@user:*
				- custom_role:s/auditor#version@custom_role_version:` + version("account.view_usage", "importer.view")[0],
		},
		{
			name: "the same content", given: auditor,
			do: replaceRole("olga", inT, "auditor", nil, "importer.view", "account.view_usage"),
		},
		{
			name: "the present version", given: auditor,
			do: replaceRole("olga", inT, "auditor", version("account.view_usage", "importer.view"), "importer.view", "account.view_usage"),
		},
		{
			name: "an old version", given: auditor, do: replaceRole("olga", inT, "auditor", version("importer.view"), "importer.view"),
			code: authz.CodePreconditionFailed, says: `the role "auditor" has changed`,
		},
		{
			name: "editing needs manage_roles", given: auditor, denied: "manage_roles@account:t",
			do: replaceRole("peter", inT, "auditor", nil), code: authz.CodeForbidden, says: "lacks the permission manage_roles",
		},
		{
			name: "a role that does not exist", do: replaceRole("olga", inT, "auditor", nil), code: authz.CodeNotFound,
			says: `there is no role "auditor" on account:t`,
		},
		{
			name: "a role of another account", given: definedRole(authz.Object{Type: "account", ID: "o"}, "s", "auditor", 1),
			do: replaceRole("olga", inT, "auditor", nil), code: authz.CodeNotFound, says: `there is no role "auditor" on account:t`,
		},
		{
			name: "a role of the subscription", given: definedRole(inS, "s", "auditor", 1), do: replaceRole("olga", inT, "auditor", nil),
			code: authz.CodeInvalid, says: `the role "auditor" belongs to the subscription of account:t`,
		},
		{
			name: "a built-in role", do: replaceRole("olga", inT, "owner", nil), code: authz.CodeInvalid,
			says: "owner is a built-in role; only custom roles can be changed and deleted",
		},
		{
			name: "an owner adds permissions to a role that somebody holds", given: powerful + given("one", "clerk", inOne, "user:rex"),
			do: replaceRole("uma", inOne, "clerk", nil, "importer.view", "importer.run"),
			changes: `
				+ custom_role:one/clerk#importer_run@service_account:*
				+ custom_role:one/clerk#importer_run@user:*
				+ custom_role:one/clerk#version@custom_role_version:` + version("importer.view", "importer.run")[0] + `
				- custom_role:one/clerk#version@custom_role_version:` + version("importer.view")[0],
		},
		{
			name: "a business administrator cannot add what they lack", given: powerful + given("one", "clerk", inOne, "user:rex"),
			denied: notOwner, do: replaceRole("rex", inOne, "clerk", nil, "importer.view", "importer.run"),
			code: authz.CodeForbidden,
			says: `the role business_admin does not have the permission importer.run everywhere, so rex cannot add permissions to the role "clerk"`,
		},
		{
			name: "a business administrator adds what they have", given: powerful + given("one", "clerk", inOne, "user:rex"),
			denied: notOwner, do: replaceRole("rex", inOne, "clerk", nil, "connection.rename", "importer.view"),
			changes: `
				+ custom_role:one/clerk#connection_rename@service_account:*
				+ custom_role:one/clerk#connection_rename@user:*
				+ custom_role:one/clerk#version@custom_role_version:` + version("importer.view", "connection.rename")[0] + `
				- custom_role:one/clerk#version@custom_role_version:` + version("importer.view")[0],
		},
		{
			name: "a business administrator edits a role that nobody has", given: powerful, denied: notOwner,
			do: replaceRole("rex", inOne, "clerk", nil, "importer.run"),
			changes: `
				+ custom_role:one/clerk#importer_run@service_account:*
				+ custom_role:one/clerk#importer_run@user:*
				+ custom_role:one/clerk#version@custom_role_version:` + version("importer.run")[0] + `
				- custom_role:one/clerk#importer_view@service_account:*
				- custom_role:one/clerk#importer_view@user:*
				- custom_role:one/clerk#version@custom_role_version:` + version("importer.view")[0],
		},
		{
			name:   "an administrator until a date cannot add permissions beyond it",
			given:  auditor + given("s", "auditor", inT, "user:rex") + "account:t#user@user:temp[expiration:2031-01-01T00:00:00Z]",
			denied: "as_subscription_owner@account:t as_platform_administrator@account:t",
			do:     replaceRole("temp", inT, "auditor", nil, "importer.run"), code: authz.CodeForbidden,
			says: `the roles of temp on account:t end at 2031-01-01T00:00:00Z, so temp cannot add permissions to the role "auditor"`,
		},
	})
}

// TestOnlyOwnersGivePowerfulRoles checks that, on a subscription, a business administrator cannot give a custom role
// with permissions that the role business_admin lacks: not to a person, not by an invitation, not to a group or a
// service account.
func TestOnlyOwnersGivePowerfulRoles(t *testing.T) {
	powerful := feature + definedRole(inOne, "one", "clerk", 1, "importer.run", "connection.rename")
	weak := feature + definedRole(inOne, "one", "clerk", 1, "connection.rename")
	const (
		crew    = "group:crew#subscription@subscription:one group:crew#title@title:Crew "
		planner = "service_account:planner#place@subscription:one service_account:planner#title@title:Planner "
	)
	ways := map[string]act{
		"a person": func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.PutSubscriptionMember(ctx, by("rex"), "one", "rex", []string{"business_admin", "clerk"})
			return err
		},
		"an invitation": func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.Invite(ctx, by("rex"), operation.NewInvitation{To: inOne, Invitee: "nina", Roles: []string{"clerk"}})
			return err
		},
		"a group": func(ctx context.Context, s *operation.Service) error {
			group := authz.Holder{Type: "group", ID: "crew"}
			_, _, err := s.PutHolderRoles(ctx, by("rex"), inOne, group, []string{"clerk"}, forever)
			return err
		},
		"a service account": func(ctx context.Context, s *operation.Service) error {
			account := authz.Holder{Type: "service_account", ID: "planner"}
			_, _, err := s.PutHolderRoles(ctx, by("rex"), inOne, account, []string{"clerk"}, forever)
			return err
		},
		"a new service account": func(ctx context.Context, s *operation.Service) error {
			in := operation.ServiceAccount{ID: "new", Place: inOne, Title: "New"}
			_, _, err := s.CreateServiceAccount(ctx, by("rex"), in, []string{"clerk"})
			return err
		},
	}
	run := func(t *testing.T, do act, role string, isOwner bool) error {
		t.Helper()
		given := company[:len(company):len(company)]
		given = append(given, "subscription:one#business_admin@user:rex")
		store := txtest.New(txtest.Relationships(t, append(given, strings.Fields(role+crew+planner)...)...)...)
		store.Now = nowOfRules
		store.Allow = func(check authz.Check) bool { return isOwner || check.Permission != "invite_owner" }
		return do(t.Context(), operation.New(store, operation.WithClock(store.Now)))
	}
	for name, do := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t, do, powerful, false)
			require.ErrorIs(t, err, authz.CodeForbidden)
			require.ErrorContains(t, err, `does not have the permission importer.run everywhere, so only an owner of `+
				`subscription:one can give the role "clerk"`)
			require.NoError(t, run(t, do, powerful, true))
			require.NoError(t, run(t, do, weak, false))
		})
	}
}
