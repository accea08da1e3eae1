package operation_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

func TestRulesOfDeletingCustomRoles(t *testing.T) {
	auditor := definedRole(inT, "s", "auditor", 1, "account.view_usage")
	importer := authz.Object{Type: "importer", ID: "leads"}
	const done = "+ deletion:custom_role/s/auditor#done@user:olga for 24h0m0s\n"
	runRules(t, []ruleCase{
		{
			name: "a role that nobody holds", given: auditor, do: deleteRole("olga", inT, "auditor", false),
			changes: done + change("-", auditor),
		},
		{
			name: "bindings without holders", given: auditor + given("s", "auditor", inT, "") + given("s", "auditor", importer, ""),
			do:      deleteRole("olga", inT, "auditor", false),
			changes: done + change("-", auditor, given("s", "auditor", inT, ""), given("s", "auditor", importer, "")),
		},
		{
			name:  "a role that somebody holds",
			given: auditor + given("s", "auditor", inT, "user:milton") + given("s", "auditor", importer, "group:crew#member"),
			do:    deleteRole("olga", inT, "auditor", false), code: authz.CodeConflict,
			says: `the role "auditor" is held 2 times, for example by`,
		},
		{
			name: "an error names no hidden holder", denied: "list_members@account:t", given: auditor + given("s", "auditor", inT, "user:milton"),
			do: deleteRole("olga", inT, "auditor", false), code: authz.CodeConflict,
			says: `the role "auditor" is held 1 time; remove it from its holders first, or delete it with cascade`,
		},
		{
			name: "cascade deletes the bindings",
			given: auditor + given("s", "auditor", inT, "user:milton") + given("s", "auditor", importer, "service_account:nightly") +
				given("s", "auditor", authz.Object{Type: "connection", ID: "dwh"}, "group:crew#member"),
			do: deleteRole("olga", inT, "auditor", true),
			changes: done + change("-", auditor, given("s", "auditor", inT, "user:milton"),
				given("s", "auditor", importer, "service_account:nightly"),
				given("s", "auditor", authz.Object{Type: "connection", ID: "dwh"}, "group:crew#member")),
		},
		{
			name: "deleting needs manage_roles", given: auditor, denied: "manage_roles@account:t",
			do: deleteRole("peter", inT, "auditor", true), code: authz.CodeForbidden, says: "lacks the permission manage_roles",
		},
		{
			name: "a role that does not exist", do: deleteRole("olga", inT, "auditor", true), code: authz.CodeNotFound,
			says: `there is no role "auditor" on account:t`,
		},
		{
			name: "a role of another account", given: definedRole(authz.Object{Type: "account", ID: "o"}, "s", "auditor", 1),
			do: deleteRole("olga", inT, "auditor", true), code: authz.CodeNotFound, says: `there is no role "auditor" on account:t`,
		},
		{
			name: "a role of the subscription", given: definedRole(inS, "s", "auditor", 1), do: deleteRole("olga", inT, "auditor", true),
			code: authz.CodeInvalid, says: "change it through the subscription",
		},
		{
			name: "a built-in role", do: deleteRole("olga", inT, "user", true), code: authz.CodeInvalid, says: "user is a built-in role",
		},
		{name: "a deleted role is deleted", given: "deletion:custom_role/s/auditor#done@user:olga[expiration:2030-01-02T12:00:00Z]", do: deleteRole("olga", inT, "auditor", false)},
	})
}

// roleJobs are the cases of TestInterruptedJobs about custom roles with very many holders.
var roleJobs = []jobCase{
	{
		name: "delete a custom role of very many holders", given: heldByMany(inT, inT),
		do: deleteRole("olga", inT, "auditor", true), left: []string{"custom_role:s/auditor", "role_binding", "requested_by"},
	},
	{
		name: "delete an account with a role of very many holders", given: heldByMany(inT, inT),
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), inT)
			return err
		},
		left: []string{"account:t#", "@account:t", "s/auditor#", "role_binding", "requested_by"},
	},
	{
		name: "delete an importer with a role of very many holders", given: heldByMany(inS, authz.Object{Type: "importer", ID: "leads"}),
		do: func(ctx context.Context, s *operation.Service) error {
			_, err := s.Delete(ctx, by("olga"), authz.Object{Type: "importer", ID: "leads"})
			return err
		},
		left: []string{"importer:leads#", "role_binding", "requested_by"},
	},
}

// heldByMany returns the relationships of a custom role and of its binding on a place, which very many people and
// groups hold.
func heldByMany(scope, place authz.Object) string {
	binding := authz.RoleBindingObject(authz.CustomRoleObject("s", "auditor"), place).String()
	return definedRole(scope, "s", "auditor", 1, "importer.view") + given("s", "auditor", place, "service_account:nightly") +
		lotsOf(binding+"#holder@user:u%d") + lotsOf(binding+"#holder@group:g%d#member")
}

// TestDeletingAPlaceDeletesItsRoles checks that no relationship mentions a role or binding of a deleted account, or a
// binding of a deleted importer.
func TestDeletingAPlaceDeletesItsRoles(t *testing.T) {
	importer := authz.Object{Type: "importer", ID: "leads"}
	stored := definedRole(inT, "s", "auditor", 1, "account.view_usage") + definedRole(inS, "s", "top", 1) +
		given("s", "auditor", inT, "user:milton") + given("s", "top", inT, "user:milton") + given("s", "top", inS, "user:ed") +
		given("s", "auditor", importer, "group:crew#member")
	store := txtest.New(txtest.Relationships(t, append(strings.Fields(stored), company...)...)...)
	store.Allow = func(authz.Check) bool { return true }
	service := operation.New(store)
	_, err := service.Delete(t.Context(), by("olga"), importer)
	require.NoError(t, err)
	requireNone(t, store, "importer:leads", string(authz.RoleBindingObject(authz.CustomRoleObject("s", "auditor"), importer).ID))
	_, err = service.Delete(t.Context(), by("olga"), inT)
	require.NoError(t, err)
	requireNone(t, store, "account:t", "s/auditor", string(authz.RoleBindingObject(authz.CustomRoleObject("s", "top"), inT).ID))
	_, err = service.Delete(t.Context(), by("olga"), inS)
	require.NoError(t, err)
	requireNone(t, store, "subscription:s", "custom_role:", "role_binding:")
}

// requireNone checks that no stored relationship, apart from records of deletions, contains one of the texts.
func requireNone(t *testing.T, store *txtest.Store, texts ...string) {
	t.Helper()
	for _, r := range store.Stored() {
		for _, text := range texts {
			if !strings.HasPrefix(r, "deletion:") {
				require.NotContains(t, r, text)
			}
		}
	}
}
