package similar_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/similar"
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
		near := similar.Names(name, names)
		require.NotEmpty(t, near, name)
		require.LessOrEqual(t, len(near), 3)
		require.Equal(t, want, near[0], name)
	}
	require.Empty(t, similar.Names("zzzzzzzz", names))
	require.Empty(t, similar.Names("view", nil))
	require.Equal(t, []string{"aaa", "aab", "aac"}, similar.Names("aaa", []string{"aad", "aac", "aab", "aaa", "aae"}))
	require.Equal(t, "; the nearest are aaa, aab", similar.Hint("AAA", []string{"aab", "aaa"}))
	require.Equal(t, "; the nearest is aaa", similar.Hint("aab", []string{"aaa"}))
	require.Empty(t, similar.Hint("zzz", []string{"aaa"}))
	require.NotPanics(t, func() { similar.Names("", names) })
	require.NotPanics(t, func() { similar.Names("ünïcödé", names) })
	long := strings.Repeat("A", 1<<20)
	require.Zero(t, testing.AllocsPerRun(1, func() { similar.Hint(long, []string{"aaa"}) }))
}
