package schema

import (
	"encoding/json"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/schemadsl/compiler"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Parameters are the parameters of a schema's caveats: caveat → name → type.
type Parameters map[string]map[string]*core.CaveatTypeReference

// ReadParameters returns the parameters of the caveats of a schema without imports. Errors have code authz.CodeInvalid.
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

// CheckStored returns an error with code authz.CodeInvalid if the context of a relationship has an integer that is too
// large for the caveat's parameter. The error names the path of the integer, which begins with field.
func (p Parameters) CheckStored(caveat, field string, values map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := checkIntegers(field+"."+name, values[name], p[caveat][name]); err != nil {
			return err
		}
	}
	return nil
}

// Caveats has the parameters of a schema's caveats, and the caveats that each check or look-up may evaluate.
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

// CheckGiven checks the integers in the context of a check or look-up of a permission, or of a relation. It considers
// only caveats that this permission may evaluate. For each parameter with an integer that is too large, it returns an
// error with code authz.CodeInvalid. The error names the path of the integer, which begins with field.
func (c Caveats) CheckGiven(
	on authz.Type, permission authz.Permission, field string, values map[string]any,
) map[string]error {
	rejected := make(map[string]error)
	for _, caveat := range c.graph.reachable(reach{string(on), string(permission)}) {
		for name, value := range values {
			if err := checkIntegers(field+"."+name, value, c.Parameters[caveat][name]); err != nil {
				rejected[name] = err
			}
		}
	}
	return rejected
}

// checkIntegers checks the integers in the value of a parameter. SpiceDB v1.56.0 replaces an integer beyond 64 bits by
// the largest, or smallest, 64-bit integer, for uint as for int.
func checkIntegers(field string, value any, of *core.CaveatTypeReference) error {
	switch of.GetTypeName() {
	case "int", "uint":
		if text, large := largeInteger(value); large {
			return authz.Errorf(authz.CodeInvalid, "the field %q holds the number %s, which is no 64-bit integer: "+
				"send it as a string and declare the parameter as string", field, authz.Echo(text))
		}
	case "list":
		items, _ := value.([]any)
		for i, item := range items {
			if err := checkIntegers(field+"["+strconv.Itoa(i)+"]", item, of.GetChildTypes()[0]); err != nil {
				return err
			}
		}
	case "map":
		items, _ := value.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(items)) {
			if err := checkIntegers(field+"."+key, items[key], of.GetChildTypes()[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// HasLargeInteger reports whether a JSON value contains an integer beyond 64 bits, also as a string.
func HasLargeInteger(value any) bool {
	switch v := value.(type) {
	case []any:
		return slices.ContainsFunc(v, HasLargeInteger)
	case map[string]any:
		for _, item := range v {
			if HasLargeInteger(item) {
				return true
			}
		}
		return false
	default:
		_, large := largeInteger(v)
		return large
	}
}

// largeInteger returns the text of a number, or of a string that SpiceDB reads as a number, and whether it is an
// integer beyond 64 bits.
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
	number, _, err := big.ParseFloat(text, 10, 64, big.ToNearestEven) // SpiceDB reads the text with 64 bits too
	if err != nil || !number.IsInt() {
		return text, false
	}
	_, accuracy := number.Int64()
	return text, accuracy != big.Exact
}
