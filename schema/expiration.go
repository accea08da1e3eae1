package schema

import (
	"regexp"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// expiration matches the expiration at the end of a relationship, in a text with one relationship per line.
var expiration = regexp.MustCompile(`(?m)\[expiration:([^\[\]\s]+)\]([ \t\r]*)$`)

// CheckExpiration returns an error with code authz.CodeInvalid if a relationship as text has an expiration that
// authz.ParseTime rejects, for example in the year 10000.
func CheckExpiration(relationship string) error {
	parts := expiration.FindStringSubmatch(relationship)
	if parts == nil {
		return nil
	}
	if _, err := authz.ParseTime(parts[1]); err != nil {
		return authz.Errorf(authz.CodeInvalid, "%v; the year has four digits", err)
	}
	return nil
}

// CanonicalExpirations rewrites the expirations in a text with one relationship per line, so that SpiceDB's parser
// accepts them. This parser rejects times with lower-case letters or a positive offset. For example,
// [expiration:2030-01-31t19:00:00+02:00] becomes [expiration:2030-01-31T17:00:00Z]. If authz.ParseTime rejects an
// expiration, it remains unchanged.
func CanonicalExpirations(text string) string {
	return expiration.ReplaceAllStringFunc(text, func(found string) string {
		parts := expiration.FindStringSubmatch(found)
		at, err := authz.ParseTime(parts[1])
		if err != nil {
			return found
		}
		return "[expiration:" + at.UTC().Format(time.RFC3339Nano) + "]" + parts[2]
	})
}
