package enginetest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// schema checks an engine without a schema, and then applies Schema.
func (s *suite) schema(t *testing.T) {
	text, err := s.engine.Schema(t.Context())
	require.NoError(t, err)
	require.Empty(t, text)
	requireCode(t, authz.CodeUnavailable, s.engine.Ready(t.Context()))
	_, _, err = s.engine.Check(
		t.Context(), authz.Check{Subject: user(t, "a"), Permission: "view", Resource: document(t, "d")}, authz.Fully(),
	)
	requireCode(t, authz.CodeInvalid, err)

	changes, err := s.engine.DiffSchema(t.Context(), Schema)
	require.NoError(t, err)
	require.NotEmpty(t, changes)
	for _, change := range changes {
		require.False(t, change.Breaking, change.Text)
	}

	require.NoError(t, s.engine.ApplySchema(t.Context(), Schema))
	require.NoError(t, s.engine.Ready(t.Context()))
	text, err = s.engine.Schema(t.Context())
	require.NoError(t, err)
	require.Contains(t, text, "permission comment = view - banned")
	require.Contains(t, text, "May comment on the document.")

	for name, bad := range map[string]string{
		"no schema":       "this is no schema",
		"unknown type":    "definition user {}\ndefinition document { relation viewer: nobody }",
		"unknown subject": "definition document { permission view = viewer }",
		"import":          "use import\nimport \"other.zed\"\ndefinition user {}",
	} {
		requireCode(t, authz.CodeInvalid, s.engine.ApplySchema(t.Context(), bad))
		_, err := s.engine.DiffSchema(t.Context(), bad)
		require.Error(t, err, name)
		requireCode(t, authz.CodeInvalid, err)
	}
	unchanged, err := s.engine.Schema(t.Context())
	require.NoError(t, err)
	require.Equal(t, text, unchanged)
	none, err := s.engine.DiffSchema(t.Context(), text)
	require.NoError(t, err)
	require.Empty(t, none)
}

func (s *suite) schemaChanges(t *testing.T) {
	edit := func(old, replacement string) string {
		require.Contains(t, Schema, old)
		return strings.Replace(Schema, old, replacement, 1)
	}
	for _, c := range []struct {
		name, schema, text string
		breaking           bool
	}{
		{
			"add permission", edit("permission edit = owner", "permission edit = owner\n\tpermission remove = owner"),
			"document#remove", false,
		},
		{"remove permission", edit("permission as_member = viewer", ""), "document#as_member", true},
		{
			"change expression", edit("permission comment = view - banned", "permission comment = view"),
			`document#comment from "view - banned" to "view"`, false,
		},
		{
			"add relation", edit("relation banned: user", "relation banned: user\n\trelation editor: user"), "document#editor",
			false,
		},
		{"add subject type", edit("relation banned: user", "relation banned: user | team"), "team", false},
		{"remove subject type", edit("| team | team#member |", "| team#member |"), "team", true},
		{"remove wildcard", edit("| user:* |", "|"), "user:*", true},
		{"change comment", edit("May see the document.", "Sees it."), "document#view", false},
		{"add definition", Schema + "\ndefinition extra {}", "extra", false},
		{"remove definition", strings.Replace(edit("relation parent: folder", ""), " + parent->view", "", 1), "", false},
		{
			"remove caveat",
			strings.Replace(
				edit(" | user with on_day", ""), "caveat on_day(today string, allowed string) {\n\ttoday == allowed\n}", "", 1,
			),
			"on_day", true,
		},
		{
			"change caveat", edit("today == allowed", "today != allowed"),
			`on_day from "today == allowed" to "today != allowed"`, false,
		},
	} {
		changes, err := s.engine.DiffSchema(t.Context(), c.schema)
		require.NoError(t, err, c.name)
		require.NotEmpty(t, changes, c.name)
		if c.name == "remove definition" {
			continue // the schema differs in several ways; the test does not check their texts
		}
		breaking, found := false, false
		for _, change := range changes {
			breaking = breaking || change.Breaking
			found = found || strings.Contains(change.Text, c.text)
		}
		require.Equal(t, c.breaking, breaking, "%s: %v", c.name, changes)
		require.True(t, found, "%s: %v", c.name, changes)
	}

	// SpiceDB rejects a schema without a relation that has stored relationships.
	s.touch(t, relationship(document(t, "doc"), "banned", user(t, "alice")))
	smaller := strings.Replace(
		edit("relation banned: user", ""), "permission comment = view - banned", "permission comment = view", 1,
	)
	requireCode(t, authz.CodeInvalid, s.engine.ApplySchema(t.Context(), smaller))
	_, err := s.engine.DeleteAll(t.Context(), authz.Filter{Type: "document", Relation: "banned"}, nil, nil)
	require.NoError(t, err)
	require.NoError(t, s.engine.ApplySchema(t.Context(), smaller))
	require.NoError(t, s.engine.ApplySchema(t.Context(), Schema))
}
