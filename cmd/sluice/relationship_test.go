package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRelationshipCommands writes relationships of a type that is not the product's.
func TestRelationshipCommands(t *testing.T) {
	schema, err := filepath.Abs("../../tests/testdata/own.zed")
	require.NoError(t, err)
	s := start(t, "--schema", schema, "--datastore", "memory")
	t.Setenv("SLUICE_URL", s.url)
	t.Setenv("SLUICE_KEY", s.key)
	run := func(args ...string) string {
		stdout, stderr, code := sluice(t, append([]string{"relationship"}, args...)...)
		require.Zero(t, code, "%s: %s", args, stderr)
		return stdout
	}
	fails := func(text string, args ...string) {
		t.Helper()
		stdout, stderr, code := sluice(t, append([]string{"relationship"}, args...)...)
		require.Equal(t, 2, code, "%s: %s", args, stdout)
		require.Contains(t, stderr, text)
	}
	created := run("create", "folder:f#viewer@user:bob", "folder:f#viewer@user:*", "--actor", "ann")
	require.Contains(t, created, `"token": "`)
	run("touch", "folder:f#viewer@user:late", "--caveat", "in_hours", "--context", `{"hour": 3}`)
	run(
		"touch", "folder:f#viewer@user:temp", "--expires-at", "2099-01-01T00:00:00Z",
		"--must-match", "folder:f#viewer@user:*",
	)
	require.ElementsMatch(t, []string{
		"folder:f#viewer@user:*", "folder:f#viewer@user:bob", `folder:f#viewer@user:late[in_hours:{"hour":3}]`,
		"folder:f#viewer@user:temp[expiration:2099-01-01T00:00:00Z]",
	}, strings.Fields(run("list", "folder:f")))
	require.Empty(t, run("list", "folder:f", "--relation", "parent"))

	fails("exists already", "create", "folder:f#viewer@user:bob")
	fails("preconditions[0].must_not_match", "touch", "folder:f#viewer@user:x", "--must-not-match", "folder:f#viewer")
	fails("account is a type of the product", "touch", "account:a#owner@user:bob")
	fails("is not a relationship", "create", "folder:f")
	fails("give relationships", "delete")
	fails("--all stands alone", "delete", "--all", "folder:f", "folder:f#viewer@user:bob")
	fails(`the field "--context" has the key "hour" twice`, "touch", "folder:f#viewer@user:x", "--caveat", "in_hours", "--context", `{"hour": 3, "hour": 4}`)
	fails("requires --caveat", "touch", "folder:f#viewer@user:x", "--context", "{}")
	fails("--expires-at", "touch", "folder:f#viewer@user:x", "--expires-at", "soon")

	run("delete", "folder:f#viewer@user:bob", "folder:f#viewer@user:temp")
	require.Len(t, strings.Fields(run("list", "folder:f")), 2)
	run("delete", "--all", "folder:f", "--actor", "ann")
	require.Empty(t, run("list", "folder:f"))
}
