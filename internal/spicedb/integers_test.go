package spicedb_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestLargeIntegersAreRejected checks integers that SpiceDB would replace by the largest 64-bit integer. Every check,
// look-up, write and import must reject them. The same numbers are valid for parameters of other types.
func TestLargeIntegersAreRejected(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), `caveat equal(number int, most int) {
	number == most
}

caveat fraction(share double, part double) {
	share == part
}

definition user {}

definition item {
	relation viewer: user with equal | user with fraction
	permission view = viewer
}`))
	stored := authz.Relationship{Resource: authz.Object{Type: "item", ID: "i"}, Relation: "viewer", Subject: alice}
	write := func(caveat, context string) error {
		stored.Caveat, stored.CaveatContext = caveat, context
		_, err := engine.Write(t.Context(), authz.Write{Updates: []authz.Update{{Action: authz.Touch, Relationship: stored}}})
		return err
	}
	rejected := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, authz.CodeInvalid)
		require.ErrorContains(t, err, "declare the parameter as string")
	}
	for _, number := range []string{"1e22", "-1e22", "9223372036854775808", `"9223372036854775808"`, `"1e22"`} {
		rejected(write("equal", `{"most":`+number+`}`))
		rejected(engine.Import(t.Context(), []string{`item:i#viewer@user:bob[equal:{"most":` + number + `}]`}))
	}
	require.NoError(t, write("fraction", `{"part":1e22}`))
	require.NoError(t, engine.Import(t.Context(), []string{`item:i#viewer@user:bob[equal:{"most":-9223372036854775808}]`}))

	for _, number := range []any{1e22, json.Number("1e22"), uint64(1) << 63, "1e22"} {
		context := map[string]any{"number": number}
		check := authz.Check{Subject: alice, Permission: "view", Resource: stored.Resource, Context: context}
		_, _, err := engine.Check(t.Context(), check, authz.Fully())
		rejected(err)
		checks := []authz.Check{check, {Subject: alice, Permission: "view", Resource: stored.Resource}}
		results, _, err := engine.CheckBulk(t.Context(), checks, authz.Fully())
		require.NoError(t, err)
		rejected(results[0].Err)
		require.NoError(t, results[1].Err)
		resources := authz.ResourceQuery{Subject: alice, Permission: "view", Type: "item", Context: context}
		rejected(last(engine.LookupResources(t.Context(), resources, authz.Fully(), authz.Page{})))
		subjects := authz.SubjectQuery{Resource: stored.Resource, Permission: "view", Type: "user", Context: context}
		rejected(last(engine.LookupSubjects(t.Context(), subjects, authz.Fully())))
	}
	decision, _, err := engine.Check(t.Context(), authz.Check{
		Subject: alice, Permission: "view", Resource: stored.Resource,
		Context: map[string]any{"share": 1e22, "number": -9223372036854775808.0},
	}, authz.Fully())
	require.NoError(t, err)
	require.True(t, decision.Allowed())
}
