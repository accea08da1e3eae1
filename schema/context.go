package schema

import (
	"errors"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// CheckContext checks the caveat context of a relationship that zed writes as resource#relation@subject[caveat:{…}].
// It returns an error with code authz.CodeInvalid if the context has a number that a double cannot hold exactly.
func CheckContext(relationship string) error {
	begin, end := strings.IndexByte(relationship, '{'), strings.LastIndexByte(relationship, '}')
	if begin < 0 || end < begin {
		// Without a brace there is no context, since no id contains one.
		return nil
	}
	_, err := authz.ParseContext("caveat_context", relationship[begin:end+1])
	var known *authz.Error
	if errors.As(err, &known) {
		return authz.Errorf(known.Code, "%q: %s", relationship[:begin]+"…", known.Message)
	}
	return err
}
