package httpapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxNesting is the deepest nesting of values in a body.
const maxNesting = 64

// maxEntries is the highest number of entries of a list in a body. It also applies to an object with arbitrary keys
// whose values have a type.
const maxEntries = 1000

// scanner checks that JSON has the shape of a Go type, more strictly than decoding does. These are the rules by type:
//   - A struct needs exactly its fields, each once and with the right type. Fields without omitempty are required. A
//     field with omitempty, and a nullable.Nullable, may be null, which means the same as leaving it out.
//   - A union may be any value except null, and an interface any value. In both, objects may not have repeated keys.
//   - A json.RawMessage may have any shape.
type scanner struct {
	*jsontext.Decoder
	lenient bool // skip unknown fields of a struct
}

var (
	rawMessage = reflect.TypeFor[json.RawMessage]()
	timeOfDay  = reflect.TypeFor[time.Time]()
)

func (s *scanner) value(t reflect.Type, depth int) *fault {
	if depth > maxNesting {
		return faultf("is nested deeper than %d levels", maxNesting)
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	first := s.PeekKind()
	switch {
	case jsonKind(first) == "":
		return s.skip() // returns the syntax error
	case t == rawMessage, isNullable(t) && first == jsontext.KindNull:
		return s.skip()
	case t == timeOfDay:
		return s.time(first)
	case isUnion(t) && first == jsontext.KindNull:
		return faultf("must not be null")
	case isUnion(t):
		return s.free(depth)
	case isNullable(t):
		t = t.Elem()
	}
	if required := mismatchedKind(t.Kind(), first); required != "" {
		return faultf("must be %s, not %s", required, jsonKind(first))
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.object(fieldsOf(t), depth)
	case reflect.Map:
		return s.dictionary(t.Elem(), depth)
	case reflect.Slice:
		return s.list(t.Elem(), depth)
	case reflect.Interface:
		return s.free(depth)
	case reflect.Int:
		return s.integer()
	default:
		return s.skip()
	}
}

// mismatchedKind returns the JSON type that a Go kind requires, or an empty string if the value has it.
func mismatchedKind(kind reflect.Kind, value jsontext.Kind) string {
	switch {
	case kind == reflect.Struct && value != jsontext.KindBeginObject,
		kind == reflect.Map && value != jsontext.KindBeginObject:
		return "an object"
	case kind == reflect.Slice && value != jsontext.KindBeginArray:
		return "a list"
	case kind == reflect.String && value != jsontext.KindString:
		return "a string"
	case kind == reflect.Bool && value != jsontext.KindTrue && value != jsontext.KindFalse:
		return "true or false"
	case kind == reflect.Int && value != jsontext.KindNumber:
		return "a number"
	default:
		return ""
	}
}

// jsonKind returns the name of a kind of values, or an empty string for any other kind.
func jsonKind(kind jsontext.Kind) string {
	switch kind {
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "a list"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "true or false"
	case jsontext.KindNull:
		return "null"
	case jsontext.KindNumber:
		return "a number"
	default:
		return ""
	}
}

// object scans an object with the fields of a struct.
func (s *scanner) object(fields *fields, depth int) *fault {
	var seen uint64
	fault := s.entries(func(key string) *fault {
		i, known := fields.index[key]
		switch {
		case !known && s.lenient:
			return s.skip()
		case !known:
			return faultf(
				"does not exist; the fields here are %s%s",
				strings.Join(fields.names, ", "),
				fields.hint(key),
			)
		case seen&(1<<i) != 0:
			return faultf("appears twice")
		}
		seen |= 1 << i
		t := fields.types[i]
		if fields.required&(1<<i) == 0 && s.PeekKind() == jsontext.KindNull && !isNullable(t) {
			return s.skip()
		}
		return s.value(t, depth+1)
	})
	if fault != nil {
		return fault
	}
	if missing := fields.required &^ seen; missing != 0 {
		for i, name := range fields.names {
			if missing&(1<<i) != 0 {
				return faultf("is missing").in(name)
			}
		}
	}
	return nil
}

// dictionary scans an object with arbitrary keys. If its values have a type, it may have maxEntries entries.
func (s *scanner) dictionary(value reflect.Type, depth int) *fault {
	seen := make(map[string]bool)
	var full, repeated *fault
	fault := s.entries(func(key string) *fault {
		if value != anything && len(seen) == maxEntries {
			full = tooMany()
			return full
		}
		if seen[key] {
			repeated = faultf("has the key %q twice", authz.Echo(key))
			return repeated
		}
		seen[key] = true
		// Every list in such an object has roles of a person.
		if value.Kind() == reflect.Slice && s.PeekKind() == jsontext.KindNull {
			return faultf("must be a list, not null; an empty list, [], removes the roles")
		}
		return s.value(value, depth+1)
	})
	// These errors are about the whole object, not about its last entry.
	if own := cmp.Or(full, repeated); own != nil {
		own.path = ""
		return own
	}
	return fault
}

// tooMany returns the fault of a list that is too long. The scanner detects this before it allocates memory for the
// entries.
func tooMany() *fault {
	return &fault{
		code:    authz.CodeTooLarge,
		problem: fmt.Sprintf("has more than %d entries; one request holds at most %d", maxEntries, maxEntries),
	}
}

// entries scans an object. At the value of every key, it calls each, which must scan the value.
func (s *scanner) entries(each func(key string) *fault) *fault {
	if _, fault := s.token(); fault != nil { // {
		return fault
	}
	for s.PeekKind() != jsontext.KindEndObject {
		name, fault := s.token()
		if fault != nil {
			return fault
		}
		key := name.String()
		if fault := each(key); fault != nil {
			return fault.in(key)
		}
	}
	_, fault := s.token() // }
	return fault
}

func (s *scanner) list(item reflect.Type, depth int) *fault {
	if _, fault := s.token(); fault != nil { // [
		return fault
	}
	for i := 0; s.PeekKind() != jsontext.KindEndArray; i++ {
		if i == maxEntries && item != anything {
			return tooMany()
		}
		if fault := s.value(item, depth+1); fault != nil {
			return fault.in("[" + strconv.Itoa(i) + "]")
		}
	}
	_, fault := s.token() // ]
	return fault
}

var anything = reflect.TypeFor[any]()

// free scans a value of any shape. It rejects repeated keys, deep nesting, and numbers that a float64 cannot hold
// exactly, since decoding would change these.
func (s *scanner) free(depth int) *fault {
	first := s.PeekKind()
	if first == jsontext.KindBeginObject {
		return s.dictionary(anything, depth)
	}
	if first == jsontext.KindBeginArray {
		return s.list(anything, depth)
	}
	value, fault := s.token()
	if fault == nil && value.Kind() == jsontext.KindNumber && !authz.IsExact(value.String()) {
		return faultf("%s", authz.Inexact(value.String()))
	}
	return fault
}

// time scans a time.
func (s *scanner) time(first jsontext.Kind) *fault {
	wrong := faultf(`must be a time of RFC 3339, such as "2030-01-31T17:00:00Z"`)
	if first != jsontext.KindString {
		return wrong
	}
	text, fault := s.token()
	if fault != nil {
		return fault
	}
	if _, err := authz.ParseTime(text.String()); err != nil {
		return wrong
	}
	return nil
}

// integer scans a whole number.
func (s *scanner) integer() *fault {
	number, fault := s.token()
	if fault != nil {
		return fault
	}
	text := number.String()
	if _, err := strconv.ParseInt(text, 10, 64); err != nil {
		return faultf("must be a whole number that fits in 64 bits, such as 3600; it is %s", authz.Echo(text))
	}
	return nil
}

// token scans one token.
func (s *scanner) token() (jsontext.Token, *fault) {
	token, err := s.ReadToken()
	if err != nil {
		return token, &fault{syntax: err}
	}
	return token, nil
}

// skip scans a value without checking its shape.
func (s *scanner) skip() *fault {
	if err := s.SkipValue(); err != nil {
		return &fault{syntax: err}
	}
	return nil
}
