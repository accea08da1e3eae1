package operation_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// TestRemovalOfManyNonMembersReadsThemAtOnce removes 1,000 people who hold no role. One of them has an open invitation,
// which the removal withdraws.
func TestRemovalOfManyNonMembersReadsThemAtOnce(t *testing.T) {
	store := &counting{Store: txtest.New(txtest.Relationships(t, company...)...)}
	store.Now = nowOfRules
	store.Allow = func(authz.Check) bool { return true }
	service := operation.New(store, operation.WithClock(store.Now))
	_, _, err := service.Invite(t.Context(), by("olga"), operation.NewInvitation{
		To: authz.Object{Type: "account", ID: "t"}, Roles: []string{"user"}, Invitee: "x7",
	})
	require.NoError(t, err)
	removed := make(map[authz.ID][]string)
	for i := range 1000 {
		removed[authz.ID(fmt.Sprintf("x%d", i))] = nil
	}
	store.reads.Store(0)
	require.NoError(t, patchMembers("olga", "t", forever, removed)(t.Context(), service))
	require.Less(t, store.reads.Load(), int64(65))
	for _, stored := range store.Stored() {
		require.NotContains(t, stored, "user:x7")
	}
}
