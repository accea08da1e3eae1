package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// readObjects reads objects of the demo company from its server.
func readObjects(t *testing.T) {
	t.Helper()
	read := func(args ...string) map[string]any {
		stdout, stderr, code := sluice(t, append([]string{"get"}, args...)...)
		require.Zero(t, code, stderr)
		var answer map[string]any
		require.NoError(t, json.Unmarshal([]byte(stdout), &answer))
		return answer
	}
	importer := read("importer:crm-to-warehouse", "--actor", "uma")
	require.Equal(t, "crm-to-warehouse", importer["id"])
	require.Equal(t, "marketing", importer["account"])
	require.Equal(t, "marketing", read("account:marketing", "--actor", "user:uma")["id"])
	require.Equal(t, []any{"guest"}, read("account:marketing", "--member", "gus", "--actor", "bob")["roles"])

	_, stderr, code := sluice(t, "get", "importer:crm-to-warehouse", "--actor", "gus")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "not_found: there is no importer:crm-to-warehouse, or the actor may not see it")
	_, stderr, code = sluice(t, "get", "importer:a/b", "--actor", "gus")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "there is no importer:a/b,")
}
