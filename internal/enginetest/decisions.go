package enginetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// awkward returns ids with characters that a store may handle wrongly.
func awkward() []string {
	return []string{
		"alice@example.com", "größe", "日本語", "🙂", "a=b", "=40", "*", "a#b", "urn:alice", "stored:bad=zz", "a b", "%2F", "a/b",
		"..", "\"'`",
		"_", "|", "+-", strings.Repeat("a", authz.MaxIDBytes), strings.Repeat("ü", authz.MaxIDBytes/2),
		strings.Repeat("*", authz.MaxIDBytes),
	}
}

func (s *suite) ids(t *testing.T) {
	for i, id := range awkward() {
		resource := authz.Object{Type: "document", ID: authz.ID(id)}
		subject := authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(id)}}
		r := relationship(resource, "viewer", subject)
		s.touch(t, r)
		require.Equal(t, []string{r.String()}, s.read(t, authz.Exactly(r)), "%d: %q", i, id)
		require.True(t, s.allowed(t, subject, "view", resource, authz.Fully()), "%q", id)
		require.False(t, s.allowed(t, user(t, "nobody"), "view", resource, authz.Fully()), "%q", id)

		found := collect(
			t,
			s.engine.LookupResources(
				t.Context(), authz.ResourceQuery{Subject: subject, Permission: "view", Type: "document"}, authz.Fully(),
				authz.Page{},
			),
		)
		require.Len(t, found, 1, "%q", id)
		require.Equal(t, resource.ID, found[0].ID)
		subjects := collect(
			t,
			s.engine.LookupSubjects(
				t.Context(), authz.SubjectQuery{Resource: resource, Permission: "view", Type: "user"}, authz.Fully(),
			),
		)
		require.Len(t, subjects, 1, "%q", id)
		require.Equal(t, subject, subjects[0].Subject)
	}
	// The user star has the id "*". SpiceDB also writes a wildcard as "*", but a filter for this user must not find
	// the wildcard.
	star := authz.Subject{Object: authz.Object{Type: "user", ID: "*"}}
	everybody := relationship(document(t, "open"), "viewer", authz.Everybody("user"))
	s.touch(t, everybody)
	require.Empty(t, s.read(t, authz.Exactly(relationship(everybody.Resource, "viewer", star))))
	require.Equal(t, texts(everybody), s.read(t, authz.Exactly(everybody)))
	require.True(t, s.allowed(t, star, "view", everybody.Resource, authz.Fully()))
}

func (s *suite) decisions(t *testing.T) {
	doc, folder, team := document(t, "doc"), object(t, "folder", "f"), object(t, "team", "t")
	outer := object(t, "team", "outer")
	member := func(o authz.Object) authz.Subject { return authz.Subject{Object: o, Relation: "member"} }
	s.touch(
		t,
		relationship(doc, "owner", user(t, "owner")),
		relationship(doc, "viewer", user(t, "viewer")),
		relationship(doc, "viewer", member(outer)),
		relationship(outer, "member", member(team)),
		relationship(team, "member", user(t, "inner")),
		relationship(doc, "parent", authz.Subject{Object: folder}),
		relationship(folder, "owner", user(t, "above")),
		relationship(doc, "banned", user(t, "viewer")),
	)
	for _, c := range []struct {
		subject    authz.Subject
		permission authz.Permission
		want       bool
	}{
		{user(t, "owner"), "edit", true},
		{user(t, "owner"), "view", true},
		{user(t, "viewer"), "view", true},
		{user(t, "viewer"), "edit", false},
		{user(t, "viewer"), "comment", false},
		{user(t, "owner"), "comment", true},
		{user(t, "inner"), "view", true},
		{user(t, "inner"), "viewer", true},
		{user(t, "above"), "view", true},
		{user(t, "above"), "viewer", false},
		{user(t, "nobody"), "view", false},
		{member(team), "view", true},
		{authz.Subject{Object: team}, "view", false},
	} {
		require.Equal(
			t, c.want, s.allowed(t, c.subject, c.permission, doc, authz.Consistency{}), "%s %s", c.subject, c.permission,
		)
	}
	require.False(t, s.allowed(t, user(t, "owner"), "view", document(t, "unheard of"), authz.Consistency{}))
}

func (s *suite) conditions(t *testing.T) {
	// This test has no relationship with a caveat. It checks only that a valid caveat context is accepted and an
	// invalid one is rejected.
	anybody, doc := user(t, "anybody"), document(t, "doc")
	check := authz.Check{Subject: anybody, Permission: "view", Resource: doc, Context: map[string]any{
		"today": "monday", "count": 3.5, "nested": map[string]any{"list": []any{"a", true, nil}},
	}}
	decision, _, err := s.engine.Check(t.Context(), check, authz.Fully())
	require.NoError(t, err)
	require.Equal(t, authz.Decision{State: authz.Denied}, decision)

	check.Context = map[string]any{"today": make(chan int)}
	_, _, err = s.engine.Check(t.Context(), check, authz.Fully())
	requireCode(t, authz.CodeInvalid, err)

	check.Context = map[string]any{"today": strings.Repeat("x", 1<<20)}
	_, _, err = s.engine.Check(t.Context(), check, authz.Fully())
	requireCode(t, authz.CodeTooLarge, err)
}

// inexactNumbers sends a caveat context with a number that a float64 cannot hold exactly. Checks, look-ups and
// writes must reject it, and a rejected write must store nothing. Large numbers that a float64 can hold must not
// change.
func (s *suite) inexactNumbers(t *testing.T) {
	doc, alice := document(t, "doc"), user(t, "alice")
	given := map[string]any{"amount": []any{int64(1)<<53 + 1}}
	check := authz.Check{Subject: alice, Permission: "view", Resource: doc, Context: given}
	refused := func(err error) {
		t.Helper()
		shown := message(t, authz.CodeInvalid, err)
		require.Contains(t, shown, "9007199254740993")
		require.Contains(t, shown, "send it as a string and declare the parameter as string")
	}
	_, _, err := s.engine.Check(t.Context(), check, authz.Fully())
	refused(err)
	require.ErrorContains(t, err, `"context.amount[0]"`)
	_, _, _, err = s.engine.Explain(t.Context(), check, authz.Fully())
	refused(err)
	results, _, err := s.engine.CheckBulk(
		t.Context(), []authz.Check{check, {Subject: alice, Permission: "view", Resource: doc}}, authz.Fully(),
	)
	require.NoError(t, err)
	refused(results[0].Err)
	require.NoError(t, results[1].Err)
	refused(failure(s.engine.LookupResources(t.Context(),
		authz.ResourceQuery{
			Subject: alice, Permission: "view", Type: "document", Context: given,
		}, authz.Fully(), authz.Page{})))
	refused(failure(s.engine.LookupSubjects(t.Context(),
		authz.SubjectQuery{Resource: doc, Permission: "view", Type: "user", Context: given}, authz.Fully())))

	stored := relationship(doc, "viewer", alice)
	stored.Caveat, stored.CaveatContext = "below", `{"most":9007199254740993}`
	_, err = s.engine.Write(t.Context(), updates(authz.Touch, relationship(doc, "owner", alice), stored))
	refused(err)
	require.ErrorContains(t, err, `"caveat_context.most"`)
	require.Empty(t, s.read(t, authz.Filter{Type: "document", ID: doc.ID}))
	stored.CaveatContext = "most"
	_, err = s.engine.Write(t.Context(), updates(authz.Touch, stored))
	requireCode(t, authz.CodeInvalid, err)

	stored.CaveatContext = `{"most":9223372036854775808}`
	s.touch(t, stored)
	for _, item := range collect(t, s.engine.Read(t.Context(), authz.Exactly(stored), authz.Fully(), authz.Page{})) {
		require.Equal(t, stored, item.Relationship)
		s.touch(t, item.Relationship)
	}
	for amount, allowed := range map[float64]bool{9223372036854774784: true, 9223372036854775808: false} {
		check.Context = map[string]any{"amount": amount}
		decision, _, err := s.engine.Check(t.Context(), check, authz.Fully())
		require.NoError(t, err)
		require.Equal(t, allowed, decision.Allowed(), "%f", amount)
	}
}

func (s *suite) bulk(t *testing.T) {
	doc := document(t, "doc")
	token := s.touch(t, relationship(doc, "viewer", user(t, "viewer")), relationship(doc, "owner", user(t, "owner")))
	checks := []authz.Check{
		{Subject: user(t, "viewer"), Permission: "view", Resource: doc},
		{Subject: user(t, "viewer"), Permission: "vew", Resource: doc},
		{Subject: user(t, "viewer"), Permission: "edit", Resource: doc},
		{Subject: user(t, "owner"), Permission: "edit", Resource: doc},
		{Subject: user(t, "owner"), Permission: "edit", Resource: authz.Object{Type: "docment", ID: "x"}},
		{Subject: user(t, "viewer"), Permission: "view", Resource: doc}, // a second time in the same bulk
	}
	results, checked, err := s.engine.CheckBulk(t.Context(), checks, authz.AsFreshAs(token))
	require.NoError(t, err)
	require.NotEmpty(t, checked)
	require.Len(t, results, len(checks))
	for i, want := range []bool{true, false, false, true, false, true} {
		require.Equal(t, want, results[i].Decision.Allowed(), "%d", i)
	}
	for i, want := range []string{"", "view", "", "", "document", ""} {
		if want == "" {
			require.NoError(t, results[i].Err, "%d", i)
			continue
		}
		require.Contains(t, message(t, authz.CodeInvalid, results[i].Err), want)
	}

	_, _, err = s.engine.CheckBulk(t.Context(), nil, authz.Fully())
	requireCode(t, authz.CodeInvalid, err)
}

// bulkMalformed checks that an invalid check does not affect the other checks of a bulk.
func (s *suite) bulkMalformed(t *testing.T) {
	doc := document(t, "doc")
	s.touch(t, relationship(doc, "viewer", user(t, "viewer")))
	good := authz.Check{Subject: user(t, "viewer"), Permission: "view", Resource: doc}
	bad := map[int]authz.Check{
		0: {
			Subject: user(t, "viewer"), Permission: "view", Resource: doc,
			Context: map[string]any{"today": strings.Repeat("x", 200_000)},
		},
		4: {Subject: user(t, "viewer"), Permission: "No Permission", Resource: doc},
		7: {
			Subject: user(t, "viewer"), Permission: "view",
			Resource: authz.Object{Type: "document", ID: authz.ID(strings.Repeat("é", 1000))},
		},
		8: {Subject: user(t, "viewer"), Permission: "view", Resource: doc, Context: map[string]any{"today": struct{}{}}},
	}
	var checks []authz.Check
	for i := range 10 {
		if check, ok := bad[i]; ok {
			checks = append(checks, check)
		} else {
			checks = append(checks, good)
		}
	}
	results, token, err := s.engine.CheckBulk(t.Context(), checks, authz.Fully())
	require.NoError(t, err)
	require.NotEmpty(t, token)
	for i, result := range results {
		if _, ok := bad[i]; ok {
			require.Error(t, result.Err, "%d", i)
			require.NotEqual(t, authz.CodeInternal, authz.CodeOf(result.Err), "%d: %v", i, result.Err)
			continue
		}
		require.NoError(t, result.Err, "%d", i)
		require.True(t, result.Decision.Allowed(), "%d", i)
	}
	_, _, err = s.engine.CheckBulk(t.Context(), []authz.Check{bad[4]}, authz.Fully())
	requireCode(t, authz.CodeInvalid, err)
}

func (s *suite) bulkLarge(t *testing.T) {
	const n = 10_500 // more than SpiceDB accepts in one call
	alice := user(t, "alice")
	s.touch(t, relationship(document(t, number("d", n-1)), "viewer", alice))
	checks := make([]authz.Check, n)
	for i := range checks {
		checks[i] = authz.Check{Subject: alice, Permission: "viewer", Resource: document(t, number("d", i))}
	}
	// Under the race detector, a busy machine needs more time than the engine's own time limit.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	results, _, err := s.engine.CheckBulk(ctx, checks, authz.Fully())
	require.NoError(t, err)
	require.Equal(t, n, len(results))
	for i, result := range results {
		require.NoError(t, result.Err)
		require.Equal(t, i == n-1, result.Decision.Allowed(), "%d", i)
	}
}

func (s *suite) unknownNames(t *testing.T) {
	doc, alice := document(t, "doc"), user(t, "alice")
	check := func(c authz.Check) error {
		_, _, err := s.engine.Check(t.Context(), c, authz.Fully())
		return err
	}
	write := func(r authz.Relationship) error {
		_, err := s.engine.Write(t.Context(), updates(authz.Touch, r))
		return err
	}
	read := func(f authz.Filter) error {
		return failure(s.engine.Read(t.Context(), f, authz.Fully(), authz.Page{}))
	}
	other := authz.Object{Type: "documnt", ID: "x"}
	for name, c := range map[string]struct {
		err    error
		wanted []string
	}{
		"permission": {
			check(authz.Check{Subject: alice, Permission: "vieww", Resource: doc}),
			[]string{"vieww", "document", "view, viewer"},
		},
		"type": {
			check(authz.Check{Subject: alice, Permission: "view", Resource: other}), []string{"documnt", "document"},
		},
		"subject": {
			check(authz.Check{
				Subject: authz.Subject{Object: authz.Object{Type: "usr", ID: "x"}}, Permission: "view", Resource: doc,
			}),
			[]string{"usr", "user"},
		},
		"subject set": {
			check(authz.Check{
				Subject: authz.Subject{Object: object(t, "team", "x"), Relation: "membr"}, Permission: "view", Resource: doc,
			}),
			[]string{"membr", "member"},
		},
		"write relation": {write(relationship(doc, "viewr", alice)), []string{"viewr", "viewer"}},
		"write type":     {write(relationship(other, "viewer", alice)), []string{"documnt", "document"}},
		"read relation":  {read(authz.Filter{Type: "document", Relation: "ownr"}), []string{"ownr", "owner"}},
		"read type":      {read(authz.Filter{Type: "documnt"}), []string{"documnt", "document"}},
		"look up": {
			failure(s.engine.LookupResources(
				t.Context(), authz.ResourceQuery{Subject: alice, Permission: "veiw", Type: "document"}, authz.Fully(), authz.Page{},
			)),
			[]string{"veiw", "view"},
		},
		"look up subject": {
			failure(s.engine.LookupSubjects(
				t.Context(), authz.SubjectQuery{Resource: doc, Permission: "edt", Type: "user"}, authz.Fully(),
			)),
			[]string{"edt", "edit"},
		},
	} {
		shown := message(t, authz.CodeInvalid, c.err)
		for _, part := range c.wanted {
			require.Contains(t, shown, part, name)
		}
		require.NotContains(t, shown, "as_member", name)
	}
}
