package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// TestLargeIntegersByType checks integers beyond 64 bits at different positions of a parameter. They must be rejected
// exactly where the parameter's type has an integer.
func TestLargeIntegersByType(t *testing.T) {
	parameters, err := schema.ReadParameters(`definition user {}

caveat types(single int, positive uint, many list<int>, named map<list<uint>>, fraction double, text string, free any) {
	single == 1 && positive == 1 && 1 in many && named.a == [1] && fraction == 1.0 && text == "a" && free == 1
}`)
	require.NoError(t, err)
	large := "9223372036854775808"
	for name, value := range map[string]any{
		"single": 1e22, "positive": large, "many": []any{1, -1e22}, "named": map[string]any{"a": []any{"1e22"}},
	} {
		values := map[string]any{name: value, "other": 1e22}
		require.True(t, schema.HasLargeInteger(values))
		require.ErrorIs(t, parameters.CheckStored("types", "context", values), authz.CodeInvalid, name)
		require.ErrorContains(t, parameters.CheckGiven("context", values), `"context.`+name, name)
		require.NoError(t, parameters.CheckStored("unknown", "context", values))
	}
	require.NoError(t, parameters.CheckGiven("context", map[string]any{
		"single": "9223372036854775807", "fraction": 1e300, "text": large, "free": 1e22, "other": 1e22, "many": "1e22", "named": []any{large},
	}))
	require.False(t, schema.HasLargeInteger(map[string]any{"a": []any{"abc", true, nil, 1.5, "1e22.5", -9223372036854775808.0, uint64(1)}}))
}
