package spicedb_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestLargeIntegersAreRejected checks integers that SpiceDB would replace by the largest 64-bit integer. Every write
// and import must reject them. In the context of a check or look-up, each condition that reads one must fail. The same
// numbers are valid for parameters of other types.
func TestLargeIntegersAreRejected(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), `caveat equal(number int, most int) {
	number == most
}

caveat listed(number list<int>) {
	number == [1]
}

caveat fraction(share double, part double) {
	share == part
}

definition user {}

definition item {
	relation viewer: user with equal | user with fraction
	relation owner: user
	relation reader: user with listed
	permission view = viewer + owner
	permission read = reader
}`))
	item := authz.Object{Type: "item", ID: "i"}
	stored := authz.Relationship{Resource: item, Relation: "viewer", Subject: alice}
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
	require.NoError(t, engine.Import(t.Context(), []string{
		`item:i#viewer@user:bob[equal:{"most":-9223372036854775808}]`, `item:j#viewer@user:bob[equal:{"most":1}]`,
		`item:i#owner@user:carol`, `item:j#reader@user:bob[listed]`,
	}))
	bob := authz.Subject{Object: authz.Object{Type: "user", ID: "bob"}}
	carol := authz.Subject{Object: authz.Object{Type: "user", ID: "carol"}}

	for _, number := range []any{1e22, json.Number("1e22"), uint64(1) << 63, "1e22"} {
		context := map[string]any{"number": number}
		check := authz.Check{Subject: bob, Permission: "view", Resource: item, Context: context}
		_, _, err := engine.Check(t.Context(), check, authz.Fully())
		rejected(err)
		_, _, _, err = engine.Explain(t.Context(), check, authz.Fully())
		rejected(err)
		owner := authz.Check{Subject: carol, Permission: "view", Resource: item, Context: context}
		results, _, err := engine.CheckBulk(t.Context(), []authz.Check{check, owner}, authz.Fully())
		require.NoError(t, err)
		rejected(results[0].Err)
		require.NoError(t, results[1].Err)
		require.True(t, results[1].Decision.Allowed(), "the condition is not needed")

		resources := authz.ResourceQuery{Subject: bob, Permission: "view", Type: "item", Context: context}
		found := 0
		for one, err := range engine.LookupResources(t.Context(), resources, authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			rejected(one.Err)
			found++
		}
		require.Equal(t, 2, found)
		subjects := authz.SubjectQuery{Resource: item, Permission: "view", Type: "user", Context: context}
		failed, allowed := 0, 0
		for one, err := range engine.LookupSubjects(t.Context(), subjects, authz.Fully()) {
			require.NoError(t, err)
			switch one.Subject {
			case bob:
				rejected(one.Err)
				failed++
			case carol:
				require.True(t, one.Decision.Allowed())
				allowed++
			}
		}
		require.Equal(t, []int{1, 1}, []int{failed, allowed})
	}
	list := authz.Check{
		Subject: bob, Permission: "read", Resource: authz.Object{Type: "item", ID: "j"},
		Context: map[string]any{"number": []any{1, 1e22}},
	}
	_, _, err := engine.Check(t.Context(), list, authz.Fully())
	rejected(err)
	require.ErrorContains(t, err, `"context.number[1]"`)

	decision, _, err := engine.Check(t.Context(), authz.Check{
		Subject: alice, Permission: "view", Resource: item,
		Context: map[string]any{"share": 1e22, "number": -9223372036854775808.0},
	}, authz.Fully())
	require.NoError(t, err)
	require.True(t, decision.Allowed())
}
