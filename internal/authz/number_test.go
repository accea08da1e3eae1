package authz_test

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestExactNumbers checks for many numbers whether IsExact accepts them.
func TestExactNumbers(t *testing.T) {
	t.Parallel()
	for number, exact := range map[string]bool{
		"0": true, "-0": true, "0.0": true, "0e999999999999999999999": true, "7": true, "-7": true, "1.50": true, "0.1": true,
		"1e3":             true,
		"123456789012345": true, "0.30000000000000004": true, "1E-7": true, "5e-324": false, "2.2250738585072014e-308": true,
		"2.2250738585072011e-308": false, "1e22": true, "-0.1e1": true,
		"0.1000000000000000055511151231257827021181583404541015625": true,
		"9007199254740991":     true,
		"9007199254740992":     true,
		"9007199254740993":     false,
		"-9007199254740993":    false,
		"9007199254740993.0":   false,
		"9.007199254740993e15": false,
		"9007199254740994":     true,
		"9223372036854775807":  false,
		"9223372036854775808":  true,
		// Go and JavaScript format the double 9223372036854775808 like this.
		"9223372036854776000":                     false,
		"18446744073709551615":                    false,
		"1e23":                                    false,
		"99999999999999991611392":                 true,
		"0.12345678901234567890":                  false,
		"3.14159265358979323846":                  false,
		"1e400":                                   false,
		"-1e999999999999999999999":                false,
		"1e-400":                                  false,
		"1e-99999999999999999999":                 false,
		"1" + strings.Repeat("0", 100_000):        false,
		"1." + strings.Repeat("0", 100_000):       true,
		"0." + strings.Repeat("0", 100_000) + "1": false,
		strings.Repeat("7", 100_000):              false,
		"0." + strings.Repeat("7", 100_000):       false,
	} {
		if got := authz.IsExact(number); got != exact {
			t.Errorf("%.40s is exact: %t", number, got)
		}
	}
}

// TestExactNumbersOfAnySize formats random doubles with a random number of digits. It compares IsExact with a
// computation that uses rational numbers.
func TestExactNumbersOfAnySize(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[bool]int{}
	for range 5000 {
		double := math.Abs(math.Float64frombits(random.Uint64()))
		if math.IsInf(double, 0) || math.IsNaN(double) {
			continue
		}
		number := strconv.FormatFloat(double, 'e', random.IntN(40)-1, 64)
		if random.IntN(2) == 0 {
			number = strconv.FormatFloat(math.Trunc(math.Mod(double, 1e30)), 'f', -1, 64)
		}
		written, ok := new(big.Rat).SetString(number)
		if !ok {
			t.Fatal(number)
		}
		nearest, exact := written.Float64()
		if nearest != 0 && nearest < 0x1p-1022 {
			exact = false
		} else if !written.IsInt() && new(big.Rat).SetFloat64(nearest) != nil {
			shortest, _ := new(big.Rat).SetString(strconv.FormatFloat(nearest, 'e', -1, 64))
			exact = exact || shortest.Cmp(written) == 0
		}
		if got := authz.IsExact(number); got != exact {
			t.Errorf("%s is exact: %t", number, got)
		}
		seen[exact]++
	}
	if seen[true] < 100 || seen[false] < 100 {
		t.Errorf("the test had %d exact and %d inexact numbers, want 100 of each", seen[true], seen[false])
	}
}

// BenchmarkIsExact measures numbers for which the computation is short, and numbers whose exact value has many
// digits.
func BenchmarkIsExact(b *testing.B) {
	for _, number := range []string{"5e-324", "1e-300", "1.23456789012345e-308", "1e22", "1e15", "0.30000000000000004"} {
		b.Run(number, func(b *testing.B) {
			for b.Loop() {
				authz.IsExact(number)
			}
		})
	}
}

// TestCheckNumbers checks that the error about an inexact number names its field.
func TestCheckNumbers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value any
		field string
	}{
		"nothing":          {nil, ""},
		"a double":         {map[string]any{"a": math.MaxFloat64, "b": 0.1}, ""},
		"a small integer":  {map[string]any{"a": int64(1) << 53, "b": []any{1, uint(2), uint64(3), json.Number("4.5")}}, ""},
		"an int":           {map[string]any{"a": map[string]any{"b": 1<<53 + 1}}, "context.a.b"},
		"an int64":         {map[string]any{"a": []any{"x", int64(math.MinInt64) + 1}}, "context.a[1]"},
		"a uint64":         {map[string]any{"a": uint64(math.MaxUint64)}, "context.a"},
		"a uint":           {map[string]any{"a": uint(math.MaxUint64)}, "context.a"},
		"a number as text": {map[string]any{"a": "9007199254740993"}, ""},
		"a json.Number": {
			map[string]any{"a": []any{map[string]any{"b": json.Number("9007199254740993")}}}, "context.a[0].b",
		},
		"not even a number": {map[string]any{"a": json.Number("many")}, "context.a"},
	} {
		err := authz.CheckNumbers("context", c.value)
		switch {
		case (err != nil) != (c.field != ""):
			t.Errorf("%s: %v", name, err)
		case err != nil && (authz.CodeOf(
			err,
		) != authz.CodeInvalid || !strings.Contains(err.Error(), `"`+c.field+`"`) || !strings.Contains(err.Error(), "string")):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParseContextRejectsRepeatedKeys checks that the error about a repeated key names the key and the object that
// has it.
func TestParseContextRejectsRepeatedKeys(t *testing.T) {
	for text, says := range map[string]string{
		`{"hour":1,"day":2,"hour":3}`:       `the field "context" has the key "hour" twice`,
		`{"a":1,"\u0061":2}`:                `the field "context" has the key "a" twice`,
		`{"more":[1,{"x":{},"x":[]}]}`:      `the field "context.more[1]" has the key "x" twice`,
		`{"a":{"b":{"c":null,"c":null}}}`:   `the field "context.a.b" has the key "c" twice`,
		`{"a":{"b":1},"c":{"b":1},"b":[1]}`: "",
		`{}`:                                "",
	} {
		values, err := authz.ParseContext("context", text)
		if says == "" {
			require.NoError(t, err, text)
			require.NotNil(t, values)
			continue
		}
		require.ErrorIs(t, err, authz.CodeInvalid, text)
		require.ErrorContains(t, err, says)
	}
}
