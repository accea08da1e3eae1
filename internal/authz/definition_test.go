package authz_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

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
