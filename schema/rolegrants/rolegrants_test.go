package rolegrants_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema/rolegrants"
)

func TestGeneratedFileIsCurrent(t *testing.T) {
	t.Parallel()
	want, err := rolegrants.Generate()
	require.NoError(t, err)
	stored, err := os.ReadFile(filepath.Join("..", rolegrants.File))
	require.NoError(t, err)
	require.Equal(t, want, string(stored), "run go generate ./schema and review the difference")
}

// TestGrantsOfBuiltInRoles compares some cells with the role tables in docs/roles.md.
func TestGrantsOfBuiltInRoles(t *testing.T) {
	t.Parallel()
	for _, cell := range []struct {
		set   authz.RoleSetName
		role  authz.Role
		grant authz.Grant
		want  bool
	}{
		{authz.Team, "user", authz.Grant{Type: "importer", Permission: "run"}, true},
		{authz.Team, "user", authz.Grant{Type: "importer", Permission: "copy"}, false},
		{authz.Team, "owner", authz.Grant{Type: "importer", Permission: "copy"}, true},
		{authz.Team, "owner", authz.Grant{Type: "connection", Permission: "use"}, true},
		{authz.Team, "owner", authz.Grant{Type: "connection", Permission: "share"}, false},
		{authz.Team, "guest", authz.Grant{Type: "importer", Permission: "view"}, false},
		{authz.Operations, "administrator", authz.Grant{Type: "flow", Permission: "run"}, true},
		{authz.Operations, "administrator", authz.Grant{Type: "flow", Permission: "edit"}, false},
		{authz.Operations, "flow_author", authz.Grant{Type: "flow", Permission: "edit"}, true},
		{authz.Operations, "flow_author", authz.Grant{Type: "flow", Permission: "view"}, false},
		{authz.Analytics, "report_user", authz.Grant{Type: "account", Permission: "view"}, false},
		{authz.Analytics, "report_user", authz.Grant{Type: "report", Permission: "view"}, true},
		{authz.SingleOwner, "business_admin", authz.Grant{Type: "connection", Permission: "pay"}, false},
		{authz.SingleOwner, "owner", authz.Grant{Type: "connection", Permission: "pay"}, true},
		{authz.SingleOwner, "owner", authz.Grant{Type: "importer", Permission: "view"}, false},
		{authz.MultiOwner, "owner", authz.Grant{Type: "account", Permission: "edit"}, true},
		{authz.MultiOwner, "member", authz.Grant{Type: "account", Permission: "view"}, false},
	} {
		set, err := authz.ParseRoleSet(string(cell.set), on(cell.set))
		require.NoError(t, err)
		if cell.want {
			require.Contains(t, set.Grants(cell.role), cell.grant, "%s of %s", cell.role, cell.set)
		} else {
			require.NotContains(t, set.Grants(cell.role), cell.grant, "%s of %s", cell.role, cell.set)
		}
	}
}

func on(name authz.RoleSetName) authz.Type {
	for _, set := range authz.RoleSets {
		if set.Name == name {
			return set.On
		}
	}
	return ""
}
