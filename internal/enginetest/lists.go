package enginetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
)

func (s *suite) lookupResources(t *testing.T) {
	const n = 1200 // more than SpiceDB returns in one page
	alice := user(t, "alice")
	s.touch(t, many(n, func(i int) authz.Relationship {
		return relationship(document(t, number("d", i)), "owner", alice)
	})...)
	query := authz.ResourceQuery{Subject: alice, Permission: "edit", Type: "document"}

	var all []authz.ID
	for _, found := range collect(t, s.engine.LookupResources(t.Context(), query, authz.Fully(), authz.Page{})) {
		require.True(t, found.Decision.Allowed())
		require.NotEmpty(t, found.Token)
		all = append(all, found.ID)
	}
	require.Equal(t, n, len(all))

	for _, limit := range []int{500, 1100} {
		var paged []authz.ID
		page, at := authz.Page{Limit: limit}, authz.Fully()
		for {
			part := collect(t, s.engine.LookupResources(t.Context(), query, at, page))
			require.LessOrEqual(t, len(part), limit)
			for _, found := range part {
				paged = append(paged, found.ID)
			}
			if len(part) < limit {
				break
			}
			// The following pages show the state of the first page, even if their requests have another consistency.
			page.Cursor = pages.Cursor(query, part[len(part)-1])
			require.NotEmpty(t, page.Cursor)
			at = authz.AsFreshAs(s.touch(t, relationship(document(t, "zzz"), "owner", alice)))
		}
		slices.Sort(paged)
		require.Equal(t, n+zzz(limit), len(slices.Compact(paged)), "limit %d", limit)
	}
	require.Empty(
		t,
		collect(
			t,
			s.engine.LookupResources(
				t.Context(), authz.ResourceQuery{Subject: user(t, "nobody"), Permission: "edit", Type: "document"}, authz.Fully(),
				authz.Page{},
			),
		),
	)

	for _, err := range s.engine.LookupResources(t.Context(), query, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		break // ending the loop early ends the stream
	}
}

// zzz returns the number of documents named zzz that exist when lookupResources begins its round with this limit.
// The first round has the limit 500, and stores the document.
func zzz(limit int) int {
	if limit == 500 {
		return 0
	}
	return 1
}

// lookupOnce checks that a look-up returns each resource once, even if several relationships lead to it, and also if
// the results have several pages. A cursor must be rejected with any other query.
func (s *suite) lookupOnce(t *testing.T) {
	const n = 210
	alice, folder, team := user(t, "alice"), object(t, "folder", "f"), object(t, "team", "t")
	all := []authz.Relationship{relationship(folder, "owner", alice), relationship(team, "member", alice)}
	var want []authz.ID
	for i := range n {
		doc := document(t, number("d", i))
		want = append(want, doc.ID)
		for way, r := range []authz.Relationship{
			relationship(doc, "owner", alice),
			relationship(doc, "viewer", alice),
			relationship(doc, "parent", authz.Subject{Object: folder}),
			relationship(doc, "viewer", authz.Subject{Object: team, Relation: "member"}),
			relationship(doc, "viewer", authz.Everybody("user")),
		} {
			if way == i%5 || way == i/5%5 || i%7 == 0 {
				all = append(all, r)
			}
		}
	}
	s.touch(t, all...)
	slices.Sort(want)
	query := authz.ResourceQuery{Subject: alice, Permission: "view", Type: "document"}
	// Tests that run in parallel may have stored documents that everybody may view. mine removes them.
	mine := func(found []authz.FoundResource) (ids []authz.ID) {
		for _, one := range found {
			require.True(t, one.Decision.Allowed())
			if strings.HasPrefix(string(one.ID), t.Name()) {
				ids = append(ids, one.ID)
			}
		}
		return ids
	}
	for _, limit := range []int{0, 7, 100} {
		var got []authz.ID
		page := authz.Page{Limit: limit}
		for {
			part := collect(t, s.engine.LookupResources(t.Context(), query, authz.Fully(), page))
			got = append(got, mine(part)...)
			if limit == 0 || len(part) < limit {
				break
			}
			page.Cursor = pages.Cursor(query, part[len(part)-1])
			// This document is shared after the first page, so the following pages must not contain it.
			s.touch(t, relationship(document(t, number("late", len(got))), "owner", alice))
		}
		got = slices.DeleteFunc(got, func(id authz.ID) bool { return strings.Contains(string(id), "late") })
		require.Equal(t, want, got, "limit %d", limit)
	}

	first := collect(t, s.engine.LookupResources(t.Context(), query, authz.Fully(), authz.Page{Limit: 1}))[0]
	cursor := pages.Cursor(query, first)
	for name, other := range map[string]authz.ResourceQuery{
		"subject":    {Subject: user(t, "bob"), Permission: "view", Type: "document"},
		"permission": {Subject: alice, Permission: "edit", Type: "document"},
		"type":       {Subject: alice, Permission: "view", Type: "folder"},
		"context":    {Subject: alice, Permission: "view", Type: "document", Context: map[string]any{"today": "monday"}},
	} {
		err := failure(s.engine.LookupResources(t.Context(), other, authz.Fully(), authz.Page{Limit: 1, Cursor: cursor}))
		require.ErrorIs(t, err, authz.CodeInvalid, name)
	}
}

func (s *suite) lookupSubjects(t *testing.T) {
	doc, team := document(t, "doc"), object(t, "team", "t")
	s.touch(
		t,
		relationship(doc, "viewer", user(t, "direct")),
		relationship(doc, "viewer", authz.Subject{Object: team, Relation: "member"}),
		relationship(team, "member", user(t, "through team")),
		relationship(team, "member", user(t, "direct")), // two paths lead to this subject; the look-up returns it once
		relationship(doc, "owner", user(t, "owner")),
		relationship(doc, "viewer", user(t, "owner")),
	)
	query := authz.SubjectQuery{Resource: doc, Permission: "view", Type: "user"}
	var names []string
	for _, found := range collect(t, s.engine.LookupSubjects(t.Context(), query, authz.Fully())) {
		require.True(t, found.Decision.Allowed())
		require.NotEmpty(t, found.Token)
		names = append(names, found.Subject.String())
	}
	require.ElementsMatch(
		t, []string{user(t, "direct").String(), user(t, "through team").String(), user(t, "owner").String()}, names,
	)

	teams := collect(
		t,
		s.engine.LookupSubjects(
			t.Context(), authz.SubjectQuery{Resource: doc, Permission: "view", Type: "team", SubjectRelation: "member"},
			authz.Fully(),
		),
	)
	require.Len(t, teams, 1)
	require.Equal(t, authz.Subject{Object: team, Relation: "member"}, teams[0].Subject)

	// A look-up returns the wildcard itself, with the subjects that it excludes.
	open := document(t, "open")
	s.touch(t, relationship(open, "viewer", authz.Everybody("user")), relationship(open, "banned", user(t, "direct")))
	wild := collect(
		t,
		s.engine.LookupSubjects(
			t.Context(), authz.SubjectQuery{Resource: open, Permission: "comment", Type: "user"}, authz.Fully(),
		),
	)
	require.Len(t, wild, 1)
	require.Equal(t, authz.Everybody("user"), wild[0].Subject)
	require.Equal(t, []authz.ID{user(t, "direct").ID}, wild[0].Excluded)
}

func (s *suite) readFilters(t *testing.T) {
	one, two, team := document(t, "one"), document(t, "two"), object(t, "team", "t")
	alice, bob := user(t, "alice"), user(t, "bob")
	owner := relationship(one, "owner", alice)
	viewer := relationship(one, "viewer", bob)
	second := relationship(two, "viewer", alice)
	plain := relationship(two, "viewer", authz.Subject{Object: team})
	members := relationship(two, "viewer", authz.Subject{Object: team, Relation: "member"})
	everybody := relationship(two, "viewer", authz.Everybody("user"))
	s.touch(t, owner, viewer, second, plain, members, everybody)

	for name, c := range map[string]struct {
		filter authz.Filter
		want   []authz.Relationship
	}{
		"object": {authz.Filter{Type: "document", ID: one.ID}, []authz.Relationship{owner, viewer}},
		"relation": {
			authz.Filter{Type: "document", ID: one.ID, Relation: "owner"}, []authz.Relationship{owner},
		},
		"object and subject": {
			authz.Filter{Type: "document", ID: two.ID, SubjectType: "user", SubjectID: alice.ID}, []authz.Relationship{second},
		},
		"object and subject type": {
			authz.Filter{Type: "document", ID: two.ID, SubjectType: "user"}, []authz.Relationship{second, everybody},
		},
		"subject alone": {
			authz.Filter{SubjectType: "user", SubjectID: alice.ID}, []authz.Relationship{owner, second},
		},
		"subject, any relation": {
			authz.Filter{SubjectType: "team", SubjectID: team.ID}, []authz.Relationship{plain, members},
		},
		"subject relation": {
			authz.Filter{SubjectType: "team", SubjectID: team.ID, SubjectRelation: "member"}, []authz.Relationship{members},
		},
		"subject without": {
			authz.Filter{SubjectType: "team", SubjectID: team.ID, SubjectPlain: true}, []authz.Relationship{plain},
		},
		"wildcard": {
			authz.Filter{Type: "document", ID: two.ID, SubjectType: "user", SubjectWildcard: true},
			[]authz.Relationship{everybody},
		},
		"exactly":           {authz.Exactly(members), []authz.Relationship{members}},
		"exactly, without":  {authz.Exactly(plain), []authz.Relationship{plain}},
		"exactly, wildcard": {authz.Exactly(everybody), []authz.Relationship{everybody}},
		"nothing":           {authz.Filter{Type: "document", ID: document(t, "none").ID}, nil},
	} {
		require.Equal(t, texts(c.want...), s.read(t, c.filter), name)
	}
	for name, filter := range map[string]authz.Filter{
		"empty":               {},
		"id without type":     {ID: one.ID},
		"subject without":     {Type: "document", SubjectID: alice.ID},
		"wildcard without":    {Type: "document", SubjectWildcard: true},
		"contradiction":       {SubjectType: "team", SubjectRelation: "member", SubjectPlain: true},
		"relation, no type":   {Relation: "viewer"},
		"subject's, no type":  {Type: "document", SubjectRelation: "member"},
		"impossible relation": {Type: "document", Relation: "banned", SubjectType: "team"},
	} {
		err := failure(s.engine.Read(t.Context(), filter, authz.Fully(), authz.Page{}))
		if name == "impossible relation" && err == nil {
			continue // instead of an error, an engine may return nothing
		}
		requireCode(t, authz.CodeInvalid, err)
	}
}

func (s *suite) readPages(t *testing.T) {
	const n = 1100 // more than SpiceDB returns in one page
	doc := document(t, "doc")
	written := many(n, func(i int) authz.Relationship { return relationship(doc, "viewer", user(t, number("u", i))) })
	s.touch(t, written...)
	filter := authz.Filter{Type: "document", ID: doc.ID, Relation: "viewer"}
	require.True(t, slices.Equal(texts(written...), s.read(t, filter)))

	for _, limit := range []int{7, 1000, 1050, n, 5000} {
		var found []authz.Relationship
		page, at := authz.Page{Limit: limit}, authz.Fully()
		for len(found) < n {
			part := collect(t, s.engine.Read(t.Context(), filter, at, page))
			require.Equal(t, min(limit, n-len(found)), len(part), "limit %d", limit)
			for _, item := range part {
				require.NotEmpty(t, item.Token)
				found = append(found, item.Relationship)
			}
			page.Cursor = part[len(part)-1].Cursor
			at = authz.Consistency{Freshness: authz.MinimizeLatency}
			if limit < 100 {
				limit = 1000 // the limit may differ from page to page
				page.Limit = limit
			}
		}
		require.True(t, slices.Equal(texts(written...), texts(found...)), "limit %d", limit)
		require.Empty(t, collect(t, s.engine.Read(t.Context(), filter, at, page)))
	}
	// A request with a cursor and without a limit returns the rest of the list.
	first := collect(t, s.engine.Read(t.Context(), filter, authz.Fully(), authz.Page{Limit: 10}))
	rest := collect(t, s.engine.Read(t.Context(), filter, authz.Fully(), authz.Page{Cursor: first[9].Cursor}))
	require.Equal(t, n-10, len(rest))
}

func (s *suite) badCursors(t *testing.T) {
	doc := document(t, "doc")
	s.touch(t, relationship(doc, "viewer", user(t, "a")), relationship(doc, "viewer", user(t, "b")))
	filter := authz.Filter{Type: "document", ID: doc.ID}
	good := collect(t, s.engine.Read(t.Context(), filter, authz.Fully(), authz.Page{Limit: 1}))[0].Cursor

	query := authz.ResourceQuery{Subject: user(t, "a"), Permission: "view", Type: "document"}
	for _, cursor := range []string{
		"x", "...", "0.0..", "0.1..garbage", "9.1..abcd", "3.1..aGVsbG8=", "a.b.c.d", "0.1.x." + good,
	} {
		requireCode(
			t, authz.CodeInvalid,
			failure(s.engine.Read(t.Context(), filter, authz.Fully(), authz.Page{Limit: 1, Cursor: cursor})),
		)
		requireCode(
			t, authz.CodeInvalid,
			failure(s.engine.LookupResources(t.Context(), query, authz.Fully(), authz.Page{Limit: 1, Cursor: cursor})),
		)
	}
	other := authz.Filter{Type: "document", ID: document(t, "other").ID}
	requireCode(
		t, authz.CodeInvalid, failure(s.engine.Read(t.Context(), other, authz.Fully(), authz.Page{Limit: 1, Cursor: good})),
	)
	requireCode(t, authz.CodeInvalid, failure(s.engine.Read(t.Context(), filter, authz.Fully(), authz.Page{Limit: -1})))
}
