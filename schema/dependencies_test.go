package schema

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestDependencies checks the dependencies of permissions with names, arrows, subject sets, exclusions and recursion.
func TestDependencies(t *testing.T) {
	summary, err := Summarize(`caveat by_day(hour int) { hour < 20 }
definition user {}
definition group {
	relation member: user | group#member
	relation note: user
}
definition box {
	relation owner: user | user:*
	relation banned: user with by_day
	relation inside: box | shelf
	relation reader: group#member
	permission view = owner - banned
	permission read = reader
	permission all = inside.all(view) & read
	permission none = nil
}
definition shelf {
	relation keeper: user
	relation room: room
	permission view = keeper + room->open
}
definition room {
	permission open = nil
}`)
	require.NoError(t, err)
	require.Equal(t, []string{"hour"}, summary.CaveatParameters)
	found := summary.Dependencies
	for name, want := range map[Name][]string{
		{"group", "member"}: {"group#member"},
		{"box", "owner"}:    {"box#owner"},
		{"box", "view"}:     {"box#banned", "box#owner"},
		{"box", "read"}:     {"box#reader", "group#member"},
		{"box", "all"}: {
			"box#banned", "box#inside", "box#owner", "box#reader", "group#member", "shelf#keeper", "shelf#room",
		},
		{"box", "none"}:  nil,
		{"room", "open"}: nil,
	} {
		var got []string
		for relation := range found[name] {
			require.True(t, found.Has(name.Type, name.Name, relation.Type, authz.Relation(relation.Name)))
			got = append(got, fmt.Sprintf("%s#%s", relation.Type, relation.Name))
		}
		slices.Sort(got)
		require.Equal(t, want, got, "%s#%s", name.Type, name.Name)
	}
	require.False(t, found.Has("box", "view", "group", "member"))
	_, err = Summarize("definition user {")
	require.ErrorIs(t, err, authz.CodeInvalid)
}
