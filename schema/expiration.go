package schema

import (
	"regexp"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// expiration matches the expiration at the end of a relationship, in a text with one relationship per line.
var expiration = regexp.MustCompile(`(?m)\[expiration:([^\[\]\s]+)\]([ \t\r]*)$`)

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
