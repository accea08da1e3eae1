package schema

import (
	"encoding/json"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/schemadsl/compiler"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Parameters maps the name of each caveat of a schema to its parameters, and the name of each parameter to its type.
type Parameters map[string]map[string]*core.CaveatTypeReference

// ReadParameters returns the parameters of all caveats of a schema without imports. Errors have code
// authz.CodeInvalid.
func ReadParameters(text string) (Parameters, error) {
	if text == "" {
		return nil, nil
	}
	compiled, err := Compiled(text)
	if err != nil {
		return nil, err
	}
	return parametersOf(compiled), nil
}

func parametersOf(compiled *compiler.CompiledSchema) Parameters {
	parameters := make(Parameters)
	for _, caveat := range compiled.CaveatDefinitions {
		parameters[caveat.GetName()] = caveat.GetParameterTypes()
	}
	return parameters
}

// Names returns the names of the caveats, sorted.
func (p Parameters) Names() []string { return slices.Sorted(maps.Keys(p)) }

// CheckStored checks the numbers in the caveat context of a relationship that is to be stored. It returns an error
// with code authz.CodeInvalid if SpiceDB would change a number: an integer that is too large, or a number in a string
// that a double cannot hold exactly. This depends on the type of the caveat's parameter. The error names the path of
// the number; the path begins with the value of "field".
func (p Parameters) CheckStored(caveat, field string, values map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := checkNumbers(field+"."+name, values[name], p[caveat][name]); err != nil {
			return err
		}
	}
	return nil
}

// Caveats has the parameters of a schema's caveats. It also knows which caveats a check or look-up of a permission
// may evaluate.
type Caveats struct {
	Parameters

	graph graph
}

// ReadCaveats returns the caveats of a schema without imports. Errors have code authz.CodeInvalid.
func ReadCaveats(text string) (Caveats, error) {
	if text == "" {
		return Caveats{}, nil
	}
	compiled, err := Compiled(text)
	if err != nil {
		return Caveats{}, err
	}
	return Caveats{Parameters: parametersOf(compiled), graph: newGraph(compiled)}, nil
}

// CheckGiven checks the numbers in the context of a check or look-up of a permission or relation, as CheckStored
// does. It ignores caveats that this check or look-up cannot evaluate. If SpiceDB would change a number, the result
// maps the caveat parameter that has the number to an error with code authz.CodeInvalid. The error names the path of
// the number, as in CheckStored.
func (c Caveats) CheckGiven(
	on authz.Type, permission authz.Permission, field string, values map[string]any,
) map[string]error {
	rejected := make(map[string]error)
	for _, caveat := range c.graph.reachable(reach{string(on), string(permission)}) {
		for name, value := range values {
			if err := checkNumbers(field+"."+name, value, c.Parameters[caveat][name]); err != nil {
				rejected[name] = err
			}
		}
	}
	return rejected
}

// checkNumbers checks the numbers in the value of a parameter. If an integer does not fit into a signed 64-bit
// integer, SpiceDB v1.56.0 replaces it by the largest or smallest one, even for the type uint. It also rounds a
// number in a string to a double. In both cases, it returns no error.
func checkNumbers(field string, value any, of *core.CaveatTypeReference) error {
	switch of.GetTypeName() {
	case "int", "uint":
		if text, large := largeInteger(value); large {
			return authz.Errorf(authz.CodeInvalid, "the field %q holds the number %s, which is no 64-bit integer: "+
				"send it as a string and declare the parameter as string", field, authz.Echo(text))
		}
	case "double":
		if text, ok := value.(string); ok && isInexact(text) {
			return authz.Errorf(authz.CodeInvalid, "the field %q %s", field, authz.Inexact(text))
		}
	case "list":
		items, _ := value.([]any)
		for i, item := range items {
			if err := checkNumbers(field+"["+strconv.Itoa(i)+"]", item, of.GetChildTypes()[0]); err != nil {
				return err
			}
		}
	case "map":
		items, _ := value.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(items)) {
			if err := checkNumbers(field+"."+key, items[key], of.GetChildTypes()[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// WithStoredTimes returns the caveat context of a relationship, with all times in a form that SpiceDB accepts.
func (p Parameters) WithStoredTimes(caveat string, values map[string]any) map[string]any {
	changed := maps.Clone(values)
	for name, value := range values {
		changed[name] = withTimes(value, p[caveat][name])
	}
	return changed
}

// WithGivenTimes returns the context of a check or look-up of a permission or relation, with all times in a form that
// SpiceDB accepts. It ignores caveats that this check or look-up cannot evaluate.
func (c Caveats) WithGivenTimes(on authz.Type, permission authz.Permission, values map[string]any) map[string]any {
	for _, caveat := range c.graph.reachable(reach{string(on), string(permission)}) {
		values = c.WithStoredTimes(caveat, values)
	}
	return values
}

// withTimes returns the value of a parameter, with all times in a form that SpiceDB accepts.
func withTimes(value any, of *core.CaveatTypeReference) any {
	switch v := value.(type) {
	case string:
		if at, foreign := foreignTime(v); foreign && of.GetTypeName() == "timestamp" {
			return at.Format(time.RFC3339Nano)
		}
	case []any:
		if of.GetTypeName() == "list" {
			changed := slices.Clone(v)
			for i, item := range v {
				changed[i] = withTimes(item, of.GetChildTypes()[0])
			}
			return changed
		}
	case map[string]any:
		if of.GetTypeName() == "map" {
			changed := maps.Clone(v)
			for key, item := range v {
				changed[key] = withTimes(item, of.GetChildTypes()[0])
			}
			return changed
		}
	}
	return value
}

// foreignTime parses a time of RFC 3339 in a form that SpiceDB rejects, for example with lower-case letters. For any
// other text, foreign is false.
func foreignTime(text string) (at time.Time, foreign bool) {
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return time.Time{}, false
	}
	at, err := authz.ParseTime(text)
	return at, err == nil
}

// NeedsTypes reports whether a JSON value contains a value that SpiceDB changes or rejects if a parameter has a
// certain type, so that a caller must know the types of the parameters. Such a value is an integer that does not fit
// into a signed 64-bit integer, also in a string; a number in a string that a double cannot hold exactly; or a time
// in a form that SpiceDB rejects.
func NeedsTypes(value any) bool {
	switch v := value.(type) {
	case []any:
		return slices.ContainsFunc(v, NeedsTypes)
	case map[string]any:
		for _, item := range v {
			if NeedsTypes(item) {
				return true
			}
		}
		return false
	case string:
		_, large := largeInteger(v)
		_, foreign := foreignTime(v)
		return large || foreign || isInexact(v)
	default:
		_, large := largeInteger(v)
		return large
	}
}

// largeInteger returns the text of a number, or of a string that SpiceDB reads as a number. large reports whether it
// is an integer that does not fit into a signed 64-bit integer. A number that SpiceDB rounds to an integer, because
// it has too many digits, is also large.
func largeInteger(value any) (text string, large bool) {
	switch v := value.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	case float64:
		if v != math.Trunc(v) {
			return "", false
		}
		text = strconv.FormatFloat(v, 'f', 0, 64) // with all digits, and without an exponent
	case uint:
		text = strconv.FormatUint(uint64(v), 10)
	case uint64:
		text = strconv.FormatUint(v, 10)
	default:
		return "", false
	}
	number, err := parseNumber(text)
	if err != nil || !number.IsInt() {
		return text, false
	}
	rounded := number.Acc() != big.Exact
	_, accuracy := number.Int64()
	return text, accuracy != big.Exact || rounded
}

// isInexact reports whether SpiceDB reads a string as a number that a double cannot hold exactly. For numbers that
// are not integers, see authz.IsExact.
func isInexact(text string) bool {
	number, err := parseNumber(text)
	if err != nil || number.IsInf() {
		return false
	}
	rounded := number.Acc() != big.Exact
	double, accuracy := number.Float64()
	if accuracy == big.Exact && !rounded {
		return false
	}
	nearest, err := strconv.ParseFloat(text, 64)
	return err != nil || nearest != double || strings.ContainsAny(text, "pP") || !authz.IsExact(text)
}

// parseNumber parses a number in a string as SpiceDB does for the types int, uint and double: with a precision of 64
// bits.
func parseNumber(text string) (*big.Float, error) {
	number, _, err := big.ParseFloat(text, 10, 64, big.ToNearestEven)
	return number, err
}
