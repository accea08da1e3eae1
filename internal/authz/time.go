package authz

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// leapSecond matches a time of RFC 3339 in the 61st second of a minute.
var leapSecond = regexp.MustCompile(`^(.*:)60(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`)

// ParseTime parses a time of RFC 3339, for example 2030-01-31T17:00:00Z or 2030-01-31T17:00:00.5+02:00. The T and the
// Z may be in lower case. A leap second, for example 2016-12-31T23:59:60Z, is the start of the next second. Requests,
// imported relationships and keys files are parsed by it.
func ParseTime(text string) (time.Time, error) {
	text = strings.ToUpper(text)
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
