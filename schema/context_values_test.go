package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// TestLargeIntegersByType checks integers that do not fit into 64 bits, at different positions in the value of a
// parameter. They must be rejected only where the type of the parameter has an integer.
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
		require.True(t, schema.NeedsTypes(values))
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
	require.False(t, schema.NeedsTypes(map[string]any{"a": []any{"abc", true, nil, 1.5, "1e22.5", -9223372036854775808.0, uint64(1)}}))
}

// TestNumbersInStringsByType checks strings that SpiceDB reads as numbers. They must be rejected only where SpiceDB
// would change the number.
func TestNumbersInStringsByType(t *testing.T) {
	caveats, err := schema.ReadCaveats(`definition user {}

caveat types(whole int, positive uint, share double, many list<double>, text string, free any) {
	whole == 1 && positive == 1 && share == 1.0 && many == [1.0] && text == "a" && free == 1
}

definition item {
	relation viewer: user with types
}`)
	require.NoError(t, err)
	rejected := func(name string, value any) bool {
		values := map[string]any{name: value}
		err := caveats.CheckStored("types", "context", values)
		if err != nil {
			require.ErrorIs(t, err, authz.CodeInvalid)
			require.ErrorContains(t, err, `"context.`+name)
			require.True(t, schema.NeedsTypes(values), "%s: %v", name, value)
		}
		require.Len(t, caveats.CheckGiven("item", "viewer", "context", values), map[bool]int{true: 1}[err != nil])
		return err != nil
	}
	for _, text := range []string{
		"9007199254740993", "-9007199254740993", "9007199254740992.5", "1e30", "1e400", "1e-400", "0.12345678901234567890",
		"18446744073709551617", "9007199254740993p0",
	} {
		require.True(t, rejected("share", text), text)
		require.True(t, rejected("many", []any{"1", text}), text)
		require.False(t, rejected("text", text), text)
		require.False(t, rejected("free", text), text)
	}
	for _, text := range []string{
		"9007199254740992", "0", "0.1", "-0.1", "1e22", "1.5", "0.30000000000000004", "1p70", "abc", "", "Inf", "9,5",
	} {
		require.False(t, rejected("share", text), text)
		require.False(t, rejected("many", []any{text}), text)
	}
	for _, text := range []string{"9007199254740993", "9223372036854775807", "1e3", "12.50e1"} {
		require.False(t, rejected("whole", text), text)
		require.False(t, rejected("positive", text), text)
	}
	for _, text := range []string{"9223372036854775808", "4611686018427387904.25", "1.0000000000000000000000001"} {
		require.True(t, rejected("whole", text), text)
		require.True(t, rejected("positive", text), text)
	}
}

func TestTimesAreInFormOfSpiceDB(t *testing.T) {
	parameters, err := schema.ReadParameters(`definition user {}

caveat types(at timestamp, many list<timestamp>, named map<timestamp>, text string) {
	at == at && many == many && named == named && text == text
}`)
	require.NoError(t, err)
	lower, upper := "2026-01-01t00:00:00.5z", "2026-01-01T00:00:00.5Z"
	given := map[string]any{
		"at": lower, "many": []any{lower, upper, 1.0}, "named": map[string]any{"a": lower}, "text": lower, "other": lower,
	}
	require.True(t, schema.NeedsTypes(given))
	require.False(t, schema.NeedsTypes(map[string]any{"at": upper, "text": "2026-01-01", "many": []any{"z"}}))
	require.Equal(t, map[string]any{
		"at": upper, "many": []any{upper, upper, 1.0}, "named": map[string]any{"a": upper}, "text": lower, "other": lower,
	}, parameters.WithStoredTimes("types", given))
	require.Equal(t, lower, given["at"], "the given context does not change")
	require.Equal(t, map[string]any{"at": "2017-01-01T00:00:00Z", "many": lower, "named": 1.0},
		parameters.WithStoredTimes("types", map[string]any{"at": "2016-12-31t23:59:60z", "many": lower, "named": 1.0}))
	require.NoError(t, parameters.CheckTypes("types", `{"at": "`+lower+`", "many": ["`+lower+`"]}`))
	require.Error(t, parameters.CheckTypes("types", `{"at": "2026-01-01"}`))
}
