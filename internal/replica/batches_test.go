package replica_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestBulkAnswersAsChecks compares each check of a bulk with the same check alone. The in-memory replica answers some
// of the checks, and SpiceDB the others, all at the same state.
func TestBulkAnswersAsChecks(t *testing.T) {
	t.Parallel()
	var told answers
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), `caveat on_day(today string, allowed string) {
	today == allowed
}
definition user {}
definition box {
	relation inside: box
	relation owner: user | user with on_day
	permission view = owner + inside->view
}`))
	r := followed(t, engine.Client, engine.Client, replica.Options{Observe: told.observe, Verify: 1})
	uma := authz.Subject{Object: authz.Object{Type: "user", ID: "uma"}}
	box := func(id any) authz.Object { return authz.Object{Type: "box", ID: authz.ID(fmt.Sprint(id))} }
	caveated := authz.Relationship{
		Resource: box("daily"), Relation: "owner", Subject: uma, Caveat: "on_day", CaveatContext: `{"allowed":"monday"}`,
	}
	rows := []authz.Relationship{{Resource: box(0), Relation: "owner", Subject: uma}, caveated}
	checks := []authz.Check{
		{Subject: uma, Permission: "view", Resource: box("daily"), Context: map[string]any{"today": 5.0}},
	}
	for i := range 60 {
		rows = append(
			rows, authz.Relationship{Resource: box(i + 1), Relation: "inside", Subject: authz.Subject{Object: box(i)}},
		)
		checks = append(checks, authz.Check{Subject: uma, Permission: "view", Resource: box(i + 1)})
	}
	checks = append(checks,
		authz.Check{Subject: uma, Permission: "view", Resource: box("daily")},
		authz.Check{Subject: uma, Permission: "veiw", Resource: box(1)},
		authz.Check{Subject: uma, Permission: "view", Resource: box("none")})
	token := write(t, r, authz.Touch, rows...)
	reached(t, r, token)

	latest := authz.AsFreshAs(token)
	before := told.of(replica.FromSpiceDB)
	results, at, err := r.CheckBulk(t.Context(), checks, latest)
	require.NoError(t, err)
	require.NotEmpty(t, at)
	require.Equal(t, before+1, told.of(replica.FromSpiceDB), "SpiceDB answers some of them")
	for i, check := range checks {
		decision, _, err := r.Check(t.Context(), check, latest)
		require.Equal(t, outcome(decision, err), outcome(results[i].Decision, results[i].Err), "%+v", check)
	}
	require.Equal(t, "allowed", outcome(results[60].Decision, results[60].Err), "SpiceDB cannot: it is too deep")
	require.Equal(t, "error invalid", outcome(results[0].Decision, results[0].Err))
	require.Zero(t, r.Stats().Differences)
}
