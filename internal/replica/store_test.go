package replica

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/query"
	"github.com/stretchr/testify/require"
)

func relationship(i int) *v1.Relationship {
	return &v1.Relationship{
		Resource: &v1.ObjectReference{ObjectType: "document", ObjectId: fmt.Sprint("d", i%7)},
		Relation: "reader",
		Subject:  &v1.SubjectReference{Object: &v1.ObjectReference{ObjectType: "user", ObjectId: fmt.Sprint("u", i/7)}},
	}
}

func update(i int, del bool) *v1.RelationshipUpdate {
	operation := v1.RelationshipUpdate_OPERATION_TOUCH
	if del {
		operation = v1.RelationshipUpdate_OPERATION_DELETE
	}
	return &v1.RelationshipUpdate{Operation: operation, Relationship: relationship(i)}
}

// seen returns the relationships that a state contains. It reads them through each of the three indexes, which must
// agree.
func seen(t *testing.T, s *state) map[int]bool {
	t.Helper()
	out := [3]map[int]bool{{}, {}, {}}
	for i := range 70 {
		r := relationship(i)
		all := &reader{store: s.store, at: s.version, left: 1 << 30}
		subject := query.ObjectAndRelation{
			ObjectType: "user", ObjectID: r.GetSubject().GetObject().GetObjectId(), Relation: "...",
		}
		resource := query.Object{ObjectType: "document", ObjectID: r.GetResource().GetObjectId()}
		for kind, ask := range []func() (query.PathSeq, error){
			func() (query.PathSeq, error) {
				return all.CheckRelationships(
					t.Context(), query.ObjectType{Type: "document"}, resource.ObjectID, "reader", subject, true, true,
				)
			},
			func() (query.PathSeq, error) {
				return all.QuerySubjects(
					t.Context(), resource, "reader", query.ObjectType{Type: "user", Subrelation: "..."}, true, true, query.QueryPage{},
				)
			},
			func() (query.PathSeq, error) {
				return all.QueryResources(t.Context(), "document", "reader", subject, true, true, query.QueryPage{})
			},
		} {
			paths, err := ask()
			require.NoError(t, err)
			for path, err := range paths {
				require.NoError(t, err)
				if path.Subject == subject && path.Resource == resource {
					require.False(t, out[kind][i], "%d is found twice", i)
					out[kind][i] = true
				}
			}
		}
	}
	require.Equal(t, out[0], out[1])
	require.Equal(t, out[0], out[2])
	return out[0]
}

// TestStates checks that a pinned state does not change while other states are written and freed. It pins the current
// state, and one before it by its token. At the end, the store must have no row that no state contains.
func TestStates(t *testing.T) {
	t.Parallel()
	r := New(nil, nil, Options{})
	of := func(s *store, v version) *state {
		token := tokenOf(t, "s", fmt.Sprint(uint64(v)))
		revision, ok := parseRevision(token)
		require.True(t, ok)
		return &state{store: s, version: v, token: token, revision: revision}
	}
	s := of(newStore(), 1)
	r.publish(s)
	random := rand.New(rand.NewPCG(1, 2))
	now := make(map[int]bool)
	content := map[version]map[int]bool{1: {}}
	var reading sync.WaitGroup
	for range 500 {
		var updates []*v1.RelationshipUpdate
		for range 1 + random.IntN(20) {
			i, del := random.IntN(70), random.IntN(2) == 0
			updates = append(updates, update(i, del))
			delete(now, i)
			if !del {
				now[i] = true
			}
		}
		s.store.apply(updates, s.version+1)
		s = of(s.store, s.version+1)
		r.publish(s)
		content[s.version] = maps.Clone(now)
		if random.IntN(10) > 0 {
			continue
		}
		pinned := r.pin()
		if before := version(1 + random.IntN(2*maxRecent)); before < s.version {
			if recent := r.pinRecent(of(s.store, s.version-before).token); before > maxRecent {
				require.Nil(t, recent)
			} else {
				require.NotNil(t, recent)
				pinned.unpin()
				pinned = recent
			}
		}
		want := content[pinned.version]
		reading.Go(func() {
			defer pinned.unpin()
			for range 2 {
				require.Equal(t, want, seen(t, pinned))
			}
		})
	}
	reading.Wait()
	flush := func() { // replaces all recent states by states with the same content
		for range maxRecent + 1 {
			s = of(s.store, s.version+1)
			r.publish(s)
		}
	}
	flush()
	require.Len(t, r.retired, maxRecent)
	require.Equal(t, len(now), s.store.live)
	require.Len(t, s.store.byRelationship, len(now))
	require.Equal(t, int(s.store.rows.size)-1-len(s.store.free), len(now), "rows that are not free")

	var rest []*v1.RelationshipUpdate
	for i := range now {
		rest = append(rest, update(i, true))
	}
	s.store.apply(rest, s.version+1)
	flush()
	for name, left := range map[string]int{
		"relationships": s.store.live, "dead": len(s.store.dead), "by relationship": len(s.store.byRelationship),
		"by resource": len(s.store.byResource), "by subject": len(s.store.bySubject), "objects": len(s.store.objects.byName),
		"bytes": s.store.objects.bytes,
	} {
		require.Zero(t, left, name)
	}
}

// TestLongList reads a list longer than a chunk while it is written. The result must belong to one state.
func TestLongList(t *testing.T) {
	t.Parallel()
	const length = 20 * readChunk
	member := func(i int) *v1.Relationship {
		r := relationship(0)
		r.Subject.Object.ObjectId = fmt.Sprint("m", i)
		return r
	}
	s := newStore()
	var all []*v1.Relationship
	for i := range length {
		all = append(all, member(i))
	}
	s.touch(all, 1)
	reader := &reader{store: s, at: 1, left: 1 << 30}
	paths, err := reader.QuerySubjects(
		t.Context(), query.Object{ObjectType: "document", ObjectID: "d0"}, "reader",
		query.ObjectType{Type: "user", Subrelation: "..."}, true, true, query.QueryPage{},
	)
	require.NoError(t, err)
	found := make(map[string]bool)
	for path, err := range paths {
		require.NoError(t, err)
		found[path.Subject.ObjectID] = true
		if len(found)%100 == 0 { // writes before and after the current position
			n := version(len(found))
			s.apply([]*v1.RelationshipUpdate{
				{Operation: v1.RelationshipUpdate_OPERATION_TOUCH, Relationship: member(length + len(found))},
				{Operation: v1.RelationshipUpdate_OPERATION_DELETE, Relationship: member(length - len(found) - 1)},
				{Operation: v1.RelationshipUpdate_OPERATION_DELETE, Relationship: member(len(found) / 2)},
			}, n)
			s.sweep(1)
		}
	}
	require.Len(t, found, length)

	reader.left = length / 2
	_, err = query.CollectAll(reader.list(t.Context(), s.byResource[subjectsKey{
		resourceKey: resourceKey{s.objects.find(s.names.types["document"], "d0"), 1}, subjectType: s.names.types["user"],
	}],
		ofResource, func(*row) bool { return true }, func(*row) query.Path { return query.Path{} }))
	require.ErrorIs(t, err, errTooMuch)
}
