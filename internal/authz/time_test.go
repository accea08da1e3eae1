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
