package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// model is the expected state of a store at a revision.
type model map[keyspan.Key]tuple.Relationship

// modelHistory is the model at each revision, in order.
type modelHistory struct {
	revisions []revision
	states    []model
}

func (h *modelHistory) last() model { return h.states[len(h.states)-1] }

// dice generates random relationships, writes and queries.
type dice struct{ *rand.Rand }

func (d dice) pick(from ...string) string { return from[d.IntN(len(from))] }

func (d dice) some(from ...string) (out []string) {
	for range d.IntN(4) {
		out = append(out, d.pick(from...))
	}
	return out
}

var (
	types     = []string{"aaa", "aab", "bbb"}
	ids       = []string{"1", "10", "2", "x", "x/y", "x-y", "*"}
	relations = []string{"rel", "relx", "zzz"}
	endings   = []string{datastore.Ellipsis, "member", "other"}
)

func (d dice) relationship() tuple.Relationship {
	r := tuple.Relationship{RelationshipReference: tuple.RelationshipReference{
		Resource: tuple.ONR(d.pick(types...), d.pick(ids...), d.pick(relations...)),
		Subject:  tuple.ONR(d.pick(types...), d.pick(ids...), d.pick(endings...)),
	}}
	switch d.IntN(8) {
	case 0:
		past := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
		r.OptionalExpiration = &past
	case 1:
		future := time.Date(2901, 2, 3, 4, 5, 6, 7, time.UTC)
		r.OptionalExpiration = &future
	case 2:
		r = tuple.MustWithCaveat(r, d.pick("one", "two"), map[string]any{"n": d.IntN(3)})
	}
	return r
}

func (d dice) query() query {
	q := query{now: time.Now(), expired: d.IntN(4) == 0, sort: options.SortOrder(d.IntN(4)), skipCaveats: d.IntN(8) == 0}
	f := &q.filter
	if d.IntN(3) > 0 {
		f.OptionalResourceType = d.pick(types...)
	}
	switch d.IntN(4) {
	case 0:
		f.OptionalResourceIds = d.some(ids...)
	case 1:
		f.OptionalResourceIDPrefix = d.pick("1", "x", "9")
	}
	if d.IntN(2) == 0 {
		f.OptionalResourceRelation = d.pick(relations...)
	}
	for range d.IntN(3) {
		s := datastore.SubjectsSelector{OptionalSubjectIds: d.some(ids...)}
		if d.IntN(4) > 0 {
			s.OptionalSubjectType = d.pick(types...)
		}
		switch d.IntN(4) {
		case 0:
			s.RelationFilter = s.RelationFilter.WithEllipsisRelation()
		case 1:
			s.RelationFilter = s.RelationFilter.WithNonEllipsisRelation("member")
		case 2:
			s.RelationFilter = s.RelationFilter.WithOnlyNonEllipsisRelations()
		}
		f.OptionalSubjectsSelectors = append(f.OptionalSubjectsSelectors, s)
	}
	return q
}

var errRefused = errors.New("refused")

// write does a random write and applies it to the model.
func (d dice) write(t *testing.T, s *Store, h *modelHistory) {
	t.Helper()
	next := maps.Clone(h.last())
	refuse := d.IntN(6) == 0
	at, err := s.ReadWriteTx(t.Context(), func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
		for range 1 + d.IntN(12) {
			r := d.relationship()
			key := keyspan.ByResource(&r)
			existing, exists := next[key]
			switch d.IntN(4) {
			case 0:
				if err := tx.WriteRelationships(ctx, []tuple.RelationshipUpdate{tuple.Delete(r)}); err != nil {
					return err
				}
				delete(next, key)
			case 1:
				if exists {
					var known datastore.CreateRelationshipExistsError
					require.ErrorAs(t, tx.WriteRelationships(ctx, []tuple.RelationshipUpdate{tuple.Create(existing)}), &known)
					continue
				}
				if err := tx.WriteRelationships(ctx, []tuple.RelationshipUpdate{tuple.Create(r)}); err != nil {
					return err
				}
				next[key] = r
			default:
				if err := tx.WriteRelationships(ctx, []tuple.RelationshipUpdate{tuple.Touch(r)}); err != nil {
					return err
				}
				next[key] = r
			}
		}
		if d.IntN(10) == 0 {
			filter := &v1.RelationshipFilter{ResourceType: d.pick(types...), OptionalRelation: d.pick(relations...)}
			count, _, err := tx.DeleteRelationships(ctx, filter)
			if err != nil {
				return err
			}
			before := len(next)
			maps.DeleteFunc(next, func(k keyspan.Key, _ tuple.Relationship) bool {
				return k[0] == filter.GetResourceType() && k[2] == filter.GetOptionalRelation()
			})
			require.EqualValues(t, before-len(next), count)
		}
		q := d.query() // a transaction sees its own writes
		requireSame(t, next, q, iterate(ctx, tx.(*transaction).rows, q))
		if refuse {
			return errRefused
		}
		return nil
	})
	if refuse {
		require.ErrorIs(t, err, errRefused)
		return
	}
	require.NoError(t, err)
	h.revisions, h.states = append(h.revisions, at.(revision)), append(h.states, next)
}

// requireSame compares the result of a query with a scan over the model.
func requireSame(t *testing.T, state model, q query, found datastore.RelationshipIterator) {
	t.Helper()
	order := orderOf(q.sort == options.BySubject || q.sort != options.ByResource && keyspan.PlanFor(q.filter).BySubject)
	compare := func(a, b tuple.Relationship) int { return order(&a).Compare(order(&b)) }
	var want []string
	for _, r := range slices.SortedFunc(maps.Values(state), compare) {
		if q.matches(r) && (q.after == nil || compare(r, *q.after) > 0) && (q.before == nil || compare(r, *q.before) <= 0) {
			want = append(want, tuple.MustString(r))
		}
	}
	if q.limit != nil {
		want = want[:min(uint64(len(want)), *q.limit)]
	}
	require.Equal(t, append([]string{}, want...), append([]string{}, texts(t, found, nil)...), "%+v", q)
}

func (d dice) read(t *testing.T, s *Store, h *modelHistory) {
	t.Helper()
	i := d.IntN(len(h.revisions))
	q := d.query()
	if q.sort == options.ByResource || q.sort == options.BySubject { // a cursor is one of the results
		for _, r := range h.states[i] {
			switch {
			case !q.matches(r):
			case q.after == nil && d.IntN(4) == 0:
				q.after = &r
			case q.before == nil && d.IntN(8) == 0:
				q.before = &r
			}
		}
	}
	if d.IntN(3) == 0 {
		limit := uint64(d.IntN(5))
		q.limit = &limit
	}
	reader := s.SnapshotReader(h.revisions[i]).(*reader)
	require.NoError(t, reader.err)
	requireSame(t, h.states[i], q, iterate(t.Context(), reader.rows, q))
}

// watch checks that the changes after a revision, applied in order, give each later state of the model.
func (d dice) watch(t *testing.T, s *Store, h *modelHistory) {
	t.Helper()
	i := d.IntN(len(h.revisions))
	state := maps.Clone(h.states[i])
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	updates, errs := s.Watch(
		ctx, h.revisions[i], datastore.WatchOptions{Content: datastore.WatchRelationships | datastore.WatchCheckpoints},
	)
	for i < len(h.revisions)-1 {
		select {
		case change := <-updates:
			for i < len(h.revisions) && h.revisions[i] < change.Revision.(revision) {
				i++ // some revisions changed nothing
			}
			require.Equal(t, h.revisions[i], change.Revision)
			for _, u := range change.RelationshipChanges {
				if u.Operation == tuple.UpdateOperationDelete {
					require.Contains(t, state, keyspan.ByResource(&u.Relationship))
					delete(state, keyspan.ByResource(&u.Relationship))
				} else {
					state[keyspan.ByResource(&u.Relationship)] = u.Relationship
				}
			}
			requireSame(t, h.states[i], query{expired: true}, func(yield func(tuple.Relationship, error) bool) {
				compare := func(a, b tuple.Relationship) int { return keyspan.ByResource(&a).Compare(keyspan.ByResource(&b)) }
				for _, r := range slices.SortedFunc(maps.Values(state), compare) {
					if !yield(r, nil) {
						return
					}
				}
			})
		case err := <-errs:
			require.NoError(t, err)
		}
	}
}

// TestAgainstModel makes random writes. It compares random queries at random revisions, and the changes that Watch
// sends after a revision, with a model. Then it closes and reopens the store, and repeats this.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(3, uint64(time.Now().UnixNano())))}
	directory := t.TempDir()
	s, err := Open(directory, Options{})
	require.NoError(t, err)
	h := &modelHistory{revisions: []revision{s.head.Load().revision}, states: []model{{}}}
	for range 4 {
		for range 30 {
			d.write(t, s, h)
			for range 5 {
				d.read(t, s, h)
			}
		}
		for range 3 {
			d.watch(t, s, h)
		}
		count := s.head.Load().relationships
		require.EqualValues(t, len(h.last()), count)
		id := s.id
		require.NoError(t, s.Close())
		s, err = Open(directory, Options{})
		require.NoError(t, err)
		require.Equal(t, id, s.id)
		require.Equal(t, count, s.head.Load().relationships)
		require.Equal(t, h.revisions[len(h.revisions)-1], s.head.Load().revision)
	}
	require.NoError(t, s.Close())
}

// TestReadersDoNotWait checks that reads during a write see the state before it.
func TestReadersDoNotWait(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	require.NoError(t, writeBatch(t.Context(), s, 0, 1))
	_, err := s.ReadWriteTx(t.Context(), func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
		require.NoError(t, tx.WriteRelationships(ctx, []tuple.RelationshipUpdate{tuple.Touch(progress(0, 2))}))
		_, _, err := tx.DeleteRelationships(ctx, &v1.RelationshipFilter{ResourceType: "batch"})
		require.NoError(t, err)
		requireBatches(t, s, []int{1})

		waiting, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, writeBatch(waiting, s, 1, 1), context.DeadlineExceeded) // other writers wait
		return nil
	})
	require.NoError(t, err)
}

// TestOverlappingWrites checks that a writer sees its own acknowledged write while others write.
func TestOverlappingWrites(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for i := range 30 {
				r := tuple.MustParse(fmt.Sprintf("document:%d#viewer@user:%d", w, i))
				at, err := s.ReadWriteTx(t.Context(), func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
					return tx.WriteRelationships(ctx, []tuple.RelationshipUpdate{tuple.Create(r)})
				})
				if err != nil {
					t.Error(err)
					return
				}
				head, err := s.HeadRevision(t.Context())
				if err != nil || at.GreaterThan(head.Revision) {
					t.Error("HeadRevision is older than a finished write:", err)
				}
				for _, seen := range []datastore.Revision{at, head.Revision} {
					rows := s.SnapshotReader(seen).(*reader).rows
					count, err := countMatches(iterate(t.Context(), rows, query{filter: datastore.RelationshipsFilter{
						OptionalResourceType: "document", OptionalResourceIds: []string{fmt.Sprint(w)},
					}}))
					if err != nil || count != i+1 {
						t.Errorf("%d relationships instead of %d: %v", count, i+1, err)
					}
				}
			}
		})
	}
	group.Wait()
}
