package httpapi

import (
	"reflect"
	"strings"
	"sync"
)

// fields are the JSON fields of a struct.
type fields struct {
	names    []string
	types    []reflect.Type
	index    map[string]int
	required uint64 // bit i is set if field i is required
}

var fieldsByType sync.Map // maps a reflect.Type to its *fields

func fieldsOf(t reflect.Type) *fields {
	known, _ := fieldsByType.Load(t)
	if f, ok := known.(*fields); ok {
		return f
	}
	f := &fields{index: make(map[string]int)}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if !strings.Contains(options, "omitempty") {
			f.required |= 1 << len(f.names)
		}
		f.index[name] = len(f.names)
		f.names = append(f.names, name)
		f.types = append(f.types, t.Field(i).Type)
	}
	fieldsByType.Store(t, f)
	return f
}

// hint returns a note for the error about an unknown field, if the caller probably confuses expires_at and expires_in.
// expires_at is the time when a role ends. expires_in is the number of seconds for which an invitation is open.
func (f *fields) hint(unknown string) string {
	_, takesTime := f.index["expires_at"]
	_, takesSeconds := f.index["expires_in"]
	switch {
	case unknown == "expires_in" && takesTime:
		return "; expires_at takes a time, such as 2030-01-31T17:00:00Z"
	case unknown == "expires_at" && takesSeconds:
		return "; expires_in takes a number of seconds"
	}
	return ""
}

// isUnion reports whether a type is generated from a oneOf. Handlers decode its alternatives themselves.
func isUnion(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() == 1 && t.Field(0).Type == rawMessage && !t.Field(0).IsExported()
}

// isNullable reports whether a type is a nullable.Nullable.
func isNullable(t reflect.Type) bool {
	return t.Kind() == reflect.Map && t.Key().Kind() == reflect.Bool
}
