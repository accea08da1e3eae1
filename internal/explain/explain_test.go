package explain_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/explain"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/schema"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// open starts an engine with a schema and relationships, and returns it with an Explainer. It has no product
// operations.
func open(
	t *testing.T, config spicedb.EmbeddedConfig, text string, relationships ...string,
) (*spicedb.EmbeddedEngine, *explain.Explainer) {
	t.Helper()
	engine, err := spicedb.Embedded(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	name := filepath.Join(t.TempDir(), "world.yaml")
	// JSON is also valid YAML.
	world, err := json.Marshal(map[string]string{"schema": text, "relationships": strings.Join(relationships, "\n")})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, world, 0o600))
	file, err := schema.Load(t.Context(), name)
	require.NoError(t, err)
	require.NoError(t, engine.ApplySchema(t.Context(), file.Text))
	require.NoError(t, engine.Load(t.Context(), file.Relationships))
	definitions, err := schema.Describe(file.Text)
	require.NoError(t, err)
	return engine, explain.New(
		engine, func(context.Context) ([]authz.Definition, error) { return definitions, nil }, nil,
	)
}

// question returns a Question about a check such as "user:alice view document:plan". Its reader may see everything.
func question(t *testing.T, text string) explain.Question {
	t.Helper()
	words := strings.Fields(text)
	subject, err := authz.ParseSubject(words[0])
	require.NoError(t, err)
	resource, err := authz.ParseObject(words[2])
	require.NoError(t, err)
	return explain.Question{
		Check: authz.Check{Subject: subject, Permission: authz.Permission(words[1]), Resource: resource}, All: true,
	}
}

func path(e explain.Explanation) []string {
	var all []string
	for _, step := range e.Path {
		all = append(all, step.Relationship.String())
	}
	return all
}

// missing returns each suggestion as a text, which lists the relationships that the suggestion adds. Relationships
// that it deletes have a minus sign.
func missing(e explain.Explanation) []string {
	var all []string
	for _, way := range e.Suggestions {
		var parts []string
		for _, r := range way.Relationships {
			parts = append(parts, r.String())
		}
		for _, r := range way.Without {
			parts = append(parts, "-"+r.String())
		}
		all = append(all, strings.Join(parts, " "))
	}
	return all
}

const documents = `use expiration

caveat in_office(place string, offices list<string>) {
	place in offices
}

definition user {}

definition team {
	relation member: user | team#member
}

definition folder {
	relation parent: folder
	relation reader: user | team#member

	/** May read what is in the folder. */
	permission read = reader + parent->read
}

definition document {
	relation folder: folder
	relation author: user
	relation signed: user
	relation banned: user
	relation visitor: user with in_office
	relation guest: user with expiration
	relation open: user:*

	/** May read the document. */
	permission view = (author + folder->read + visitor + guest + open) - banned

	/** May publish the document. */
	permission publish = author & signed
}`

func TestPathNeedsEachRelationship(t *testing.T) {
	t.Parallel()
	_, explainer := open(
		t, spicedb.EmbeddedConfig{}, documents,
		"document:plan#folder@folder:a", "document:plan#folder@folder:b", "folder:b#parent@folder:top",
		"folder:top#reader@team:all#member", "team:all#member@team:eng#member", "team:eng#member@user:alice",
		"document:plan#author@user:bob", "document:plan#signed@user:bob",
		`document:plan#visitor@user:vic[in_office:{"offices":["berlin"]}]`,
		"document:plan#guest@user:gus[expiration:2999-01-01T00:00:00Z]", "document:flyer#open@user:*",
		"document:flyer#author@user:bob",
	)
	for _, c := range []struct {
		question, context string
		want              []string
		text              string
	}{
		{"user:alice view document:plan", "", []string{
			"document:plan#folder@folder:b", "folder:b#parent@folder:top", "folder:top#reader@team:all#member",
			"team:all#member@team:eng#member", "team:eng#member@user:alice",
		}, "alice has the permission view on document plan, because folder of document plan is folder b; "},
		{"user:bob view document:plan", "", []string{
			"document:plan#author@user:bob",
		}, "bob has the permission view on document plan, because bob is author of document plan"},
		{"user:bob publish document:plan", "", []string{
			"document:plan#author@user:bob", "document:plan#signed@user:bob",
		}, "bob is signed"},
		{"user:vic view document:plan", "berlin", []string{
			"document:plan#visitor@user:vic",
		}, "on the condition in_office"},
		{"user:gus view document:plan", "", []string{"document:plan#guest@user:gus"}, "gus is guest"},
		{"user:eve view document:flyer", "", []string{"document:flyer#open@user:*"}, "every user is open"},
		{"team:eng#member view document:plan", "", []string{
			"document:plan#folder@folder:b", "folder:b#parent@folder:top", "folder:top#reader@team:all#member",
			"team:all#member@team:eng#member",
		}, "every member of team eng has the permission view on document plan, because "},
	} {
		q := question(t, c.question)
		if c.context != "" {
			q.Check.Context = map[string]any{"place": c.context}
		}
		e, err := explainer.Explain(t.Context(), q)
		require.NoError(t, err)
		require.True(t, e.Decision.Allowed(), c.question)
		require.ElementsMatch(t, c.want, path(e), c.question)
		require.Equal(t, c.want[len(c.want)-1], path(e)[len(e.Path)-1], c.question)
		require.Contains(t, e.Text, c.text, c.question)
	}
}

func TestUnknownResourceIsUnstored(t *testing.T) {
	t.Parallel()
	_, explainer := open(t, spicedb.EmbeddedConfig{}, documents, "document:plan#author@user:bob")
	e, err := explainer.Explain(t.Context(), question(t, "user:bob view document:plann"))
	require.NoError(t, err)
	require.True(t, e.Unstored)
	require.Contains(t, e.Text, "document plann is not stored: no relationship has it as its resource")
	e, err = explainer.Explain(t.Context(), question(t, "user:eve view document:plan"))
	require.NoError(t, err)
	require.False(t, e.Unstored)
}

func TestLimitsMakeExplanationIncomplete(t *testing.T) {
	t.Parallel()
	var many []string
	for n := range 210 {
		many = append(many, fmt.Sprintf("folder:f%d#parent@folder:f%d", n, n+1))
	}
	_, explainer := open(t, spicedb.EmbeddedConfig{}, documents, append(
		many, "document:plan#folder@folder:f205", "document:deep#folder@folder:f0",
	)...)
	for document, incomplete := range map[string]bool{"plan": false, "deep": true} {
		e, err := explainer.Explain(t.Context(), question(t, "user:eve publish document:"+document))
		require.NoError(t, err)
		require.Equal(t, incomplete, e.Incomplete, e.Text)
		require.Equal(t, incomplete, strings.Contains(e.Text, "The explanation is incomplete"))
	}
}

// TestSuggestionsAllowTheCheck makes the changes of each suggestion in the engine. The check must then be allowed.
func TestSuggestionsAllowTheCheck(t *testing.T) {
	t.Parallel()
	engine, explainer := open(
		t, spicedb.EmbeddedConfig{}, documents,
		"document:plan#folder@folder:a", "folder:a#parent@folder:top", "document:plan#author@user:bob",
		"document:plan#author@user:bea", "document:plan#banned@user:bea", "folder:top#reader@team:eng#member",
	)
	for _, c := range []struct {
		question string
		want     []string
	}{
		{"user:alice view document:plan", []string{
			"document:plan#author@user:alice", "folder:a#reader@user:alice", "folder:top#reader@user:alice",
			"team:eng#member@user:alice",
		}},
		{"user:bob publish document:plan", []string{"document:plan#signed@user:bob"}},
		{"user:alice publish document:plan", []string{
			"document:plan#author@user:alice document:plan#signed@user:alice",
		}},
		{"user:bea view document:plan", []string{"-document:plan#banned@user:bea"}},
		{"team:eng#member publish document:plan", nil},
	} {
		q := question(t, c.question)
		e, err := explainer.Explain(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, authz.Denied, e.Decision.State, c.question)
		require.ElementsMatch(t, c.want, missing(e), c.question)
		for _, way := range e.Suggestions {
			require.Empty(t, way.Operations)
			var does, undoes authz.Write
			for _, r := range way.Relationships {
				does.Updates = append(does.Updates, authz.Update{Action: authz.Create, Relationship: r})
				undoes.Updates = append(undoes.Updates, authz.Update{Action: authz.Delete, Relationship: r})
			}
			for _, r := range way.Without {
				does.Updates = append(does.Updates, authz.Update{Action: authz.Delete, Relationship: r})
				undoes.Updates = append(undoes.Updates, authz.Update{Action: authz.Create, Relationship: r})
			}
			_, err := engine.Write(t.Context(), does)
			require.NoError(t, err)
			decision, _, err := engine.Check(t.Context(), q.Check, authz.Fully())
			require.NoError(t, err)
			require.True(t, decision.Allowed(), way.Text)
			_, err = engine.Write(t.Context(), undoes)
			require.NoError(t, err)
		}
	}
}

// TestCachedAnswerHasFullPath explains a check that SpiceDB answers from its dispatch cache. The explanation must
// have the full path, although SpiceDB's own trace has no details of the cached decision.
func TestCachedAnswerHasFullPath(t *testing.T) {
	t.Parallel()
	engine, explainer := open(
		t, spicedb.EmbeddedConfig{DispatchCache: true}, documents,
		"document:plan#folder@folder:b", "folder:b#parent@folder:top", "folder:top#reader@team:eng#member",
		"team:eng#member@user:alice",
	)
	q := question(t, "user:alice view document:plan")
	remembers := func() bool {
		_, trace, _, err := engine.Explain(t.Context(), q.Check, authz.Fully())
		require.NoError(t, err)
		return trace.HasCached()
	}
	require.Eventually(
		t, remembers, 5*time.Minute, 10*time.Millisecond, "SpiceDB has not stored the decision in its cache yet",
	)
	e, err := explainer.Explain(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []string{
		"document:plan#folder@folder:b", "folder:b#parent@folder:top", "folder:top#reader@team:eng#member",
		"team:eng#member@user:alice",
	}, path(e))
	require.False(t, e.Trace.HasCached())
	require.NotEmpty(t, e.Trace.Parts)

	// SpiceDB may also use the cached answer in another check.
	q = question(t, "user:alice read folder:b")
	require.Eventually(t, remembers, 5*time.Minute, 10*time.Millisecond)
	e, err = explainer.Explain(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, e.Path, 3)
}

// TestHiddenPartsAreOmitted checks that an explanation leaves out objects and reasons that the reader may not see.
func TestHiddenPartsAreOmitted(t *testing.T) {
	t.Parallel()
	_, explainer := open(
		t, spicedb.EmbeddedConfig{}, documents,
		"document:plan#folder@folder:b", "folder:b#reader@team:eng#member", "team:eng#member@user:alice",
		"document:plan#banned@user:mallory",
	)
	q := question(t, "user:alice view document:plan")
	q.All = false
	e, err := explainer.Explain(t.Context(), q)
	require.NoError(t, err)
	require.True(t, e.Decision.Allowed())
	require.Equal(t, explain.Explanation{Decision: e.Decision, Token: e.Token, Text: e.Text, Omitted: true}, e,
		"without an actor, it has only the decision")
	q.Actor = "alice"
	e, err = explainer.Explain(t.Context(), q)
	require.NoError(t, err)
	require.True(t, e.Omitted)
	require.Equal(t, []string{"document:plan#folder@folder:b"}, path(e))
	require.NotContains(t, e.Text, "eng")
	require.Nil(t, e.Trace)

	there, missing := question(t, "user:mallory view document:plan"), question(t, "user:mallory view document:none")
	there.All, missing.All, there.Actor, missing.Actor = false, false, "mallory", "mallory"
	seen, err := explainer.Explain(t.Context(), there)
	require.NoError(t, err)
	unseen, err := explainer.Explain(t.Context(), missing)
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(seen.Text, "plan", "none"), unseen.Text)
	require.Empty(t, seen.Suggestions)

	q.Actor = "mallory"
	_, err = explainer.Explain(t.Context(), q)
	require.ErrorIs(t, err, authz.CodeNotFound)
}
