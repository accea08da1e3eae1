package main

import (
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// TestGeneratedTextIsCurrent checks that generating again changes neither the contract nor the table of limits.
func TestGeneratedTextIsCurrent(t *testing.T) {
	contract, limits := read(t, "../../../api/openapi.yaml"), read(t, "../../../docs/security.md")
	edited, err := editContract(contract)
	require.NoError(t, err)
	require.Equal(t, contract, edited)
	edited, err = editLimits(limits)
	require.NoError(t, err)
	require.Equal(t, limits, edited)
}

// TestEntryAddsType adds an entry for the type dashboard to authz.SimpleTypes. The entry must be enough to generate the
// calls, the handlers, the methods of the client and the documentation of the type.
func TestEntryAddsType(t *testing.T) {
	declared := authz.SimpleTypes
	t.Cleanup(func() { authz.SimpleTypes = declared })
	authz.SimpleTypes = append(declared[:len(declared):len(declared)], authz.SimpleType{
		Name: "dashboard", Place: "account", RoleSets: []authz.RoleSetName{authz.Analytics},
		Create: "create_dashboard", Remove: "delete", Example: "sales",
	})
	edited, err := editContract(read(t, "../../../api/openapi.yaml"))
	require.NoError(t, err)
	contract, err := openapi3.NewLoader().LoadFromData([]byte(edited))
	require.NoError(t, err)
	one := contract.Paths.Value("/v1/dashboards/{id}")
	require.Equal(t, "createDashboard", contract.Paths.Value("/v1/dashboards").Post.OperationID)
	require.Equal(t, "getDashboard", one.Get.OperationID)
	require.Contains(t, one.Delete.Description, "`delete`")
	collections := func(name string) []any { return contract.Components.Parameters[name].Value.Schema.Value.Enum }
	require.Contains(t, collections("AccountCollection"), "dashboards")
	require.NotContains(t, collections("WorkspaceCollection"), "dashboards")

	limits, err := editLimits(read(t, "../../../docs/security.md"))
	require.NoError(t, err)
	for _, call := range []string{"`GET /v1/dashboards/{id}`", "`POST /v1/dashboards`", "`DELETE /v1/dashboards/{id}`"} {
		require.Contains(t, limits, call)
	}
	for name, wanted := range map[string]string{
		"handlers.tmpl": `a.getFromAccount(c, "dashboard", id)`, "client.tmpl": "func (a *Actor) GetDashboard(",
		"docs.tmpl": "| `dashboard` | account | `analytics` | `create_dashboard` |",
	} {
		require.Contains(t, fill(name, authz.SimpleTypes), wanted)
	}
}
