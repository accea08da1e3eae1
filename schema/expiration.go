package schema

import (
	"regexp"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// expiration matches an expiration at the end of a relationship as text.
var expiration = regexp.MustCompile(`(?m)\[expiration:([^\[\]\s]+)\]([ \t\r]*)$`)

// CanonicalExpirations rewrites expirations in a text of relationships for SpiceDB's parser, which accepts neither
// lower case nor a positive offset. For example, [expiration:2030-01-31t19:00:00+02:00] becomes
// [expiration:2030-01-31T17:00:00Z]. It keeps an expiration that authz.ParseTime rejects.
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
