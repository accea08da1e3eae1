package operation_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// counting is a store that counts the reads.
type counting struct {
	*txtest.Store
	reads atomic.Int64
}

func (s *counting) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	s.reads.Add(1)
	return s.Store.Read(ctx, filter, at, page)
}

// TestTooManyGrantsAreRejectedEarly gives roles to more people, and on more accounts, than one write can hold. The
// operation finds that before it has read the facts of every entry.
func TestTooManyGrantsAreRejectedEarly(t *testing.T) {
	store := &counting{Store: txtest.New(txtest.Relationships(t, company...)...)}
	store.Now = nowOfRules
	store.Allow = func(authz.Check) bool { return true }
	var stored []string
	people, accounts := make(map[authz.ID][]string), make(map[authz.ID][]string)
	for i := range 1000 {
		people[authz.ID(fmt.Sprintf("new-%d", i))] = []string{"user"}
		account := fmt.Sprintf("t%d", i)
		accounts[authz.ID(account)] = []string{"user"}
		stored = append(stored, "account:"+account+"#subscription@subscription:s", "account:"+account+"#team@user:*",
			"account:"+account+"#owner@user:olga")
	}
	store.Put(txtest.Relationships(t, stored...)...)
	for _, c := range []struct {
		name  string
		do    func(context.Context, *operation.Service) error
		says  string
		reads int64
	}{
		{
			"people", patchMembers("olga", "t", forever, people),
			"a call can give roles to at most 99", 50,
		},
		{
			"accounts", func(ctx context.Context, s *operation.Service) error {
				_, _, err := s.PutMemberAccounts(ctx, by("olga"), "s", "nina", accounts, forever)
				return err
			},
			"a call can give a person roles on at most 2", 5000,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := store.Stored()
			store.reads.Store(0)
			err := c.do(t.Context(), operation.New(store, operation.WithClock(store.Now)))
			require.ErrorIs(t, err, authz.CodeTooLarge)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, before, store.Stored())
			require.Less(t, store.reads.Load(), c.reads)
		})
	}
}
