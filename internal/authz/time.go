package authz

import (
	"strings"
	"time"
)

// ParseTime reads a time of RFC 3339, such as 2030-01-31T17:00:00Z or 2030-01-31T17:00:00.5+02:00; the T and the Z may
// be in lower case. Requests, imported relationships and files of keys are read by it.
func ParseTime(text string) (time.Time, error) {
	var at time.Time
	err := at.UnmarshalText([]byte(strings.ToUpper(text)))
	return at, err
}
