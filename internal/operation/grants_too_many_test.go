package operation_test

import (
	"context"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
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
// operation must reject the call before it has read the facts about every entry.
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
			"a call can give roles to at most 9", 50,
		},
		{
			"accounts", func(ctx context.Context, s *operation.Service) error {
				_, _, err := s.PutMemberAccounts(ctx, by("olga"), "s", "nina", accounts, forever)
				return err
			},
			"a call can give a person roles on at most 19", 5000,
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

// TestNumberInErrorFits gives roles to too many people, or on too many accounts. The error names the highest number
// that fits: a call with this number succeeds, and a call with one more fails.
func TestNumberInErrorFits(t *testing.T) {
	const all = 1000
	company := []string{
		"subscription:m#multi_owner@user:*", "subscription:m#owner@user:olga", "subscription:m#user_permissions@user:*",
		"subscription:m#member@user:olga",
		"account:team#subscription@subscription:m", "account:team#team@user:*", "account:team#owner@user:olga",
		"account:reports#subscription@subscription:m", "account:reports#analytics@user:*",
	}
	names := make([]authz.ID, all)
	var manyAccounts []string
	for i := range names {
		names[i] = authz.ID(fmt.Sprintf("x%d", i))
		manyAccounts = append(
			manyAccounts, fmt.Sprintf("account:x%d#subscription@subscription:m", i), fmt.Sprintf("account:x%d#team@user:*", i),
			fmt.Sprintf("account:x%d#owner@user:olga", i),
		)
	}
	held := func(role string) (stored []string) {
		for _, name := range names {
			stored = append(stored, fmt.Sprintf("account:team#%s@user:%s", role, name))
		}
		return stored
	}
	type give func(context.Context, *operation.Service, operation.Caller, map[authz.ID][]string) error
	patch := func(account authz.ID) give {
		return func(ctx context.Context, s *operation.Service, by operation.Caller, entries map[authz.ID][]string) error {
			_, _, err := s.PatchAccountMembers(ctx, by, account, entries, forever)
			return err
		}
	}
	accounts := func(ctx context.Context, s *operation.Service, by operation.Caller, entries map[authz.ID][]string) error {
		_, _, err := s.PutMemberAccounts(ctx, by, "m", "nina", entries, forever)
		return err
	}
	for _, c := range []struct {
		name   string
		do     give
		stored []string
		role   func(i int) string
		isMost bool // one more entry does not fit
	}{
		{"new people", patch("team"), nil, func(int) string { return "user" }, true},
		{"people with another role", patch("team"), held("guest"), func(int) string { return "user" }, true},
		{"some people with a role", patch("team"), held("guest")[:300], func(int) string { return "user" }, false},
		{"new members", patch("reports"), nil, func(int) string { return "editor" }, true},
		{"roles with a feature", patch("reports"), nil, func(i int) string {
			return []string{"editor", "viewer"}[i%2]
		}, true},
		{"accounts", accounts, manyAccounts, func(int) string { return "user" }, false},
	} {
		for _, key := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, idempotency key %t", c.name, key), func(t *testing.T) {
				stored := txtest.Relationships(t, append(slices.Clone(company), c.stored...)...)
				send := func(n int) (reads int64, err error) {
					store := &counting{Store: txtest.New(stored...)}
					store.Now = nowOfRules
					store.Allow = func(authz.Check) bool { return true }
					caller := by("olga")
					if key {
						caller.Idempotency = &operation.Idempotency{Key: "k", Request: "r"}
					}
					entries := make(map[authz.ID][]string, n)
					for i, name := range names[:n] {
						entries[name] = []string{c.role(i)}
					}
					err = c.do(t.Context(), operation.New(store, operation.WithClock(store.Now)), caller, entries)
					return store.reads.Load(), err
				}
				reads, err := send(all)
				require.ErrorIs(t, err, authz.CodeTooLarge)
				match := regexp.MustCompile(`at most (\d+) `).FindStringSubmatch(err.Error())
				require.NotNil(t, match, err)
				require.Less(t, reads, int64(5*all))
				most, err := strconv.Atoi(match[1])
				require.NoError(t, err)
				_, err = send(most)
				require.NoError(t, err)
				if c.isMost {
					_, err = send(most + 1)
					require.ErrorIs(t, err, authz.CodeTooLarge)
				}
			})
		}
	}
}
