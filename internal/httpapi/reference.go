package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluice-authz/sluice/internal/authz"
)

func isString(raw json.RawMessage) bool { return jsontext.Value(raw).Kind() == jsontext.KindString }

// unquote returns the text of a valid JSON string.
func unquote(raw json.RawMessage) string {
	text, err := jsontext.AppendUnquote(nil, bytes.TrimSpace(raw))
	if err != nil {
		panic(fmt.Sprintf("a string of valid JSON: %v", err))
	}
	return string(text)
}

// parseSubject parses a reference in its string or object form. Its errors have CodeInvalid.
func parseSubject(raw json.RawMessage) (authz.Subject, error) {
	if isString(raw) {
		return authz.ParseSubject(unquote(raw))
	}
	var parts ReferenceObject
	if err := decodeReference(raw, &parts); err != nil {
		return authz.Subject{}, err
	}
	return authz.NewSubject(parts.Type, parts.ID, optional(parts.Relation))
}

// decodeReference decodes the object form of a reference.
func decodeReference(raw json.RawMessage, into *ReferenceObject) error {
	if kind := jsontext.Value(raw).Kind(); kind != jsontext.KindBeginObject {
		return authz.Errorf(
			authz.CodeInvalid,
			`a reference is a string type:id or type:id#relation, or an object {"type", "id", "relation"}, not %s`,
			cmp.Or(jsonKind(kind), "null"),
		)
	}
	return decodeStrict("a reference", raw, into)
}

// parseObject parses a reference to an object, which has no relation. Its errors have CodeInvalid.
func parseObject(raw json.RawMessage) (authz.Object, error) {
	if isString(raw) {
		if text := unquote(raw); !strings.ContainsAny(text, ":#") {
			return authz.ParseObject(text) // its error names the form of an object alone
		}
	}
	subject, err := parseSubject(raw)
	if err == nil && subject.Relation != "" {
		err = authz.Errorf(
			authz.CodeInvalid,
			`%s must be an object without the relation %q; for an id that contains a '#', use the form {"type", "id"}`,
			subject, subject.Relation,
		)
	}
	return subject.Object, err
}

// queryObject parses a reference to an object in a query parameter, where the object form is JSON.
func queryObject(text string) (authz.Object, error) {
	if !strings.HasPrefix(text, "{") {
		quoted, err := json.Marshal(text)
		if err != nil {
			return authz.Object{}, err
		}
		return parseObject(quoted)
	}
	if err := checkJSON("the reference", []byte(text)); err != nil {
		return authz.Object{}, err
	}
	return parseObject(json.RawMessage(text))
}

// reference converts a subject to a string, or to the object form if the string would have another meaning. It would
// for an id with a '#', and for the id "*" that is not a wildcard.
func reference(s authz.Subject) (Reference, error) {
	var r Reference
	if !s.Wildcard && (strings.Contains(string(s.ID), "#") || s.ID == "*") {
		return r, r.FromReferenceObject(ReferenceObject{
			Type: string(s.Type), ID: string(s.ID), Relation: nilIfEmpty(s.Relation),
		})
	}
	text := s.String()
	if isPlain(text) { // the common case
		r.union = json.RawMessage(`"` + text + `"`)
		return r, nil
	}
	return r, r.FromReferenceString(text)
}

// isPlain reports whether a text needs no escaping in JSON.
func isPlain(text string) bool {
	return strings.IndexFunc(text, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) < 0
}
