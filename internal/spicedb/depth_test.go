package spicedb_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// requireSameAnswer requires that a result of a bulk equals the result of a single check.
func requireSameAnswer(t *testing.T, engine authz.Engine, check authz.Check, result authz.CheckResult) {
	t.Helper()
	decision, _, err := engine.Check(t.Context(), check, authz.Fully())
	require.Equal(t, decision, result.Decision, "%+v", check)
	require.Equal(
		t, errors.Is(err, authz.CodeTooLarge), errors.Is(result.Err, authz.CodeTooLarge), "%+v: %v, in a bulk %v", check, err,
		result.Err,
	)
	require.Equal(t, err == nil, result.Err == nil, "%+v: %v, in a bulk %v", check, err, result.Err)
}

// TestBulkAnswersAsSingleChecks checks that each answer of a bulk is the answer of a single check, even if many other
// checks are too large.
func TestBulkAnswersAsSingleChecks(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{}.WithLimitsDividedBy(500))
	writeEndless(t, engine)
	var checks []authz.Check
	add := func(user, typ, resource string, permission authz.Permission) {
		checks = append(checks, authz.Check{
			Subject: endlessSubject("", "@"+user), Permission: permission, Resource: authz.Object{
				Type: authz.Type(typ), ID: authz.ID(resource),
			},
		})
	}
	for i := range 9 {
		add("nobody", "lad", fmt.Sprintf("layers%d_%d", i/3, i%3), "both")
	}
	add("nobody", "lad", "layers12_0", "can")
	add("layers", "lad", "layers12_0", "can")
	add("chain", "doc", "chain0", "above")
	add("chain", "doc", "chain40", "above")
	add("wide", "doc", "wide7", "above")
	results, _, err := engine.CheckBulk(t.Context(), checks, authz.Fully())
	require.NoError(t, err)
	refused := 0
	for i, result := range results {
		requireSameAnswer(t, engine, checks[i], result)
		if result.Err != nil {
			refused++
		}
	}
	require.Greater(t, refused, 5)
	require.NoError(t, results[len(results)-1].Err)
	require.True(t, results[len(results)-1].Decision.Allowed())
}

const orderedSchema = `definition user {}

definition folder {
	relation viewer: user
	relation parent: folder
	permission first = viewer + parent->first
	permission last = parent->last + viewer
}`

// TestAnswersAtDepthLimitDoNotVary checks a union with one part that allows and another that is nested too deeply.
// Alone and in a bulk, the answer must always be that of the first part in the schema.
func TestAnswersAtDepthLimitDoNotVary(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), orderedSchema))
	var write authz.Write
	add := func(i int, relation authz.Relation, subject authz.Subject) {
		write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
			Resource: authz.Object{Type: "folder", ID: authz.ID(fmt.Sprint("f", i))}, Relation: relation, Subject: subject,
		}})
	}
	for i := range 60 {
		add(i, "parent", authz.Subject{Object: authz.Object{Type: "folder", ID: authz.ID(fmt.Sprint("f", i+1))}})
		add(i, "viewer", alice)
	}
	_, err := engine.Write(t.Context(), write)
	require.NoError(t, err)

	var checks []authz.Check
	for _, i := range []int{0, 5, 9, 10, 11, 12, 13, 20} {
		for _, permission := range []authz.Permission{"first", "last"} {
			checks = append(
				checks,
				authz.Check{
					Subject: alice, Permission: permission, Resource: authz.Object{Type: "folder", ID: authz.ID(fmt.Sprint("f", i))},
				},
			)
		}
	}
	tooLarge := false
	for range 6 {
		results, _, err := engine.CheckBulk(t.Context(), checks, authz.Fully())
		require.NoError(t, err)
		for i, result := range results {
			requireSameAnswer(t, engine, checks[i], result)
			if checks[i].Permission == "first" {
				require.NoError(t, result.Err, "%+v", checks[i])
				require.True(t, result.Decision.Allowed(), "%+v", checks[i])
			}
			tooLarge = tooLarge || result.Err != nil
		}
	}
	require.True(t, tooLarge, "no part is nested too deeply")
}
