package authz_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func TestNearest(t *testing.T) {
	names := []string{"view", "view_data", "view_settings", "edit", "delete", "invite_members", "create_importer"}
	for name, want := range map[string]string{
		"view":           "view",
		"vew":            "view",
		"views":          "view",
		"viewdata":       "view_data",
		"delet":          "delete",
		"invite_member":  "invite_members",
		"create":         "create_importer",
		"creat_importer": "create_importer",
	} {
		near := authz.Nearest(name, names)
		require.NotEmpty(t, near, name)
		require.LessOrEqual(t, len(near), 3)
		require.Equal(t, want, near[0], name)
	}
	require.Empty(t, authz.Nearest("zzzzzzzz", names))
	require.Empty(t, authz.Nearest("view", nil))
	require.Equal(t, []string{"aaa", "aab", "aac"}, authz.Nearest("aaa", []string{"aad", "aac", "aab", "aaa", "aae"}))
	require.Equal(t, "; the nearest are aaa, aab", authz.Suggest("AAA", []string{"aab", "aaa"}))
	require.Equal(t, "; the nearest is aaa", authz.Suggest("aab", []string{"aaa"}))
	require.Empty(t, authz.Suggest("zzz", []string{"aaa"}))
	require.NotPanics(t, func() { authz.Nearest("", names) })
	require.NotPanics(t, func() { authz.Nearest("ünïcödé", names) })
}

func TestPublic(t *testing.T) {
	definition := authz.Definition{Permissions: []authz.PermissionInfo{
		{Name: "view"}, {Name: "as_owner", Internal: true}, {Name: "edit"},
	}}
	require.Equal(t, []authz.Permission{"view", "edit"}, definition.Public())
}

func TestError(t *testing.T) {
	cause := errors.New("disk on fire")
	err := fmt.Errorf(
		"while checking: %w",
		&authz.Error{Code: authz.CodeConflict, Message: "taken", Cause: errors.Join(authz.ErrPrecondition, cause)},
	)
	require.ErrorIs(t, err, authz.CodeConflict)
	require.NotErrorIs(t, err, authz.CodeInvalid)
	require.ErrorIs(t, err, authz.ErrPrecondition)
	require.ErrorIs(t, err, cause)
	require.Equal(t, authz.CodeConflict, authz.CodeOf(err))
	require.Equal(t, authz.CodeInternal, authz.CodeOf(cause))
	require.ErrorContains(t, err, "disk on fire")
	require.Equal(t, "invalid: no x", authz.Errorf(authz.CodeInvalid, "no %s", "x").Error())

	var e *authz.Error
	require.ErrorAs(t, err, &e)
	require.False(t, strings.Contains(e.Message, "disk"))
}
