package authz_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func TestRoleSetParse(t *testing.T) {
	for _, c := range []struct {
		set   authz.RoleSetName
		names string
		want  string // "" if an error is expected
	}{
		{authz.SingleOwner, "owner", "owner"},
		{authz.SingleOwner, "read_only,owner,it_admin", "owner,it_admin,read_only"},
		{authz.SingleOwner, "member", ""},
		{authz.MultiOwner, "owner", "owner"},
		{authz.MultiOwner, "member", "member"},
		{authz.MultiOwner, "owner,member", ""},
		{authz.Team, "guest", "guest"},
		{authz.Team, "user,user", "user"},
		{authz.Team, "user,guest", ""},
		{authz.Team, "editor", ""},
		{authz.Operations, "operator", "operator"},
		{authz.Operations, "flow_author,operator,connector_author", "operator,flow_author,connector_author"},
		{authz.Operations, "administrator,read_only", ""},
		{authz.Analytics, "report_user", "report_user"},
		{authz.Analytics, "editor,viewer", ""},
		{authz.PlatformSet, "administrator", "administrator"},
		{authz.PlatformSet, "owner", ""},
		{authz.Team, "Owner", ""},
		{authz.Team, " owner", ""},
	} {
		set := roleSet(t, c.set)
		roles, err := set.Parse(strings.Split(c.names, ","))
		if c.want == "" {
			require.ErrorIs(t, err, authz.CodeInvalid, "%s: %s", c.set, c.names)
			for _, role := range set.Names() {
				if !strings.Contains(c.names, ",") {
					require.ErrorContains(t, err, string(role), "the error does not list the roles of the set")
				}
			}
			continue
		}
		require.NoError(t, err, "%s: %s", c.set, c.names)
		var got []string
		for _, role := range roles {
			got = append(got, string(role))
		}
		require.Equal(t, c.want, strings.Join(got, ","))
	}
	none, err := roleSet(t, authz.Team).Parse(nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func roleSet(t *testing.T, name authz.RoleSetName) authz.RoleSet {
	t.Helper()
	for _, set := range authz.RoleSets {
		if set.Name == name {
			return set
		}
	}
	t.Fatalf("no role set %s", name)
	return authz.RoleSet{}
}

func TestParseRoleSet(t *testing.T) {
	for _, set := range authz.RoleSets {
		got, err := authz.ParseRoleSet(string(set.Name), set.On)
		require.NoError(t, err)
		require.Equal(t, set, got)
		for _, on := range []authz.Type{"platform", "subscription", "account"} {
			if on == set.On {
				continue
			}
			_, err := authz.ParseRoleSet(string(set.Name), on)
			require.ErrorIs(t, err, authz.CodeInvalid)
		}
	}
	_, err := authz.ParseRoleSet("tem", "account")
	require.ErrorContains(t, err, "team, operations, analytics")
}

// TestRoleSets checks rules that other code expects of the declared role sets.
func TestRoleSets(t *testing.T) {
	for _, set := range authz.RoleSets {
		require.NotEmpty(t, set.Roles, set.Name)
		require.False(t, set.Roles[0].Additional, set.Name)
		seen := map[authz.Role]bool{}
		for _, role := range set.Roles {
			require.False(t, seen[role.Name], "%s: %s", set.Name, role.Name)
			seen[role.Name] = true
			require.NotEmpty(t, role.Title)
		}
		if set.Default != "" {
			require.True(t, seen[set.Default], set.Name)
		}
		if set.Required != "" {
			require.True(t, seen[set.Required], set.Name)
		}
		require.False(t, set.Transferred && set.Required == "", set.Name)
		_, ok := set.Role("nobody")
		require.False(t, ok)
	}
}

func TestParseFeature(t *testing.T) {
	for _, feature := range authz.Features {
		got, err := authz.ParseFeature(string(feature))
		require.NoError(t, err)
		require.Equal(t, feature, got)
	}
	_, err := authz.ParseFeature("dashboard")
	require.ErrorIs(t, err, authz.CodeInvalid)
	require.ErrorContains(t, err, "dashboards")
}
