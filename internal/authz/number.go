package authz

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxDoubleDigits is how many significant digits the exact value of a double has at most.
const maxDoubleDigits = 767

// IsExact reports whether a double holds a number that is written as JSON writes it. SpiceDB keeps every number of a caveat
// context as a double, in which 9007199254740993 is 9007199254740992. A fraction is held exactly if the double is
// written as that fraction, as 0.1 is, although its binary value differs a little.
func IsExact(number string) bool {
	if len(number) <= 15 && !strings.ContainsAny(number, "eE") {
		_, err := strconv.ParseFloat(number, 64)
		return err == nil
	}
	double, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsInf(double, 0) || math.IsNaN(double) {
		return false
	}
	digits, exponent := decimal(number)
	switch {
	case digits == "" || double == 0:
		return digits == "" && double == 0
	case len(digits) > maxDoubleDigits:
		return false
	}
	exact, exactExponent := decimal(strconv.FormatFloat(double, 'e', maxDoubleDigits, 64))
	if digits == exact && exponent == exactExponent {
		return true
	}
	shortest, shortestExponent := decimal(strconv.FormatFloat(double, 'e', -1, 64))
	return exponent < 0 && digits == shortest && exponent == shortestExponent
}

// decimal splits the absolute value of a number into digits and a power of ten: digits × 10^exponent. The digits
// neither begin nor end with a zero; those of zero are empty.
func decimal(number string) (digits string, exponent int) {
	number = strings.TrimLeft(number, "+-")
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		exponent, _ = strconv.Atoi(number[i+1:]) // one that is too large for an int does not belong to a double
		number = number[:i]
	}
	whole, fraction, _ := strings.Cut(number, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	return trimmed, exponent + len(digits) - len(trimmed)
}

// Inexact says what is wrong with a number that IsExact refuses.
func Inexact(number string) string {
	return "holds the number " + Echo(number) + ", which is not exact as a 64-bit floating-point number: send it as a string"
}

// CheckNumbers returns an error with CodeInvalid if a value of JSON holds a number that a double does not hold
// exactly. The error names the field, which begins with name. Besides the values of encoding/json, json.Number and
// integers are read.
func CheckNumbers(name string, value any) error {
	number := ""
	switch v := value.(type) {
	case json.Number:
		number = v.String()
	case int:
		number = strconv.Itoa(v)
	case int64:
		number = strconv.FormatInt(v, 10)
	case uint:
		number = strconv.FormatUint(uint64(v), 10)
	case uint64:
		number = strconv.FormatUint(v, 10)
	case []any:
		for i, item := range v {
			if err := CheckNumbers(name+"["+strconv.Itoa(i)+"]", item); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := CheckNumbers(name+"."+key, v[key]); err != nil {
				return err
			}
		}
	}
	if number != "" && !IsExact(number) {
		return Errorf(CodeInvalid, "the field %q %s", name, Inexact(number))
	}
	return nil
}

// ParseContext reads a caveat context that is written as a JSON object; its numbers are of type json.Number. Errors have
// CodeInvalid, also for a number that a double does not hold exactly, and name the field, which begins with name.
func ParseContext(name, text string) (map[string]any, error) {
	var values map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil || values == nil || decoder.More() {
		return nil, &Error{Code: CodeInvalid, Message: "the " + name + " is not a JSON object", Cause: err}
	}
	return values, CheckNumbers(name, values)
}
