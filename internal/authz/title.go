package authz

import (
	"errors"
	"strings"
)

// ParseTitle checks the title of a group, role or service account. A title is stored as the id of an object of the
// type title, so the rules of ids apply to it. The error has code CodeInvalid.
func ParseTitle(s string) (ID, error) {
	if strings.HasPrefix(s, storedPrefix) {
		return "", Errorf(CodeInvalid, "a title must not begin with %q", storedPrefix)
	}
	if typ, _, found := strings.Cut(s, ":"); found && reservedTypes[typ] {
		return "", Errorf(CodeInvalid, "a title must not begin with the name of a type and a colon, as %q does", s)
	}
	id, err := ParseID(s)
	var known *Error
	if errors.As(err, &known) {
		return "", Errorf(CodeInvalid, "%s", strings.Replace(known.Message, "an id", "a title", 1))
	}
	return id, err
}
