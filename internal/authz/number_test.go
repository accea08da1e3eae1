package authz_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestExactNumbers holds which numbers are the same after they were read as a double.
func TestExactNumbers(t *testing.T) {
	t.Parallel()
	for number, exact := range map[string]bool{
		"0": true, "-0": true, "0.0": true, "0e999999999999999999999": true, "7": true, "-7": true, "1.50": true, "0.1": true, "1e3": true,
		"123456789012345": true, "0.30000000000000004": true, "1E-7": true, "5e-324": true, "1e22": true, "-0.1e1": true,
		"0.1000000000000000055511151231257827021181583404541015625": true,
		"9007199254740991":                        true,
		"9007199254740992":                        true,
		"9007199254740993":                        false,
		"-9007199254740993":                       false,
		"9007199254740993.0":                      false,
		"9.007199254740993e15":                    false,
		"9007199254740994":                        true,
		"9223372036854775807":                     false,
		"9223372036854775808":                     true,
		"9223372036854776000":                     false, // as Go and JavaScript write the double 9223372036854775808
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

// TestCheckNumbers holds that the error about an inexact number names its field.
func TestCheckNumbers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value any
		field string
	}{
		"nothing":           {nil, ""},
		"a double":          {map[string]any{"a": math.MaxFloat64, "b": 0.1}, ""},
		"a small integer":   {map[string]any{"a": int64(1) << 53, "b": []any{1, uint(2), uint64(3), json.Number("4.5")}}, ""},
		"an int":            {map[string]any{"a": map[string]any{"b": 1<<53 + 1}}, "context.a.b"},
		"an int64":          {map[string]any{"a": []any{"x", int64(math.MinInt64) + 1}}, "context.a[1]"},
		"a uint64":          {map[string]any{"a": uint64(math.MaxUint64)}, "context.a"},
		"a uint":            {map[string]any{"a": uint(math.MaxUint64)}, "context.a"},
		"a number as text":  {map[string]any{"a": "9007199254740993"}, ""},
		"a json.Number":     {map[string]any{"a": []any{map[string]any{"b": json.Number("9007199254740993")}}}, "context.a[0].b"},
		"not even a number": {map[string]any{"a": json.Number("many")}, "context.a"},
	} {
		err := authz.CheckNumbers("context", c.value)
		switch {
		case (err != nil) != (c.field != ""):
			t.Errorf("%s: %v", name, err)
		case err != nil && (authz.CodeOf(err) != authz.CodeInvalid || !strings.Contains(err.Error(), `"`+c.field+`"`) || !strings.Contains(err.Error(), "string")):
			t.Errorf("%s: %v", name, err)
		}
	}
}
