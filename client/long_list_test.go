package client_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
)

// TestLongList reads a list that has more than one page.
func TestLongList(t *testing.T) {
	ctx := t.Context()
	_, a, olga := company(t, "multi_owner", "team")
	const people = 1500
	for from := 0; from < people; from += 300 {
		roles := make(client.RolesByID)
		for i := range 300 {
			roles[strings.Repeat("p", 1+(from+i)%100)+string(rune('A'+(from+i)/100))] = []string{"user"}
		}
		ok[[]client.Member](t)(olga.PatchAccountMembers(ctx, a, roles))
	}
	require.Len(t, all(t, olga.AccountMembers(ctx, a)), people+1)
	for _, err := range olga.AccountMembers(ctx, a) {
		require.NoError(t, err)
		break // a caller may stop early
	}
}
