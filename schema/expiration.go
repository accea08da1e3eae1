package schema

import (
	"regexp"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// expiration matches the expiration at the end of a relationship that is written as text.
var expiration = regexp.MustCompile(`(?m)\[expiration:([^\[\]\s]+)\]([ \t\r]*)$`)

// CanonicalExpirations rewrites the expirations in a text with a relationship a line as SpiceDB's parser reads them,
// which knows neither lower case nor an offset with a plus: [expiration:2030-01-31t19:00:00+02:00] becomes
// [expiration:2030-01-31T17:00:00Z]. An expiration that authz.ParseTime refuses stays as it is.
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
