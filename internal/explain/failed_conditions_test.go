package explain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

func TestConditionDecidesAnswer(t *testing.T) {
	t.Parallel()
	_, explainer := open(
		t, spicedb.EmbeddedConfig{}, documents, `document:plan#visitor@user:vic[in_office:{"offices":["berlin"]}]`,
	)
	q := question(t, "user:vic view document:plan")
	e, err := explainer.Explain(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, authz.Decision{State: authz.Conditional, MissingContext: []string{"place"}}, e.Decision)
	require.Equal(t, []string{"document:plan#visitor@user:vic"}, path(e))
	require.Contains(t, e.Text, "depends on missing context: place")

	q.Check.Context = map[string]any{"place": "paris"}
	e, err = explainer.Explain(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, authz.Denied, e.Decision.State)
	require.Equal(t, authz.Denied, e.Trace.State)
	require.Contains(t, missing(e), "document:plan#author@user:vic")
	require.Len(t, e.Failed, 1)
	require.Equal(t, "in_office", e.Failed[0].Relationship.Caveat)
	require.Equal(t, "place in offices", e.Failed[0].Expression)
	require.Contains(
		t, e.Text,
		"vic is visitor of document plan, but the condition in_office (place in offices) does not hold. vic is not ",
	)

	// The explanation has no actor and All is not set, so it shows only what the subject vic may see. vic may not view
	// the document.
	q.All = false
	e, err = explainer.Explain(t.Context(), q)
	require.NoError(t, err)
	require.Empty(t, e.Failed)

	q.All, q.Check.Context = true, map[string]any{"place": "berlin"}
	e, err = explainer.Explain(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, authz.Allowed, e.Decision.State)
	require.Equal(t, authz.Allowed, e.Trace.State)
	require.Equal(t, authz.Allowed, e.Trace.Condition.State)
	require.Equal(t, "place in offices", e.Path[0].Expression)
}

// TestExpressionIsHiddenFromActor checks that an actor does not get the expression of a caveat.
func TestExpressionIsHiddenFromActor(t *testing.T) {
	t.Parallel()
	_, explainer := open(t, spicedb.EmbeddedConfig{}, `caveat office_hours(hour int) {
	hour >= 9 && hour < 17
}

definition user {}

definition door {
	relation opener: user with office_hours
	relation keeper: user
	permission enter = opener + keeper
}`, "door:d1#opener@user:office[office_hours]", "door:d1#keeper@user:kim")
	q := question(t, "user:office enter door:d1")
	q.All, q.Actor, q.Check.Context = false, "kim", map[string]any{"hour": 20}
	e, err := explainer.Explain(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, e.Failed, 1)
	require.Contains(
		t, e.Text,
		"office is opener of door d1, but the condition office_hours does not hold. office is not keeper of door d1",
	)
	require.Empty(t, e.Failed[0].Expression)
}
