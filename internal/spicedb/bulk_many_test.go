package spicedb_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestBulkOfManyChecksHasTheAnswersOfChecks makes a bulk that is larger than SpiceDB's chunks of 100 checks, and than
// the largest call. Each item must have the answer of a single check, even if other checks have unknown permissions.
func TestBulkOfManyChecksHasTheAnswersOfChecks(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), foldersSchema))
	const many = 1250
	var write authz.Write
	checks := make([]authz.Check, many)
	for i := range checks {
		checks[i] = viewOf("low", fmt.Sprint("f", i))
		if i%3 == 0 {
			write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
				Resource: checks[i].Resource, Relation: "viewer", Subject: checks[i].Subject,
			}})
		}
		if i%250 == 149 {
			checks[i].Permission = "unknown"
		}
	}
	_, err := engine.Write(t.Context(), write)
	require.NoError(t, err)
	results, _, err := engine.CheckBulk(t.Context(), checks, authz.Fully())
	require.NoError(t, err)
	require.Len(t, results, many)
	for i, result := range results {
		if i%250 == 149 {
			require.ErrorIs(t, result.Err, authz.CodeInvalid, i)
			continue
		}
		require.NoError(t, result.Err, i)
		require.Equal(t, i%3 == 0, result.Decision.Allowed(), i)
	}
}
