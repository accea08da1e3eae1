package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGroupCommands manages a group of the demo company from its creation to its deletion.
func TestGroupCommands(t *testing.T) {
	s := start(t, "--demo", "--datastore", "memory")
	t.Setenv("SLUICE_URL", s.url)
	t.Setenv("SLUICE_KEY", s.key)
	run := func(args ...string) string {
		t.Helper()
		stdout, stderr, code := sluice(t, append([]string{"group"}, append(args, "--actor", "ada")...)...)
		require.Zero(t, code, "%s: %s", args, stderr)
		return stdout
	}
	fails := func(text string, args ...string) {
		t.Helper()
		stdout, stderr, code := sluice(t, append([]string{"group"}, args...)...)
		require.Equal(t, 2, code, "%s: %s", args, stdout)
		require.Contains(t, stderr, text)
	}
	require.Contains(t, run("create", "acme", "night-shift", "--title", "Night shift"), `"title": "Night shift"`)
	run("rename", "night-shift", "The night shift")
	require.Contains(t, run("get", "night-shift"), `"title": "The night shift"`)
	require.Contains(t, run("list", "acme"), "night-shift\tThe night shift\n")
	run("add", "night-shift", "nora", "ned")
	run("remove", "night-shift", "ned")
	require.Equal(t, "nora\n", run("members", "night-shift"))
	granted := run("grant", "marketing", "night-shift", "guest", "--expires-at", "2099-01-31T17:00:00Z")
	require.Contains(t, granted, `"expires_at": "2099-01-31T17:00:00Z"`)
	checked, _, code := sluice(t, "check", "user:nora", "view", "account:marketing")
	require.Zero(t, code, checked)
	run("revoke", "marketing", "night-shift")
	_, _, code = sluice(t, "check", "user:nora", "view", "account:marketing")
	require.NotZero(t, code)
	require.Contains(t, run("delete", "night-shift"), `"token": "`)
	require.NotContains(t, run("list", "acme"), "night-shift")

	require.Equal(t, "dan\ndora\n", run("members", "data-team"))

	fails("--actor, the person on whose behalf the command runs, is required", "get", "night-shift")
	fails("give GROUP PERSON..., for example: sluice group add data-team bob carol", "add", "night-shift", "--actor", "ada")
	fails("there is no group:night-shift", "get", "night-shift", "--actor", "ada")
	fails("--expires-at", "grant", "marketing", "night-shift", "guest", "--expires-at", "soon", "--actor", "ada")
	help, _, _ := sluice(t, "group", "add", "--help")
	require.True(t, strings.Contains(help, "sluice group add data-team bob carol --actor olga"), help)
}
