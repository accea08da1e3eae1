package authz

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// rfc3339 matches a time of RFC 3339 in upper case. time.Time.UnmarshalText is less strict: it accepts, for example,
// a decimal comma.
var rfc3339 = regexp.MustCompile(
	`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`,
)

// leapSecond matches a time of RFC 3339 in the 61st second of a minute.
var leapSecond = regexp.MustCompile(`^(.*:)60(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`)

// ParseTime parses a time of RFC 3339, for example 2030-01-31T17:00:00Z or 2030-01-31T17:00:00.5+02:00. The T and the Z
// may be in lower case. A leap second, for example 2016-12-31T23:59:60Z, is the start of the next second. Times in
// requests, imports and keys files have this format.
func ParseTime(text string) (time.Time, error) {
	text = strings.ToUpper(text)
	if !rfc3339.MatchString(text) {
		return time.Time{}, fmt.Errorf("%q is not a time such as 2030-01-31T17:00:00Z", Echo(text))
	}
	parts := leapSecond.FindStringSubmatch(text)
	if parts == nil {
		var at time.Time
		err := at.UnmarshalText([]byte(text))
		return at, err
	}
	var before time.Time
	if err := before.UnmarshalText([]byte(parts[1] + "59" + parts[3])); err != nil {
		return time.Time{}, err
	}
	at := before.Add(time.Second)
	if next := at.UTC(); next.Day() != 1 || next.Hour() != 0 || next.Minute() != 0 || at.Year() > 9999 {
		return time.Time{}, fmt.Errorf("%q: only the last minute of a month in UTC can have 61 seconds", Echo(text))
	}
	return at, nil
}
