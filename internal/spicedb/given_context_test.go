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

// TestStringsForDoublesKeepTheirValue checks strings for a parameter of type double. SpiceDB would round
// 9007199254740993, so that it equals 9007199254740992.
func TestStringsForDoublesKeepTheirValue(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), `caveat equal(number double, most double) {
	number == most
}

definition user {}

definition item {
	relation viewer: user with equal
}`))
	item := authz.Object{Type: "item", ID: "i"}
	stored := authz.Relationship{Resource: item, Relation: "viewer", Subject: alice, Caveat: "equal"}
	write := func(context string) error {
		stored.CaveatContext = context
		_, err := engine.Write(t.Context(), authz.Write{Updates: []authz.Update{{Action: authz.Touch, Relationship: stored}}})
		return err
	}
	check := func(number any) (authz.Decision, error) {
		decision, _, err := engine.Check(t.Context(), authz.Check{
			Subject: alice, Permission: "viewer", Resource: item, Context: map[string]any{"number": number},
		}, authz.Fully())
		return decision, err
	}
	inexact := `{"most":"9007199254740993"}`
	require.ErrorIs(t, write(inexact), authz.CodeInvalid)
	require.ErrorContains(t, write(inexact), `"caveat_context.most" holds the number 9007199254740993`)
	err := engine.Import(t.Context(), []string{"item:i#viewer@user:bob[equal:" + inexact + "]"})
	require.ErrorIs(t, err, authz.CodeInvalid)
	require.NoError(t, write(`{"most":"9007199254740992"}`))
	_, err = check("9007199254740993")
	require.ErrorIs(t, err, authz.CodeInvalid)
	require.ErrorContains(t, err, `"context.number" holds the number 9007199254740993`)
	for _, number := range []any{"9007199254740992", json.Number("9007199254740992")} {
		decision, err := check(number)
		require.NoError(t, err)
		require.True(t, decision.Allowed())
	}
	require.NoError(t, write(`{"most":"0.1"}`))
	decision, err := check(0.1)
	require.NoError(t, err)
	require.True(t, decision.Allowed())
}

// TestTimesOfCaveatsMayBeInLowerCase checks that timestamps accept the same times as every other time of the API.
func TestTimesOfCaveatsMayBeInLowerCase(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), `caveat before(now timestamp, until timestamp) {
	now < until
}

definition user {}

definition item {
	relation viewer: user with before
	permission view = viewer
}`))
	item := authz.Object{Type: "item", ID: "i"}
	context := `{"until":"2026-01-01t00:00:00z"}`
	_, err := engine.Write(t.Context(), authz.Write{Updates: []authz.Update{{
		Action: authz.Create, Relationship: authz.Relationship{
			Resource: item, Relation: "viewer", Subject: alice, Caveat: "before", CaveatContext: context,
		},
	}}})
	require.NoError(t, err)
	err = engine.Import(t.Context(), []string{"item:j#viewer@user:alice=40example=2Ecom[before:" + context + "]"})
	require.NoError(t, err)
	for _, id := range []authz.ID{"i", "j"} {
		for now, allowed := range map[string]bool{
			"2025-12-31t23:59:59z": true, "2026-01-01t00:00:00z": false, "2016-12-31t23:59:60Z": true,
		} {
			check := authz.Check{
				Subject: alice, Permission: "view", Resource: authz.Object{Type: "item", ID: id},
				Context: map[string]any{"now": now},
			}
			decision, _, err := engine.Check(t.Context(), check, authz.Fully())
			require.NoError(t, err)
			require.Equal(t, allowed, decision.Allowed(), "%s: %s", id, now)
			results, _, err := engine.CheckBulk(t.Context(), []authz.Check{check}, authz.Fully())
			require.NoError(t, err)
			require.Equal(t, allowed, results[0].Decision.Allowed(), "%s: %s", id, now)
			found := 0
			for one, err := range engine.LookupResources(
				t.Context(), authz.ResourceQuery{Subject: alice, Permission: "view", Type: "item", Context: check.Context},
				authz.Fully(), authz.Page{},
			) {
				require.NoError(t, err)
				require.NoError(t, one.Err)
				found++
			}
			require.Equal(t, map[bool]int{true: 2}[allowed], found)
		}
	}
}
