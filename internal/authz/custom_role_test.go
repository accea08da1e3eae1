package authz_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func FuzzCustomRoleObject(f *testing.F) {
	f.Add("s1", "auditor")
	f.Add("a/b", "c/d")
	f.Add("a|", "-b")
	f.Add("a|-/", "|")
	f.Fuzz(func(t *testing.T, subscription, role string) {
		object := authz.CustomRoleObject(authz.ID(subscription), authz.ID(role))
		s, r, ok := authz.SplitCustomRole(object)
		if !ok {
			require.True(t, subscription == "" || role == "", object.ID)
			return
		}
		require.Equal(t, subscription, string(s))
		require.Equal(t, role, string(r))
		place := authz.Object{Type: "account", ID: authz.ID(subscription)}
		found, ok := authz.RoleOfBinding(authz.RoleBindingObject(object, place))
		require.True(t, ok)
		require.Equal(t, object, found)
	})
}

func TestSplitCustomRoleRejectsOtherIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []authz.ID{"", "s1", "/auditor", "s1/", "s|x/auditor", "s|/auditor"} {
		_, _, ok := authz.SplitCustomRole(authz.Object{Type: authz.TypeCustomRole, ID: id})
		require.False(t, ok, id)
	}
	_, _, ok := authz.SplitCustomRole(authz.Object{Type: "account", ID: "s1/auditor"})
	require.False(t, ok)
	for _, id := range []authz.ID{"", "s1/auditor", "c2hvcnQ/s1/auditor", "?/s1/auditor"} {
		_, ok := authz.RoleOfBinding(authz.Object{Type: authz.TypeRoleBinding, ID: id})
		require.False(t, ok, id)
	}
}

// TestLongestCustomRoleIsStorable uses a subscription and a role whose ids have the maximum length. It checks that
// SpiceDB can store the ids of the custom role, of its bindings, and of the record of its deletion.
func TestLongestCustomRoleIsStorable(t *testing.T) {
	t.Parallel()
	subscription := authz.ID(strings.Repeat("ß", authz.MaxIDBytes/2))
	role := authz.CustomRoleObject(subscription, authz.ID(strings.Repeat("ß", authz.MaxRoleIDBytes/2)))
	binding := authz.RoleBindingObject(role, authz.Object{Type: "account", ID: subscription})
	deletion := authz.ID(role.Type) + "/" + role.ID
	for _, object := range []authz.Object{role, binding, {Type: "deletion", ID: deletion}} {
		stored := authz.EncodeID(object.ID)
		require.LessOrEqual(t, len(stored), authz.MaxStoredBytes, object.Type)
		require.Equal(t, object.ID, authz.DecodeID(object.Type, stored), object.Type)
	}
}

func TestParseRoleID(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", authz.MaxRoleIDBytes)
	for _, id := range []string{"auditor", "billing_viewer", "Prüfung 2", "a/b", longest} {
		got, err := authz.ParseRoleID(id)
		require.NoError(t, err, id)
		require.Equal(t, id, string(got))
	}
	for id, want := range map[string]string{
		"":                      "an id must not be empty",
		"owner":                 `"owner" is the name of a built-in role`,
		"report_user":           `"report_user" is the name of a built-in role`,
		"stored:x=zz":           `must not begin with "stored:"`,
		"user:bob":              "must not begin with the name of a type",
		strings.Repeat("x", 65): "at most 64 bytes long, this one has 65",
	} {
		_, err := authz.ParseRoleID(id)
		require.ErrorIs(t, err, authz.CodeInvalid, id)
		require.ErrorContains(t, err, want)
	}
}
