package tx_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

func TestStoreBehavesAsAnEngine(t *testing.T) { txtest.Suite(t, txtest.New()) }

var (
	account = authz.Object{Type: "account", ID: "a"}
	check   = []authz.Check{{Subject: user("olga"), Permission: "view", Resource: account}}
)

func user(id authz.ID) authz.Subject {
	return authz.Subject{Object: authz.Object{Type: "user", ID: id}}
}

func role(who authz.ID) authz.Relationship {
	return authz.Relationship{Resource: account, Relation: "user", Subject: user(who)}
}

var roles = authz.Filter{Type: "account", ID: "a"}

func TestReadsSeeTheSnapshotOfTheFirstCheck(t *testing.T) {
	store := txtest.New(role("olga"))
	u := tx.New(store)
	require.Empty(t, u.Snapshot())
	_, err := u.Check(t.Context(), check)
	require.NoError(t, err)
	snapshot := u.Snapshot()
	require.NotEmpty(t, snapshot)

	store.Put(role("peter"))
	found, err := u.Find(t.Context(), roles)
	require.NoError(t, err)
	require.Equal(t, []authz.Relationship{role("olga")}, found)
	_, err = u.Check(t.Context(), check)
	require.NoError(t, err)
	require.Equal(t, snapshot, u.Snapshot())
}

func TestSameFilterHasSameAnswer(t *testing.T) {
	store := txtest.New(role("olga"))
	u := tx.New(store)
	before, err := u.Find(t.Context(), roles)
	require.NoError(t, err)
	store.Put(role("peter"))
	after, err := u.Find(t.Context(), roles)
	require.NoError(t, err)
	require.Equal(t, before, after)
	all, err := u.Observer().FindAll(t.Context(), []authz.Filter{roles, authz.Exactly(role("peter"))})
	require.NoError(t, err)
	require.Equal(t, [][]authz.Relationship{{role("olga")}, {role("peter")}}, all, "observers know what was read")
}

// TestFindOfSubjects asserts that Find answers from the relationships that FindOfSubjects has read, unless there were
// too many.
func TestFindOfSubjects(t *testing.T) {
	for _, limit := range []int{2, 1} {
		store := txtest.New(role("olga"), role("peter"))
		u := tx.New(store)
		subjects := authz.Filter{Type: "account", ID: "a", SubjectType: "user"}
		require.NoError(t, u.FindOfSubjects(t.Context(), subjects, []authz.ID{"olga", "ursula"}, limit))
		store.Remove(role("olga"))
		store.Put(role("ursula"))

		olga, ursula := subjects, subjects
		olga.SubjectID, ursula.SubjectID = "olga", "ursula"
		found, err := u.FindAll(t.Context(), []authz.Filter{olga, ursula})
		require.NoError(t, err)
		if limit == 2 {
			require.Equal(t, [][]authz.Relationship{{role("olga")}, nil}, found)
		} else {
			require.Equal(t, [][]authz.Relationship{nil, {role("ursula")}}, found)
		}
	}
}

func TestMaxReadLimitsAllReadsTogether(t *testing.T) {
	store := txtest.New(role("olga"), role("peter"), role("ursula"))
	u := tx.New(store, tx.WithMaxRead(4))
	_, err := u.Find(t.Context(), roles)
	require.NoError(t, err)
	_, err = u.FindSome(t.Context(), roles, 0)
	require.ErrorIs(t, err, authz.CodeTooLarge)
}

func TestErrorOfOneCheck(t *testing.T) {
	for _, c := range []struct {
		code    authz.Code
		isOfAll bool
	}{{authz.CodeInvalid, false}, {authz.CodeTooLarge, false}, {authz.CodeUnavailable, true}, {authz.CodeInternal, true}} {
		store := &failing{Store: txtest.New(), err: authz.Errorf(c.code, "cannot be decided")}
		results, err := tx.New(store).Check(t.Context(), check)
		if c.isOfAll {
			require.ErrorIs(t, err, c.code)
			continue
		}
		require.NoError(t, err)
		require.ErrorIs(t, results[0].Err, c.code)
	}
}

// failing is a store on which every check has an error.
type failing struct {
	*txtest.Store
	err error
}

func (s *failing) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	results, token, err := s.Store.CheckBulk(ctx, checks, at)
	for i := range results {
		results[i].Err = s.err
	}
	return results, token, err
}

func TestLaterUpdateReplacesEarlierOne(t *testing.T) {
	store := txtest.New()
	u := tx.New(store)
	u.Create(account, "user", user("olga"))
	u.Delete(role("olga"))
	ends := role("olga")
	ends.ExpiresAt = time.Now().Add(time.Hour)
	u.Update(authz.Touch, ends)
	require.Len(t, u.Updates(), 1)
	planned, found := u.Planned(role("olga"))
	require.True(t, found)
	require.Equal(t, authz.Update{Action: authz.Touch, Relationship: ends}, planned)
	_, found = u.Planned(role("peter"))
	require.False(t, found)
	u.DiscardUpdates()
	require.Empty(t, u.Updates())
}

func TestCommitVerifiesPreconditions(t *testing.T) {
	metadata := map[string]any{"actor": "olga"}
	for _, c := range []struct {
		name    string
		require func(*tx.Unit)
		between func(*txtest.Store)
		fails   bool
	}{
		{"required and stored", func(u *tx.Unit) { u.Require(role("olga")) }, func(*txtest.Store) {}, false},
		{
			"required and deleted", func(u *tx.Unit) { u.Require(role("olga")) },
			func(s *txtest.Store) { s.Remove(role("olga")) }, true,
		},
		{
			"forbidden and not stored", func(u *tx.Unit) { u.Forbid(authz.Exactly(role("rex"))) },
			func(*txtest.Store) {}, false,
		},
		{
			"forbidden and added", func(u *tx.Unit) { u.Forbid(authz.Exactly(role("rex"))) },
			func(s *txtest.Store) { s.Put(role("rex")) }, true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := txtest.New(role("olga"))
			u := tx.New(store)
			c.require(u)
			c.require(u)
			require.Len(t, u.Preconditions(), 1, "each precondition once")
			u.Touch(account, "user", user("peter"))
			c.between(store)
			before := store.Stored()
			token, err := u.Commit(t.Context(), metadata)
			if c.fails {
				require.ErrorIs(t, err, authz.ErrPrecondition)
				require.Equal(t, before, store.Stored())
				return
			}
			require.NoError(t, err)
			require.NotEmpty(t, token)
			require.Equal(t, []string{"account:a#user@user:olga", "account:a#user@user:peter"}, store.Stored())
			require.Equal(t, metadata, store.LastMetadata())
		})
	}
}

func TestCommitWithoutUpdatesWritesNothing(t *testing.T) {
	store := txtest.New(role("olga"))
	u := tx.New(store)
	_, err := u.Check(t.Context(), check)
	require.NoError(t, err)
	u.Require(role("nobody"))
	store.BeforeWrite = func() { require.Fail(t, "a write") }
	token, err := u.Commit(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, u.Snapshot(), token)
}

func TestCommitOfTooMuch(t *testing.T) {
	many := tx.New(txtest.New())
	for i := range authz.MaxUpdates + 1 {
		many.Touch(account, "user", user(authz.ID(fmt.Sprint("u", i))))
	}
	_, err := many.Commit(t.Context(), nil)
	require.ErrorIs(t, err, authz.CodeTooLarge)

	careful := tx.New(txtest.New())
	careful.Touch(account, "user", user("olga"))
	for i := range authz.MaxUpdates + 1 {
		careful.Forbid(authz.Exactly(role(authz.ID(fmt.Sprint("u", i)))))
	}
	_, err = careful.Commit(t.Context(), nil)
	require.ErrorIs(t, err, authz.CodeTooLarge)
	require.ErrorContains(t, err, "1001 preconditions")
}

func TestRoomLeavesOutWhatIsReserved(t *testing.T) {
	u := tx.New(txtest.New(), tx.WithReserved(1))
	u.Touch(account, "user", user("olga"))
	require.Equal(t, authz.MaxUpdates-2, u.Room())
}

func TestCommitThatTakesTooLongIsRetried(t *testing.T) {
	store := txtest.New()
	u := tx.New(store)
	u.LimitWriteTime(time.Nanosecond)
	u.Touch(account, "user", user("olga"))
	_, err := u.Commit(t.Context(), nil)
	require.ErrorIs(t, err, authz.ErrPrecondition)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = u.Commit(ended, nil)
	require.NotErrorIs(t, err, authz.ErrPrecondition, "the request itself has ended")
}

func TestSplit(t *testing.T) {
	numbered := func(prefix string, n int) []authz.Relationship {
		list := make([]authz.Relationship, n)
		for i := range list {
			list[i] = role(authz.ID(fmt.Sprint(prefix, i)))
		}
		return list
	}
	for _, c := range []struct {
		name             string
		touches, deletes int
		allowSplit       bool
		first            []int // numbers of relationships that are deleted together
		more             bool
		updates          int
		code             authz.Code
	}{
		{name: "fits", touches: 10, deletes: 10, updates: 20},
		{name: "deletes may go before", touches: 600, deletes: 600, allowSplit: true, more: true, updates: 600},
		{name: "deletes fill one write", touches: 10, deletes: 3000, allowSplit: true, more: true, updates: 999},
		{name: "too much without deletes", touches: 1000, deletes: 600, allowSplit: true, code: authz.CodeTooLarge},
		{name: "not allowed", touches: 600, deletes: 600, updates: 1200},
		{name: "groups fit beside", touches: 10, first: []int{5, 5}, updates: 20},
		{name: "whole groups go before", touches: 900, first: []int{400, 400, 400}, more: true, updates: 800},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := tx.New(txtest.New())
			for _, r := range numbered("new", c.touches) {
				u.Update(authz.Touch, r)
			}
			for _, r := range numbered("old", c.deletes) {
				u.Delete(r)
			}
			for i, n := range c.first {
				u.DeleteFirst(numbered(fmt.Sprint("group", i, "x"), n))
			}
			if c.allowSplit {
				u.AllowSplit()
			}
			more, err := u.Split()
			if c.code != "" {
				require.ErrorIs(t, err, c.code)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.more, more)
			require.Len(t, u.Updates(), c.updates)
			for _, update := range u.Updates() {
				require.True(t, !c.more || update.Action == authz.Delete)
			}
		})
	}
}

// retry makes attempts until one succeeds or Attempts ends them.
func retry(ctx context.Context, attempt func(number int) error) error {
	attempts := tx.NewAttempts("too many conflicts")
	for {
		err := attempt(attempts.Failed())
		if err == nil {
			return nil
		}
		if err := attempts.Retry(ctx, err); err != nil {
			return err
		}
	}
}

func TestRetryRunsUntilPreconditionsHold(t *testing.T) {
	store := txtest.New()
	others := 0
	store.BeforeWrite = func() {
		if others < 3 {
			others++
			store.Put(role(authz.ID(fmt.Sprint("other", others))))
		}
	}
	var attempts []int
	err := retry(t.Context(), func(attempt int) error {
		attempts = append(attempts, attempt)
		u := tx.New(store)
		if _, err := u.Check(t.Context(), check); err != nil {
			return err
		}
		found, err := u.FindSome(t.Context(), roles, 0)
		if err != nil {
			return err
		}
		u.Forbid(authz.Exactly(role(authz.ID(fmt.Sprint("other", len(found)+1)))))
		u.Touch(account, "user", user("olga"))
		_, err = u.Commit(t.Context(), nil)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 3}, attempts)
	require.Contains(t, store.Stored(), "account:a#user@user:olga")
}

func TestRetryEnds(t *testing.T) {
	failed := &authz.Error{Code: authz.CodeConflict, Message: "a precondition", Cause: authz.ErrPrecondition}
	other := authz.Errorf(authz.CodeForbidden, "no")
	t.Run("with an error that a retry does not mend", func(t *testing.T) {
		for _, first := range []int{0, tx.MaxAttempts - 1} { // also at the last attempt
			err := retry(t.Context(), func(attempt int) error {
				if attempt < first {
					return failed
				}
				return other
			})
			require.Equal(t, other, err)
		}
	})
	t.Run("after the last attempt", func(t *testing.T) {
		attempts := 0
		err := retry(t.Context(), func(int) error { attempts++; return failed })
		require.ErrorIs(t, err, authz.CodeConflict)
		require.NotErrorIs(t, err, authz.ErrPrecondition)
		require.ErrorContains(t, err, "too many conflicts")
		require.Equal(t, tx.MaxAttempts, attempts)
	})
	t.Run("with the request", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := retry(ctx, func(int) error { cancel(); return failed })
		require.ErrorIs(t, err, authz.CodeCanceled)
		ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		err = retry(ctx, func(int) error { return failed })
		require.ErrorIs(t, err, authz.CodeDeadline)
		require.False(t, errors.Is(err, authz.CodeConflict))
	})
}
