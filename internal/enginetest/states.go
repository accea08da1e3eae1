package enginetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func (s *suite) snapshots(t *testing.T) {
	doc, alice := document(t, "doc"), user(t, "alice")
	r := relationship(doc, "owner", alice)
	with := s.touch(t, r)
	without, err := s.engine.Write(t.Context(), updates(authz.Delete, r))
	require.NoError(t, err)

	require.True(t, s.allowed(t, alice, "edit", doc, authz.AtSnapshot(with)))
	require.False(t, s.allowed(t, alice, "edit", doc, authz.AtSnapshot(without)))
	require.False(t, s.allowed(t, alice, "edit", doc, authz.AsFreshAs(without)))
	require.False(t, s.allowed(t, alice, "edit", doc, authz.Fully()))
	require.False(t, s.allowed(t, alice, "edit", doc, authz.Consistency{}))

	require.Len(t, collect(t, s.engine.Read(t.Context(), authz.Exactly(r), authz.AtSnapshot(with), authz.Page{})), 1)
	require.Empty(t, collect(t, s.engine.Read(t.Context(), authz.Exactly(r), authz.AtSnapshot(without), authz.Page{})))
	query := authz.ResourceQuery{Subject: alice, Permission: "edit", Type: "document"}
	require.Len(t, collect(t, s.engine.LookupResources(t.Context(), query, authz.AtSnapshot(with), authz.Page{})), 1)
	require.Empty(t, collect(t, s.engine.LookupResources(t.Context(), query, authz.AtSnapshot(without), authz.Page{})))

	// The token of an answer names the state that the answer shows. After a later write, it still names this state.
	_, token, err := s.engine.Check(
		t.Context(), authz.Check{Subject: alice, Permission: "edit", Resource: doc}, authz.Fully(),
	)
	require.NoError(t, err)
	s.touch(t, r)
	require.False(t, s.allowed(t, alice, "edit", doc, authz.AtSnapshot(token)))
	require.True(t, s.allowed(t, alice, "edit", doc, authz.Fully()))

	_, _, err = s.engine.Check(
		t.Context(), authz.Check{Subject: alice, Permission: "edit", Resource: doc},
		authz.Consistency{Freshness: authz.Freshness(99)},
	)
	requireCode(t, authz.CodeInvalid, err)
}

func (s *suite) badTokens(t *testing.T) {
	check := authz.Check{Subject: user(t, "alice"), Permission: "view", Resource: document(t, "doc")}
	for _, token := range []authz.Token{"", "garbage", "aGVsbG8gd29ybGQ=", "====", "GgEx", "\xff\xfe"} {
		for _, freshness := range []authz.Freshness{authz.AtLeastAsFresh, authz.ExactSnapshot} {
			at := authz.Consistency{Freshness: freshness, Token: token}
			_, _, err := s.engine.Check(t.Context(), check, at)
			require.Error(t, err, "%q", token)
			requireCode(t, authz.CodeInvalid, err)
			_, _, err = s.engine.CheckBulk(t.Context(), []authz.Check{check, check, check}, at)
			requireCode(t, authz.CodeInvalid, err)
			requireCode(
				t, authz.CodeInvalid, failure(s.engine.Read(t.Context(), authz.Filter{Type: "document"}, at, authz.Page{})),
			)
			query := authz.ResourceQuery{Subject: check.Subject, Permission: "view", Type: "document"}
			requireCode(t, authz.CodeInvalid, failure(s.engine.LookupResources(t.Context(), query, at, authz.Page{})))
			subjects := authz.SubjectQuery{Resource: check.Resource, Permission: "view", Type: "user"}
			requireCode(t, authz.CodeInvalid, failure(s.engine.LookupSubjects(t.Context(), subjects, at)))
		}
	}
}

func (s *suite) endedContexts(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	check := authz.Check{Subject: user(t, "alice"), Permission: "view", Resource: document(t, "doc")}
	write := updates(authz.Touch, relationship(check.Resource, "viewer", check.Subject))
	for code, ctx := range map[authz.Code]context.Context{authz.CodeCanceled: canceled, authz.CodeDeadline: late} {
		_, _, err := s.engine.Check(ctx, check, authz.Fully())
		requireCode(t, code, err)
		_, _, err = s.engine.CheckBulk(ctx, []authz.Check{check}, authz.Fully())
		requireCode(t, code, err)
		_, err = s.engine.Write(ctx, write)
		requireCode(t, code, err)
		_, err = s.engine.DeleteAll(ctx, authz.Filter{Type: "document"}, nil, nil)
		requireCode(t, code, err)
		_, err = s.engine.Schema(ctx)
		requireCode(t, code, err)
		requireCode(t, code, s.engine.Ready(ctx))
		requireCode(t, code, failure(s.engine.Read(ctx, authz.Filter{Type: "document"}, authz.Fully(), authz.Page{})))
		requireCode(
			t, code,
			failure(s.engine.LookupSubjects(
				ctx, authz.SubjectQuery{Resource: check.Resource, Permission: "view", Type: "user"}, authz.Fully(),
			)),
		)
	}
	require.Empty(t, s.read(t, authz.Exactly(write.Updates[0].Relationship)))

	// A sequence must end when its context is canceled. This sequence has more relationships than one page of
	// SpiceDB.
	doc := document(t, "many")
	s.touch(
		t, many(1100, func(i int) authz.Relationship { return relationship(doc, "viewer", user(t, number("u", i))) })...,
	)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	requireCode(t, authz.CodeCanceled, func() (last error) {
		for _, err := range s.engine.Read(
			ctx, authz.Filter{Type: "document", ID: doc.ID}, authz.Fully(), authz.Page{Limit: 1100},
		) {
			cancel()
			last = err
		}
		return last
	}())
}

// overlappingWriters checks that each of several concurrent writers sees its own write, both in a read with the
// token of the write and in a fully consistent read.
func (s *suite) overlappingWriters(t *testing.T) {
	if s.overlapUnseen != "" {
		t.Skip(s.overlapUnseen)
	}
	const writers, rounds = 8, 40
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				doc, alice := document(t, fmt.Sprintf("%d-%d", w, i)), user(t, fmt.Sprint(w))
				token, err := s.engine.Write(t.Context(), updates(authz.Create, relationship(doc, "viewer", alice)))
				if err != nil {
					errs <- err
					return
				}
				at := []authz.Consistency{authz.AsFreshAs(token), authz.AtSnapshot(token), authz.Fully()}[i%3]
				decision, _, err := s.engine.Check(t.Context(), authz.Check{Subject: alice, Permission: "view", Resource: doc}, at)
				if err == nil && !decision.Allowed() {
					err = fmt.Errorf("writer %d, round %d: at %v the write is not visible", w, i, at)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// racingCreators lets several writers create the same relationship concurrently. Each requires as a precondition
// that the relationship is missing. One writer must succeed. The others must get ErrPrecondition, which tells them
// to retry.
func (s *suite) racingCreators(t *testing.T) {
	for round := range 10 {
		doc := document(t, fmt.Sprint(round))
		free := authz.Precondition{Filter: authz.Filter{Type: "document", ID: doc.ID}, Absent: true}
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wg.Go(func() {
				write := updates(authz.Create, relationship(doc, "owner", user(t, fmt.Sprint(i))))
				write.Preconditions = []authz.Precondition{free}
				_, errs[i] = s.engine.Write(t.Context(), write)
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			requireCode(t, authz.CodeConflict, err)
			require.ErrorIs(t, err, authz.ErrPrecondition)
		}
		require.Equal(t, 1, won)
		require.Len(t, s.read(t, free.Filter), 1)
	}
}
