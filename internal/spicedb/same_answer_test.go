package spicedb_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

const ladderSchema = `definition user {}

definition doc {
	relation allowed: user | doc#viewer
	relation direct: user | doc#allowed
	permission viewer = direct & allowed
	permission neither = direct - allowed
	permission without = (viewer + allowed) - (viewer & direct)
	permission apart = direct - (allowed - viewer)
}`

// writeLadder writes a chain of documents, l0, l1 and so on. Each leads to the next one in two ways. Only the last
// one allows the user z directly.
func writeLadder(t *testing.T, engine *spicedb.EmbeddedEngine, length int) {
	t.Helper()
	require.NoError(t, engine.ApplySchema(t.Context(), ladderSchema))
	var write authz.Write
	add := func(i int, relation authz.Relation, subject authz.Subject) {
		write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
			Resource: authz.Object{Type: "doc", ID: authz.ID(fmt.Sprint("l", i))}, Relation: relation, Subject: subject,
		}})
	}
	for i := range length {
		add(i, "allowed", endlessSubject("doc", fmt.Sprintf("l%d#viewer", i+1)))
		add(i, "direct", endlessSubject("doc", fmt.Sprintf("l%d#allowed", i+1)))
	}
	add(length, "allowed", endlessSubject("", "@z"))
	add(length, "direct", endlessSubject("", "@z"))
	_, err := engine.Write(t.Context(), write)
	require.NoError(t, err)
}

// TestSameCheckHasSameAnswer makes checks that are near the limit of steps, alone and in bulks, while other calls
// make the same checks. However often a check is made, it must have the same answer.
func TestSameCheckHasSameAnswer(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{}.WithLimitsDividedBy(100))
	const length = 10
	writeLadder(t, engine, length)
	var checks []authz.Check
	for i := range length {
		for _, permission := range []authz.Permission{"viewer", "neither", "without", "apart", "direct", "allowed"} {
			object := authz.Object{Type: "doc", ID: authz.ID(fmt.Sprint("l", i))}
			checks = append(checks, question{endlessSubject("", "@z"), object, permission}.check())
		}
	}
	result := func(decision authz.Decision, err error) string {
		if err != nil {
			require.ErrorIs(t, err, authz.CodeTooLarge)
			return "too_large"
		}
		return fmt.Sprint(decision.Allowed())
	}
	single := make([]string, len(checks))
	kinds := make(map[string]int)
	for i, check := range checks {
		decision, _, err := engine.Check(t.Context(), check, authz.Fully())
		single[i] = result(decision, err)
		kinds[single[i]]++
	}
	for _, kind := range []string{"too_large", "true", "false"} {
		require.Positive(t, kinds[kind], kind)
	}

	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer stop()
	others.Go(func() {
		for ctx.Err() == nil {
			_, _, _ = engine.CheckBulk(ctx, checks[:12], authz.Fully())
		}
	})
	for range 4 {
		for i := 0; i < len(checks); i += 6 { // all permissions of a document, as in a list of permissions
			results, token, err := engine.CheckBulk(t.Context(), checks[i:i+6], authz.Fully())
			if err != nil {
				require.ErrorIs(t, err, authz.CodeTooLarge)
				require.NotContains(t, single[i:i+6], "true")
				require.NotContains(t, single[i:i+6], "false")
				continue
			}
			for j, check := range checks[i : i+6] {
				require.Equal(t, single[i+j], result(results[j].Decision, results[j].Err), "bulk: %+v", check)
				decision, _, err := engine.Check(t.Context(), check, authz.AtSnapshot(token))
				require.Equal(t, single[i+j], result(decision, err), "single: %+v", check)
			}
		}
	}
}
