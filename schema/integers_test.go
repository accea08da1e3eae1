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
	caveats, err := schema.ReadCaveats(`definition user {}

caveat types(single int, positive uint, many list<int>, named map<list<uint>>, fraction double, text string, free any) {
	single == 1 && positive == 1 && 1 in many && named.a == [1] && fraction == 1.0 && text == "a" && free == 1
}

caveat texts(single string) {
	single == "a"
}

definition item {
	relation viewer: user with types
	relation reader: user with texts
	permission view = viewer
	permission read = reader
}`)
	require.NoError(t, err)
	large := "9223372036854775808"
	for name, value := range map[string]any{
		"single": 1e22, "positive": large, "many": []any{1, -1e22}, "named": map[string]any{"a": []any{"1e22"}},
	} {
		values := map[string]any{name: value, "other": 1e22}
		require.True(t, schema.HasLargeInteger(values))
		require.ErrorIs(t, caveats.CheckStored("types", "context", values), authz.CodeInvalid, name)
		rejected := caveats.CheckGiven("item", "view", "context", values)
		require.Len(t, rejected, 1)
		require.ErrorContains(t, rejected[name], `"context.`+name, name)
		require.Empty(t, caveats.CheckGiven("item", "read", "context", values), "the permission evaluates no such caveat")
		require.NoError(t, caveats.CheckStored("unknown", "context", values))
	}
	require.Empty(t, caveats.CheckGiven("item", "view", "context", map[string]any{
		"single": "9223372036854775807", "fraction": 1e300, "text": large, "free": 1e22, "other": 1e22, "many": "1e22", "named": []any{large},
	}))
	require.False(t, schema.HasLargeInteger(map[string]any{"a": []any{"abc", true, nil, 1.5, "1e22.5", -9223372036854775808.0, uint64(1)}}))
}
