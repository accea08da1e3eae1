package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRoleCommands manages a custom role of the demo company from its creation to its deletion.
func TestRoleCommands(t *testing.T) {
	s := start(t, "--demo", "--datastore", "memory")
	t.Setenv("SLUICE_URL", s.url)
	t.Setenv("SLUICE_KEY", s.key)
	run := func(args ...string) string {
		t.Helper()
		stdout, stderr, code := sluice(t, append([]string{"role"}, append(args, "--actor", "ada")...)...)
		require.Zero(t, code, "%s: %s", args, stderr)
		return stdout
	}
	fails := func(text string, args ...string) {
		t.Helper()
		stdout, stderr, code := sluice(t, append([]string{"role"}, args...)...)
		require.Equal(t, 2, code, "%s: %s", args, stdout)
		require.Contains(t, stderr, text)
	}
	created := run("create", "account:marketing", "auditor", "--title", "Auditor", "--description", "Reads",
		"--from", "guest", "--grants", "importer.view,account.list_members")
	require.Contains(t, created, `"scope": "account:marketing"`)
	require.Contains(t, created, `"importer.view"`)
	require.Contains(t, created, `"account.contact_support"`)
	edited := run("edit", "account:marketing", "auditor", "--add", "importer.run", "--remove", "account.contact_support")
	require.Contains(t, edited, `"importer.run"`)
	require.NotContains(t, edited, `"account.contact_support"`)
	require.Contains(t, edited, `"description": "Reads"`)
	edited = run("edit", "account:marketing", "auditor", "--grants", "importer.view", "--description", "", "--title", "Reader")
	require.NotContains(t, edited, `"importer.run"`)
	require.NotContains(t, edited, `"description"`)
	require.Equal(t, edited, run("get", "account:marketing", "auditor"))
	list := "owner\tbuilt-in\tOwner\nuser\tbuilt-in\tUser\nguest\tbuilt-in\tGuest\n" +
		"auditor\tcustom\tReader\nbilling_viewer\tcustom\tBilling viewer\n"
	require.Equal(t, list, run("list", "account:marketing"))
	require.Empty(t, run("holders", "account:marketing", "auditor"))
	require.Equal(t, "user:uma\taccount:marketing\t\n", run("holders", "account:marketing", "user"))
	require.Contains(t, run("delete", "account:marketing", "auditor"), `"token": "`)
	require.NotContains(t, run("list", "account:marketing"), "auditor")
	require.Equal(t, "owner\tbuilt-in\tOwner\nmember\tbuilt-in\tMember\nbilling_viewer\tcustom\tBilling viewer\n",
		run("list", "subscription:acme"))
	require.Contains(t, run("edit", "subscription:acme", "billing_viewer", "--title", "Bills"), `"title": "Bills"`)
	require.Contains(t, run("delete", "subscription:acme", "billing_viewer", "--cascade"), `"token": "`)

	permissions, _, code := sluice(t, "role", "permissions")
	require.Zero(t, code)
	require.Contains(t, permissions, "importer.run\tMay run the importer.\n")
	require.NotContains(t, permissions, "assign_roles")

	fails("--actor, the person on whose behalf the command runs, is required", "get", "account:marketing", "auditor")
	fails("PLACE must be account:ID or subscription:ID, not \"marketing\"", "list", "marketing", "--actor", "ada")
	fails("give PLACE ROLE, for example: sluice role get account:marketing auditor", "get", "account:marketing", "--actor", "ada")
	fails("give at least one of --title", "edit", "account:marketing", "auditor", "--actor", "ada")
	fails(`there is no role "auditor" on account:marketing`, "get", "account:marketing", "auditor", "--actor", "ada")
	fails("the nearest are importer.run", "create", "account:marketing", "x", "--grants", "importer.runn", "--actor", "ada")
	help, _, _ := sluice(t, "role", "--help")
	require.Contains(t, help, "sluice role edit account:marketing auditor --add importer.run --actor olga")
}
