package authz_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func TestParseTime(t *testing.T) {
	want := time.Date(2030, 1, 31, 17, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"2030-01-31T17:00:00Z", "2030-01-31t17:00:00z", "2030-01-31T17:00:00.000z", "2030-01-31t19:00:00+02:00",
		"2030-01-31T12:00:00-05:00",
	} {
		at, err := authz.ParseTime(text)
		require.NoError(t, err, text)
		require.True(t, want.Equal(at), text)
	}
	for _, text := range []string{
		"", "2030-01-31", "2030-01-31 17:00:00Z", "2030-01-31T17:00:00", "2030-02-30T17:00:00Z",
	} {
		_, err := authz.ParseTime(text)
		require.Error(t, err, text)
	}
}

func TestParseTimeReadsLeapSeconds(t *testing.T) {
	for text, want := range map[string]string{
		"2030-01-31T17:00:00Z":           "2030-01-31T17:00:00Z",
		"2030-01-31t17:00:00.5z":         "2030-01-31T17:00:00.5Z",
		"2016-12-31T23:59:60Z":           "2017-01-01T00:00:00Z",
		"2016-12-31t23:59:60.999z":       "2017-01-01T00:00:00Z",
		"1990-12-31T15:59:60-08:00":      "1991-01-01T00:00:00Z",
		"2015-07-01T01:59:60.25+02:00":   "2015-07-01T00:00:00Z",
		"0001-01-01T00:00:00Z":           "0001-01-01T00:00:00Z",
		"2016-12-31T23:59:61Z":           "",
		"2016-12-31T23:58:60Z":           "",
		"2016-12-30T23:59:60Z":           "",
		"2016-12-31T23:59:60+01:00":      "",
		"9999-12-31T23:59:60Z":           "",
		"2016-13-31T23:59:60Z":           "",
		"2016-12-31T23:59:60":            "",
		"2016-12-31T23:59:60Z2016:60Z":   "",
		"2016-12-31T23:59:600Z":          "",
		"2016-12-31 23:59:60Z":           "",
		"2016-12-31T23:59:60.Z":          "",
		"\n2016-12-31T23:59:60Z":         "",
		"2016-12-31T23:59:60Z\n":         "",
		"2016-12-31T23:59:60.5\u0660Z":   "",
		"２016-12-31T23:59:60Z":           "",
		"2016-12-31T23:59:60-00:00:00":   "",
		"2016-12-31T23:59:60.1.1Z":       "",
		"2016-12-31T23:59:60.123456789Z": "2017-01-01T00:00:00Z",
	} {
		at, err := authz.ParseTime(text)
		if want == "" {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, at.UTC().Format(time.RFC3339Nano), text)
	}
}
