package httpapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxNesting is the deepest nesting of values in a body.
const maxNesting = 64

// maxEntries is the highest number of entries of a list in a body. It also applies to objects with arbitrary keys and
// typed values.
const maxEntries = 1000

// scanner checks that valid JSON has the shape of a Go type, more strictly than encoding/json. A struct needs exactly
// its fields, each once, in the right case and with the right type. All fields without omitempty are required.
// (encoding/json ignores case, takes the last of repeated fields, and ignores null.) A field with omitempty may be
// null, which means the same as leaving it out. So may a nullable.Nullable. A union may be any value except null. An
// interface may be any value. Neither may have repeated keys. A json.RawMessage is not checked.
//
// The T and the Z of a time may be in lower case. The scanner changes them to upper case in the data, because
// encoding/json requires it, and sets changed.
//
// A lenient scanner skips unknown fields of a struct. It overwrites their names in the data, because encoding/json
// could take them for a known field in another case.
type scanner struct {
	data    []byte
	at      int
	lenient bool
	changed bool
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
	first := s.peek()
	if t == rawMessage {
		s.skip()
		return nil
	}
	if t == timeOfDay {
		return s.time(first)
	}
	if isUnion(t) {
		if first == 'n' {
			return faultf("must not be null")
		}
		return s.free(depth)
	}
	if isNullable(t) {
		if first == 'n' {
			s.literal()
			return nil
		}
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
	case reflect.String:
		s.string()
	default:
		s.literal()
	}
	return nil
}

// mismatchedKind returns the JSON type that a Go kind requires, or an empty string if the first byte of the value fits.
func mismatchedKind(kind reflect.Kind, first byte) string {
	switch {
	case kind == reflect.Struct && first != '{', kind == reflect.Map && first != '{':
		return "an object"
	case kind == reflect.Slice && first != '[':
		return "a list"
	case kind == reflect.String && first != '"':
		return "a string"
	case kind == reflect.Bool && first != 't' && first != 'f':
		return "true or false"
	case kind == reflect.Int && jsonKind(first) != "a number":
		return "a number"
	default:
		return ""
	}
}

// object scans an object with the fields of a struct.
func (s *scanner) object(fields *fields, depth int) *fault {
	var seen uint64
	fault := s.entries(func(key string, raw []byte) *fault {
		i, known := fields.index[key]
		switch {
		case !known && s.lenient:
			blank(raw)
			s.skip()
			return nil
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
		if fields.required&(1<<i) == 0 && s.peek() == 'n' && !isNullable(t) {
			s.literal()
			return nil
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

// blank overwrites a name, so that it matches no field.
func blank(name []byte) {
	for i := range name {
		name[i] = '_'
	}
}

// dictionary scans an object with arbitrary keys. If its values have a type, it has at most maxEntries.
func (s *scanner) dictionary(value reflect.Type, depth int) *fault {
	seen := make(map[string]bool)
	var full *fault
	fault := s.entries(func(key string, _ []byte) *fault {
		if value != anything && len(seen) == maxEntries {
			full = tooMany()
			return full
		}
		if seen[key] {
			return faultf("appears twice")
		}
		seen[key] = true
		if value.Kind() == reflect.Slice && s.peek() == 'n' { // a list of roles by person or account
			return faultf("must be a list, not null; an empty list, [], removes the roles")
		}
		return s.value(value, depth+1)
	})
	// The error is about the whole object, not about its last entry.
	if full != nil {
		full.path = ""
		return full
	}
	return fault
}

// tooMany returns the fault of a list that is too long. The scanner finds it before memory for the entries is
// allocated.
func tooMany() *fault {
	return &fault{
		code:    authz.CodeTooLarge,
		problem: fmt.Sprintf("has more than %d entries; one request holds at most %d", maxEntries, maxEntries),
	}
}

// entries scans an object. At the value of every key, it calls the function each with the decoded and the raw key. each
// must scan the value.
func (s *scanner) entries(each func(key string, raw []byte) *fault) *fault {
	s.at++ // {
	for s.peek() != '}' {
		start := s.at
		key := s.string()
		raw := s.data[start+1 : s.at-1]
		s.peek()
		s.at++ // :
		if fault := each(key, raw); fault != nil {
			return fault.in(key)
		}
		if s.peek() == ',' {
			s.at++
			s.peek()
		}
	}
	s.at++ // }
	return nil
}

func (s *scanner) list(item reflect.Type, depth int) *fault {
	s.at++ // [
	for i := 0; s.peek() != ']'; i++ {
		if i == maxEntries && item != anything {
			return tooMany()
		}
		if fault := s.value(item, depth+1); fault != nil {
			return fault.in("[" + strconv.Itoa(i) + "]")
		}
		if s.peek() == ',' {
			s.at++
		}
	}
	s.at++ // ]
	return nil
}

var anything = reflect.TypeFor[any]()

// free scans a value of any shape. It rejects repeated keys, deep nesting, and numbers that a float64 cannot hold
// exactly, because encoding/json would change such numbers.
func (s *scanner) free(depth int) *fault {
	switch s.peek() {
	case '{':
		return s.dictionary(anything, depth)
	case '[':
		return s.list(anything, depth)
	case '"':
		s.string()
	default:
		first, start := s.data[s.at], s.at
		s.literal()
		if number := string(s.data[start:s.at]); jsonKind(first) == "a number" && !authz.IsExact(number) {
			return faultf("%s", authz.Inexact(number))
		}
	}
	return nil
}

// skip scans a value without checking it.
func (s *scanner) skip() {
	for depth := 0; ; {
		switch s.peek() {
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			depth--
			s.at++
		case ',', ':':
			s.at++
		case '"':
			s.string()
		default:
			s.literal()
		}
		if depth == 0 {
			return
		}
	}
}

// peek skips white space and returns the next byte.
func (s *scanner) peek() byte {
	for {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
}

// string scans a string and returns its value.
func (s *scanner) string() string {
	start := s.at
	escaped := false
	for s.at++; s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			escaped = true
			s.at++
		}
	}
	s.at++
	if !escaped {
		return string(s.data[start+1 : s.at-1])
	}
	var unescaped string
	if err := json.Unmarshal(s.data[start:s.at], &unescaped); err != nil {
		panic(fmt.Sprintf("a string of valid JSON: %v", err))
	}
	return unescaped
}

// time scans a time, and rewrites it in the form that encoding/json accepts.
func (s *scanner) time(first byte) *fault {
	if first == '"' {
		start := s.at
		text := s.string()
		at, err := authz.ParseTime(text)
		raw := string(s.data[start+1 : s.at-1])
		if err == nil && raw == text && new(time.Time).UnmarshalText([]byte(text)) != nil {
			written, failed := at.MarshalJSON()
			if err = failed; err == nil {
				s.data = slices.Concat(s.data[:start], written, s.data[s.at:])
				s.at, s.changed = start+len(written), true
			}
		}
		if err == nil {
			return nil
		}
	}
	return faultf(`must be a time of RFC 3339, such as "2030-01-31T17:00:00Z"`)
}

// literal scans a number, true, false or null.
func (s *scanner) literal() {
	for s.at < len(s.data) && strings.IndexByte(" \t\r\n,]}", s.data[s.at]) < 0 {
		s.at++
	}
}
