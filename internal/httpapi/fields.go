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

// parseID parses an id. place says in errors where the request has the value.
func parseID(place, value string) (authz.ID, error) {
	id, err := authz.ParseID(value)
	return id, withPlace(place, err)
}

// parsePerson parses the id of a person, either as "bob" or as "user:bob". place says in errors where the request has
// the value.
func parsePerson(place, value string) (authz.ID, error) {
	id, err := authz.ParsePerson(value)
	return id, withPlace(place, err)
}

// parseActor parses the name of an actor: a person, either as "bob" or as "user:bob", or a service account as
// "service_account:nightly". place says in errors where the request has the value.
func parseActor(place, value string) (authz.Actor, error) {
	actor, err := authz.ParseActor(value)
	return actor, withPlace(place, err)
}

// withPlace prefixes the message of an error with the position of the value in the request.
func withPlace(place string, err error) error {
	var known *authz.Error
	if !errors.As(err, &known) {
		return err
	}
	return &authz.Error{Code: known.Code, Message: place + ": " + known.Message, Cause: known.Cause}
}

// maxReason is the largest length of the reason of a call, in characters.
const maxReason = 500

// checkReason returns an error with CodeInvalid unless the text is a valid reason of a call.
func checkReason(reason string) error {
	invisible, found := authz.Invisible(reason)
	switch {
	case strings.TrimSpace(reason) == "":
		return authz.Errorf(authz.CodeInvalid, `the field "reason" must not be empty`)
	case utf8.RuneCountInString(reason) > maxReason:
		return authz.Errorf(
			authz.CodeInvalid,
			`the field "reason" must have at most %d characters, this one has %d`,
			maxReason,
			utf8.RuneCountInString(reason),
		)
	case found:
		return authz.Errorf(
			authz.CodeInvalid,
			`the field "reason" must not contain control or other invisible characters; this one contains %U`,
			invisible,
		)
	}
	return nil
}

// reader parses the fields of a body, and records the first error.
type reader struct{ err error }

func (r *reader) keep(field string, err error) {
	if r.err == nil && err != nil {
		r.err = withPlace(fmt.Sprintf("the field %q", field), err)
	}
}

func (r *reader) id(field, value string) authz.ID {
	id, err := authz.ParseID(value)
	r.keep(field, err)
	return id
}

// title reads the title of a group, role or service account.
func (r *reader) title(value string) authz.ID {
	title, err := authz.ParseTitle(value)
	r.keep("title", err)
	return title
}

// roleID reads the id of a custom role.
func (r *reader) roleID(field, value string) authz.ID {
	id, err := authz.ParseRoleID(value)
	r.keep(field, err)
	return id
}

// description reads the optional description of a role.
func (r *reader) description(value string) authz.ID {
	if value == "" {
		return ""
	}
	description, err := authz.ParseTitle(value)
	r.keep("description", err)
	return description
}

// optionalID reads an optional id.
func (r *reader) optionalID(field string, value *string) authz.ID {
	if value == nil {
		return ""
	}
	return r.id(field, *value)
}

// person reads the id of a person, as "bob" or "user:bob".
func (r *reader) person(field, value string) authz.ID {
	id, err := authz.ParsePerson(value)
	r.keep(field, err)
	return id
}

// optionalPerson reads the optional id of a person.
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

// rolesOfPeople reads roles by person. It is an error if a person appears in both forms of the id, "bob" and
// "user:bob".
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

//nolint:unparam // callers name the field, as for the other methods
func (r *reader) permission(field, value string) authz.Permission {
	permission, err := authz.ParsePermission(value)
	r.keep(field, err)
	return permission
}

//nolint:unparam // callers name the field, as for the other methods
func (r *reader) subject(field string, value Reference) authz.Subject {
	subject, err := parseSubject(value.union)
	r.keep(field, err)
	return subject
}

func (r *reader) object(field string, value Reference) authz.Object {
	object, err := parseObject(value.union)
	r.keep(field, err)
	return object
}

//nolint:unparam // callers name the field, as for the other methods
func (r *reader) consistency(field string, value *Consistency) authz.Consistency {
	if value == nil {
		return authz.Consistency{}
	}
	at, err := parseConsistency(value.union)
	r.keep(field, err)
	return at
}

// parseConsistency reads the consistency of a request. Its errors have CodeInvalid.
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
		return authz.Consistency{}, authz.Errorf(
			authz.CodeInvalid,
			`must be "%s", "%s" or {"at_least_as_fresh": TOKEN}`,
			MinimizeLatency,
			FullyConsistent,
		)
	}
}

// optional returns the value of an optional field, or the zero value if the field is missing.
func optional[T any](value *T) T {
	if value == nil {
		var none T
		return none
	}
	return *value
}

// nilIfEmpty returns a pointer to the text, or nil if it is empty, so that an answer leaves it out.
func nilIfEmpty[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	return new(string(s))
}

// endOf returns the requested end, or the zero time if there is none. If the requested end is the zero time, it returns
// one nanosecond later, since zero means "none".
func endOf(value *time.Time) time.Time {
	if value != nil && value.IsZero() {
		return value.Add(1)
	}
	return optional(value)
}

// showTime returns a time in UTC, or nil for the zero time, so that an answer leaves it out.
func showTime(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return new(at.UTC())
}

// toStrings returns the names as strings. The result is never nil, so that JSON has an empty list.
func toStrings[S ~string](names []S) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}
