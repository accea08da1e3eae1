package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-authz/sluice/internal/authz"
)

// parseID reads an id that stands at a named place of the request.
func parseID(place, value string) (authz.ID, error) {
	id, err := authz.ParseID(value)
	return id, at(place, err)
}

// parsePerson reads the id of a person that stands at a named place of the request, as "bob" or as "user:bob".
func parsePerson(place, value string) (authz.ID, error) {
	id, err := authz.ParsePerson(value)
	return id, at(place, err)
}

// at puts the place of the request into the message of an error about a value.
func at(place string, err error) error {
	var known *authz.Error
	if !errors.As(err, &known) {
		return err
	}
	return &authz.Error{Code: known.Code, Message: place + ": " + known.Message, Cause: known.Cause}
}

// maxReason is how long the reason of a call may be, in characters.
const maxReason = 500

// checkReason returns an error with CodeInvalid unless a text can be the reason of a call.
func checkReason(reason string) error {
	invisible, found := authz.Invisible(reason)
	switch {
	case strings.TrimSpace(reason) == "":
		return authz.Errorf(authz.CodeInvalid, `the field "reason" must not be empty`)
	case utf8.RuneCountInString(reason) > maxReason:
		return authz.Errorf(authz.CodeInvalid,
			`the field "reason" must have at most %d characters, this one has %d`, maxReason, utf8.RuneCountInString(reason))
	case found:
		return authz.Errorf(authz.CodeInvalid,
			`the field "reason" must not contain control or other invisible characters; this one contains %U`, invisible)
	}
	return nil
}

// reader parses the fields of a body, and keeps the first error.
type reader struct{ err error }

func (r *reader) keep(field string, err error) {
	if r.err == nil && err != nil {
		r.err = at(fmt.Sprintf("the field %q", field), err)
	}
}

func (r *reader) id(field, value string) authz.ID {
	id, err := authz.ParseID(value)
	r.keep(field, err)
	return id
}

// optionalID reads an id that may be left out.
func (r *reader) optionalID(field string, value *string) authz.ID {
	if value == nil {
		return ""
	}
	return r.id(field, *value)
}

// person reads the id of a person, as "bob" or as "user:bob".
func (r *reader) person(field, value string) authz.ID {
	id, err := authz.ParsePerson(value)
	r.keep(field, err)
	return id
}

// optionalPerson reads the id of a person that may be left out.
func (r *reader) optionalPerson(field string, value *string) authz.ID {
	if value == nil {
		return ""
	}
	return r.person(field, *value)
}

func (r *reader) people(field string, values *[]string) []authz.ID {
	if values == nil {
		return nil
	}
	people := make([]authz.ID, len(*values))
	for i, value := range *values {
		people[i] = r.person(fmt.Sprintf("%s[%d]", field, i), value)
	}
	return people
}

// rolesOfPeople reads roles by person. A person who stands there in both forms is an error.
func (r *reader) rolesOfPeople(field string, values RolesByPerson) map[authz.ID][]string {
	roles := make(map[authz.ID][]string, len(values))
	for key, names := range values {
		id := r.person(authz.Echo(field+"."+key), key)
		if _, found := roles[id]; found {
			r.keep(field, authz.Errorf(authz.CodeInvalid, `names %q twice, also as "user:%s"`, id, id))
		}
		roles[id] = names
	}
	return roles
}

func (r *reader) rolesByAccount(field string, values RolesByID) map[authz.ID][]string {
	roles := make(map[authz.ID][]string, len(values))
	for key, names := range values {
		id, err := authz.ParseID(key)
		if err != nil {
			r.keep(authz.Echo(field+"."+key), err)
			continue
		}
		roles[id] = names
	}
	return roles
}

func (r *reader) visibility(field string, value Visibility) string {
	if !value.Valid() {
		r.keep(field, authz.Errorf(authz.CodeInvalid, "%q is neither %s nor %s", value, Private, Shared))
	}
	return string(value)
}

func (r *reader) permission(field, value string) authz.Permission { //nolint:unparam // a field is named where it is read
	permission, err := authz.ParsePermission(value)
	r.keep(field, err)
	return permission
}

func (r *reader) subject(field string, value Reference) authz.Subject { //nolint:unparam // a field is named where it is read
	subject, err := parseSubject(value.union)
	r.keep(field, err)
	return subject
}

func (r *reader) object(field string, value Reference) authz.Object { //nolint:unparam // a field is named where it is read
	object, err := parseObject(value.union)
	r.keep(field, err)
	return object
}

func (r *reader) consistency(field string, value *Consistency) authz.Consistency { //nolint:unparam // a field is named where it is read
	if value == nil {
		return authz.Consistency{}
	}
	at, err := parseConsistency(value.union)
	r.keep(field, err)
	return at
}

// parseConsistency reads the consistency of a request. Errors have code CodeInvalid.
func parseConsistency(raw json.RawMessage) (authz.Consistency, error) {
	var level string
	var fresh AtLeastAsFresh
	if isString(raw) {
		level = unquote(raw)
	} else if err := decodeStrict("it", raw, &fresh); err == nil && fresh.AtLeastAsFresh != "" {
		return authz.AsFreshAs(authz.Token(fresh.AtLeastAsFresh)), nil
	}
	switch ConsistencyLevel(level) {
	case MinimizeLatency:
		return authz.Consistency{Freshness: authz.MinimizeLatency}, nil
	case FullyConsistent:
		return authz.Fully(), nil
	default:
		return authz.Consistency{}, authz.Errorf(authz.CodeInvalid, `must be "%s", "%s" or {"at_least_as_fresh": TOKEN}`, MinimizeLatency, FullyConsistent)
	}
}

// optional returns what a field that may be left out points to, or nothing.
func optional[T any](value *T) T {
	if value == nil {
		var none T
		return none
	}
	return *value
}

// unlessEmpty returns a pointer to the text, or nil for an empty one, which an answer leaves out.
func unlessEmpty[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	return new(string(s))
}

// endOf returns the time at which something is to end, or the zero time if none is given. What is given as the zero time is
// returned a nanosecond later.
func endOf(value *time.Time) time.Time {
	if value != nil && value.IsZero() {
		return value.Add(1)
	}
	return optional(value)
}

// showTime returns a time in UTC, or nil for none, which an answer leaves out.
func showTime(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return new(at.UTC())
}

// texts returns the names as strings; an empty list, not nil, where there are none.
func texts[S ~string](names []S) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}
