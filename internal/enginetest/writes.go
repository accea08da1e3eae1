package enginetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func (s *suite) actions(t *testing.T) {
	doc, alice := document(t, "doc"), user(t, "alice")
	r := relationship(doc, "viewer", alice)
	token, err := s.engine.Write(t.Context(), updates(authz.Create, r))
	require.NoError(t, err)
	require.True(t, s.allowed(t, alice, "view", doc, authz.AsFreshAs(token)))

	// Creating an existing relationship is a conflict, and the whole write fails.
	second := relationship(doc, "owner", alice)
	_, err = s.engine.Write(t.Context(), updates(authz.Create, second, r))
	requireCode(t, authz.CodeConflict, err)
	require.ErrorIs(t, err, authz.ErrPrecondition)
	require.Empty(t, s.read(t, authz.Exactly(second)))

	s.touch(t, r)
	require.Equal(t, texts(r), s.read(t, authz.Filter{Type: "document", ID: doc.ID}))

	for range 2 { // deleting a missing relationship is no error
		token, err = s.engine.Write(t.Context(), updates(authz.Delete, r))
		require.NoError(t, err)
		require.False(t, s.allowed(t, alice, "view", doc, authz.AsFreshAs(token)))
	}
	_, err = s.engine.Write(t.Context(), updates(authz.Create, r))
	require.NoError(t, err)
}

func (s *suite) preconditions(t *testing.T) {
	doc, alice, bob := document(t, "doc"), user(t, "alice"), user(t, "bob")
	there, absent := relationship(doc, "owner", alice), relationship(doc, "owner", bob)
	s.touch(t, there)
	anyViewer := authz.Filter{Type: "document", ID: doc.ID, Relation: "viewer"}
	for name, c := range map[string]struct {
		preconditions []authz.Precondition
		holds         bool
	}{
		"none":          {nil, true},
		"there":         {[]authz.Precondition{{Filter: authz.Exactly(there)}}, true},
		"not there":     {[]authz.Precondition{{Filter: authz.Exactly(absent)}}, false},
		"absent":        {[]authz.Precondition{{Filter: authz.Exactly(absent), Absent: true}}, true},
		"not absent":    {[]authz.Precondition{{Filter: authz.Exactly(there), Absent: true}}, false},
		"no viewer yet": {[]authz.Precondition{{Filter: anyViewer, Absent: true}}, true},
		"a viewer":      {[]authz.Precondition{{Filter: anyViewer}}, false},
		"by subject": {
			[]authz.Precondition{{Filter: authz.Filter{SubjectType: "user", SubjectID: alice.ID}}}, true,
		},
		"one of several fails": {
			[]authz.Precondition{{Filter: authz.Exactly(there)}, {Filter: authz.Exactly(absent)}}, false,
		},
	} {
		r := relationship(document(t, "new "+name), "viewer", alice)
		write := updates(authz.Create, r)
		write.Preconditions = c.preconditions
		write.Metadata = map[string]any{"actor": "alice", "nested": map[string]any{"n": 1.0}}
		_, err := s.engine.Write(t.Context(), write)
		if c.holds {
			require.NoError(t, err, name)
			require.Len(t, s.read(t, authz.Exactly(r)), 1, name)
			continue
		}
		requireCode(t, authz.CodeConflict, err)
		require.ErrorIs(t, err, authz.ErrPrecondition, name)
		require.Empty(t, s.read(t, authz.Exactly(r)), name)
	}
}

func (s *suite) refusedWrites(t *testing.T) {
	doc, alice := document(t, "doc"), user(t, "alice")
	r := relationship(doc, "viewer", alice)
	for name, write := range map[string]authz.Write{
		"nothing":       {},
		"same twice":    updates(authz.Touch, r, r),
		"a permission":  updates(authz.Touch, relationship(doc, "view", alice)),
		"wrong subject": updates(authz.Touch, relationship(doc, "parent", alice)),
		"wildcard":      updates(authz.Touch, relationship(doc, "owner", authz.Everybody("user"))),
		"no expiration here": updates(
			authz.Touch,
			authz.Relationship{Resource: doc, Relation: "viewer", Subject: alice, ExpiresAt: time.Now().Add(time.Hour)},
		),
		"malformed relation": updates(authz.Touch, relationship(doc, "No Relation", alice)),
		"empty id":           updates(authz.Touch, relationship(authz.Object{Type: "document"}, "viewer", alice)),
		"empty precondition": {Updates: updates(authz.Touch, r).Updates, Preconditions: []authz.Precondition{{}}},
		"metadata not JSON":  {Updates: updates(authz.Touch, r).Updates, Metadata: map[string]any{"x": make(chan int)}},
		"NUL in metadata":    {Updates: updates(authz.Touch, r).Updates, Metadata: map[string]any{"actor": "a\x00"}},
		"NUL in nested": {
			Updates: updates(authz.Touch, r).Updates, Metadata: map[string]any{"x": map[string]any{"y": []any{"a\u0085"}}},
		},
		"NUL in field name": {Updates: updates(authz.Touch, r).Updates, Metadata: map[string]any{"a\x00": 1}},
		"unknown subject rel": updates(
			authz.Touch, relationship(doc, "viewer", authz.Subject{Object: object(t, "team", "t"), Relation: "nothing"}),
		),
	} {
		_, err := s.engine.Write(t.Context(), write)
		require.Error(t, err, name)
		requireCode(t, authz.CodeInvalid, err)
	}
	require.Empty(t, s.read(t, authz.Filter{Type: "document", ID: doc.ID}))
}

func (s *suite) limits(t *testing.T) {
	doc := document(t, "doc")
	write := updates(authz.Touch, many(authz.MaxUpdates+1, func(i int) authz.Relationship {
		return relationship(doc, "viewer", user(t, number("u", i)))
	})...)
	_, err := s.engine.Write(t.Context(), write)
	requireCode(t, authz.CodeTooLarge, err)
	require.Empty(t, s.read(t, authz.Filter{Type: "document", ID: doc.ID}))

	write.Updates = write.Updates[:authz.MaxUpdates]
	_, err = s.engine.Write(t.Context(), write)
	require.NoError(t, err)

	write.Updates = write.Updates[:1]
	for range 1001 {
		write.Preconditions = append(
			write.Preconditions, authz.Precondition{Filter: authz.Filter{Type: "document", ID: doc.ID}},
		)
	}
	_, err = s.engine.Write(t.Context(), write)
	requireCode(t, authz.CodeTooLarge, err)

	write.Preconditions = nil
	write.Metadata = map[string]any{"large": strings.Repeat("x", 100_000)}
	_, err = s.engine.Write(t.Context(), write)
	requireCode(t, authz.CodeTooLarge, err)
}

func (s *suite) deleteAll(t *testing.T) {
	const n = authz.MaxUpdates + 100 // more than one write may contain
	doc, other := document(t, "doc"), document(t, "other")
	alice := user(t, "alice")
	s.touch(t, many(n, func(i int) authz.Relationship { return relationship(doc, "viewer", user(t, number("u", i))) })...)
	kept := relationship(doc, "owner", alice)
	s.touch(t, kept, relationship(other, "owner", alice))
	viewers := authz.Filter{Type: "document", ID: doc.ID, Relation: "viewer"}

	_, err := s.engine.DeleteAll(
		t.Context(), viewers, []authz.Precondition{{Filter: authz.Exactly(kept), Absent: true}}, nil,
	)
	requireCode(t, authz.CodeConflict, err)
	require.ErrorIs(t, err, authz.ErrPrecondition)
	require.Equal(t, n, len(s.read(t, viewers)))

	token, err := s.engine.DeleteAll(
		t.Context(), viewers, []authz.Precondition{{Filter: authz.Exactly(kept)}}, map[string]any{"operation": "test"},
	)
	require.NoError(t, err)
	require.False(t, s.allowed(t, user(t, number("u", 1)), "view", doc, authz.AsFreshAs(token)))
	require.Equal(t, texts(kept), s.read(t, authz.Filter{Type: "document", ID: doc.ID}))

	_, err = s.engine.DeleteAll(t.Context(), viewers, nil, nil) // nothing left to delete
	require.NoError(t, err)

	// This filter has only a subject, so it selects relationships of several resources.
	_, err = s.engine.DeleteAll(t.Context(), authz.Filter{SubjectType: "user", SubjectID: alice.ID}, nil, nil)
	require.NoError(t, err)
	require.Empty(t, s.read(t, authz.Filter{SubjectType: "user", SubjectID: alice.ID}))

	_, err = s.engine.DeleteAll(t.Context(), authz.Filter{}, nil, nil)
	requireCode(t, authz.CodeInvalid, err)
}

func (s *suite) expiration(t *testing.T) {
	doc := document(t, "doc")
	grant := func(name string, until time.Time) authz.Relationship {
		return authz.Relationship{Resource: doc, Relation: "owner", Subject: user(t, name), ExpiresAt: until}
	}
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	s.touch(t, grant("later", until))
	items := collect(
		t, s.engine.Read(t.Context(), authz.Filter{Type: "document", ID: doc.ID}, authz.Fully(), authz.Page{}),
	)
	require.Len(t, items, 1)
	require.True(t, until.Equal(items[0].Relationship.ExpiresAt), "%v", items[0].Relationship.ExpiresAt)
	require.True(t, s.allowed(t, user(t, "later"), "edit", doc, authz.Fully()))

	// Touching a relationship can move its expiration to an earlier or a later time.
	for _, moved := range []time.Time{until.Add(time.Hour), until.Add(-time.Minute)} {
		s.touch(t, grant("later", moved))
		items = collect(
			t, s.engine.Read(t.Context(), authz.Filter{Type: "document", ID: doc.ID}, authz.Fully(), authz.Page{}),
		)
		require.Len(t, items, 1)
		require.True(t, moved.Equal(items[0].Relationship.ExpiresAt), "%v", items[0].Relationship.ExpiresAt)
	}

	// Touching a relationship without an expiration removes the stored expiration.
	s.touch(t, grant("later", time.Time{}))
	items = collect(t, s.engine.Read(t.Context(), authz.Filter{Type: "document", ID: doc.ID}, authz.Fully(), authz.Page{}))
	require.Len(t, items, 1)
	require.True(t, items[0].Relationship.ExpiresAt.IsZero())

	// A remote SpiceDB may cache a decision and use it after the expiration. So this test makes no check before the
	// expiration.
	var soon authz.Relationship
	for left := 1500 * time.Millisecond; ; left *= 2 { // a slow machine needs more time
		soon = grant("soon", time.Now().Add(left))
		s.touch(t, soon)
		found := len(s.read(t, authz.Exactly(soon)))
		if found == 1 {
			break
		}
		require.False(t, time.Now().Before(soon.ExpiresAt), "it ended before its expiration")
		require.Less(t, left, time.Minute)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	eventually(ctx, t, func() bool { return len(s.read(t, authz.Exactly(soon))) == 0 })
	require.False(t, s.allowed(t, user(t, "soon"), "edit", doc, authz.Fully()))

	// In a precondition, an expired relationship counts as absent. It can be touched again.
	write := updates(authz.Touch, grant("soon", until))
	write.Preconditions = []authz.Precondition{{Filter: authz.Exactly(soon)}}
	_, err := s.engine.Write(t.Context(), write)
	require.ErrorIs(t, err, authz.ErrPrecondition)
	write.Preconditions = []authz.Precondition{{Filter: authz.Exactly(soon), Absent: true}}
	_, err = s.engine.Write(t.Context(), write)
	require.NoError(t, err)
	require.Len(t, s.read(t, authz.Exactly(soon)), 1)
}

// Dates returns expirations near the limits of clocks, databases and RFC 3339: the year 1, times around 1970, the
// first and the last times that fit into 64 bits as nanoseconds since 1970 (1677 and 2262), and the end of the year
// 9999.
func Dates() []time.Time {
	return []time.Time{
		time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC),
		time.Date(1677, 9, 21, 0, 12, 43, 0, time.UTC),
		time.Unix(-1, 0).UTC(), time.Unix(0, 0).UTC(), time.Unix(1, 0).UTC(),
		time.Date(2262, 4, 11, 23, 47, 16, 0, time.UTC),
		time.Date(2262, 4, 11, 23, 47, 17, 0, time.UTC),
		time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2847, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
}

// expirationDates checks that a relationship counts until its expiration, and not afterwards. It uses reads,
// look-ups and checks.
func (s *suite) expirationDates(t *testing.T) {
	doc := document(t, "doc")
	var rows []authz.Relationship
	ends := make(map[authz.ID]time.Time)
	for i, at := range Dates() {
		row := authz.Relationship{Resource: doc, Relation: "owner", Subject: user(t, number("u", i)), ExpiresAt: at}
		rows = append(rows, row)
		if at.After(time.Now()) {
			ends[row.Subject.ID] = at
		}
	}
	at := authz.AsFreshAs(s.touch(t, rows...))
	read := make(map[authz.ID]time.Time)
	for _, item := range collect(
		t, s.engine.Read(t.Context(), authz.Filter{Type: "document", ID: doc.ID}, at, authz.Page{}),
	) {
		read[item.Relationship.Subject.ID] = item.Relationship.ExpiresAt.UTC()
	}
	require.Equal(t, ends, read)
	subjects := make(map[authz.ID]bool)
	for _, found := range collect(
		t, s.engine.LookupSubjects(t.Context(), authz.SubjectQuery{Resource: doc, Permission: "edit", Type: "user"}, at),
	) {
		subjects[found.Subject.ID] = found.Decision.Allowed()
	}
	require.Len(t, subjects, len(ends))
	checks := make([]authz.Check, len(rows))
	for i, row := range rows {
		_, counts := ends[row.Subject.ID]
		checks[i] = authz.Check{Subject: row.Subject, Permission: "edit", Resource: doc}
		require.Equal(t, counts, s.allowed(t, row.Subject, "edit", doc, at), "%s", row.ExpiresAt)
		require.Equal(t, counts, subjects[row.Subject.ID], "%s", row.ExpiresAt)
		query := authz.ResourceQuery{Subject: row.Subject, Permission: "edit", Type: "document"}
		require.Equal(
			t, counts, len(collect(t, s.engine.LookupResources(t.Context(), query, at, authz.Page{}))) == 1, "%s", row.ExpiresAt,
		)
	}
	results, _, err := s.engine.CheckBulk(t.Context(), checks, at)
	require.NoError(t, err)
	for i, result := range results {
		require.NoError(t, result.Err)
		require.Equal(t, subjects[rows[i].Subject.ID], result.Decision.Allowed(), "%s", rows[i].ExpiresAt)
	}
}
