package tests

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestScopesOfRolesAreHidden checks that an account shows the custom roles of its subscription, but not the id of the
// subscription to people who may not view it.
func TestScopesOfRolesAreHidden(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, text := range existing {
		line{"existing", text}.play(s, "", "")
	}
	role := func(who, path string) (shown map[string]any) {
		s.by(who).must(http.MethodGet, s.in(path), nil).decode(t, &shown)
		return shown
	}
	require.Equal(t, "subscription:"+s.id("s"), role("olga", "accounts/~a/roles/~clerk")["scope"])
	require.NotContains(t, role("ulla", "accounts/~a/roles/~clerk"), "scope")
	require.Equal(t, "account:"+s.id("a"), role("ulla", "accounts/~a/roles/~auditor")["scope"])
	require.Equal(t, "account:"+s.id("a"), role("ulla", "accounts/~a/roles/user")["scope"])
	var list struct{ Roles []map[string]any }
	s.by("ulla").must(http.MethodGet, s.in("accounts/~a/roles"), nil).decode(t, &list)
	require.Len(t, list.Roles, 5)
	for _, shown := range list.Roles {
		require.Equal(t, shown["id"] != s.id("clerk"), shown["scope"] != nil, shown)
	}
	require.Equal(t, true, role("ulla", "accounts/~a/roles/owner")["required"])
}
