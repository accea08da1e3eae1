package authz

import (
	"encoding/json"
	"maps"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// maxDoubleDigits is the maximum number of significant decimal digits in the exact value of a double.
const maxDoubleDigits = 767

// maxDoubleSize is the largest exponent of a double in the form 0.DIGITS × 10^EXPONENT. The largest double is about
// 1.8 × 10^308. smallestNormal is the smallest positive double with the full precision of 53 bits, about 2.2 ×
// 10^-308.
const (
	maxDoubleSize  = 309
	smallestNormal = 0x1p-1022
)

// IsExact reports whether a double represents a JSON number exactly. SpiceDB stores every number of a caveat context
// as a double, which turns 9007199254740993 into 9007199254740992. A number that is not an integer also counts as
// exact if formatting its double gives the same digits. So 0.1 is exact, although its binary value differs a little.
// Numbers other than zero whose absolute value is less than smallestNormal are not exact, since a double has fewer
// bits for them.
func IsExact(number string) bool {
	if len(number) <= 15 && !strings.ContainsAny(number, "eE") {
		_, err := strconv.ParseFloat(number, 64)
		return err == nil
	}
	digits, exponent := decimal(number)
	switch size := exponent + len(digits); {
	case digits == "":
		return true
	case len(digits) > maxDoubleDigits, size > maxDoubleSize, size < -maxDoubleSize:
		return false
	}
	double, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsInf(double, 0) || math.Abs(double) < smallestNormal {
		return false
	}
	if exponent < 0 {
		shortest, shortestExponent := decimal(strconv.FormatFloat(double, 'e', -1, 64))
		if digits == shortest && exponent == shortestExponent {
			return true
		}
	}
	// The code below computes with integers that have as many digits as the number. This check rejects numbers for
	// which it would take too long, and which are never exact. If the exponent is more than 22, the number has the
	// factor 5^23, which alone has more than 53 bits. If the exponent is negative, the number is exact only if its
	// digits are a multiple of 5^-exponent.
	if exponent > 22 || -exponent > 3*len(digits)/2+1 {
		return false
	}
	if exponent >= 0 && len(digits) < 20 {
		return isOddPartOfDouble(digits, exponent)
	}
	exact, ok := new(big.Rat).SetString(digits + "e" + strconv.Itoa(exponent))
	if !ok {
		return false
	}
	_, isExact := exact.Float64()
	return isExact
}

// isOddPartOfDouble reports whether a double can represent digits × 10^exponent exactly: without its factors of two,
// the number must fit into the 53 bits of a double. There are at most 19 digits, and the exponent is at most 22.
func isOddPartOfDouble(digits string, exponent int) bool {
	odd, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || odd == 0 {
		return false
	}
	odd >>= bits.TrailingZeros64(odd)
	for range exponent {
		if odd > 1<<53 {
			return false
		}
		odd *= 5
	}
	return odd <= 1<<53
}

// decimal splits the absolute value of a number into digits × 10^exponent. The digits neither begin nor end with a
// zero. For the number zero, they are empty.
func decimal(number string) (digits string, exponent int) {
	number = strings.TrimLeft(number, "+-")
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		exponent, _ = strconv.Atoi(number[i+1:]) // an exponent that overflows an int is too large for a double
		number = number[:i]
	}
	whole, fraction, _ := strings.Cut(number, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	return trimmed, exponent + len(digits) - len(trimmed)
}

// Inexact returns the end of an error message about a number that IsExact rejects. The message begins with the name
// of the field.
func Inexact(number string) string {
	return "holds the number " + Echo(number) + ", which is not exact as a 64-bit floating-point number: " +
		"send it as a string and declare the parameter as string"
}

// CheckNumbers returns an error with CodeInvalid if a JSON value contains a number that a double does not represent
// exactly. The error names the path of the number; the path begins with the value of "name". The value may have the
// types of encoding/json, json.Number, and Go's integer types.
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

// ParseContext parses a caveat context from a JSON object. Numbers in the result have the type json.Number. It
// rejects a repeated key, and a number that a double does not represent exactly. Errors have CodeInvalid, and name
// the path of the field; the path begins with the value of "name".
func ParseContext(name, text string) (map[string]any, error) {
	var values map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil || values == nil || decoder.More() {
		return nil, &Error{Code: CodeInvalid, Message: "the " + name + " is not a JSON object", Cause: err}
	}
	if err := checkKeys(name, text); err != nil {
		return nil, err
	}
	return values, CheckNumbers(name, values)
}

// checkKeys returns an error with CodeInvalid if the text has a JSON object with a repeated key. The text must be
// valid JSON. The error names the path of the object; the path begins with the value of "name".
func checkKeys(name, text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return checkNextKeys(name, decoder)
}

// checkNextKeys does what checkKeys does, for the next value of a decoder.
func checkNextKeys(name string, decoder *json.Decoder) error {
	begin, err := decoder.Token()
	if err != nil || begin != json.Delim('{') && begin != json.Delim('[') {
		return err
	}
	seen := make(map[string]bool)
	for i := 0; decoder.More(); i++ {
		field := name + "[" + strconv.Itoa(i) + "]"
		if begin == json.Delim('{') {
			token, err := decoder.Token()
			key, isKey := token.(string)
			switch {
			case err != nil || !isKey:
				return err
			case seen[key]:
				return Errorf(CodeInvalid, "the field %q has the key %q twice", name, key)
			}
			seen[key], field = true, name+"."+key
		}
		if err := checkNextKeys(field, decoder); err != nil {
			return err
		}
	}
	_, err = decoder.Token() // the end of the object or list
	return err
}
