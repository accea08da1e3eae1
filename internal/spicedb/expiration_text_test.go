package spicedb_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

func TestExpirationWithLongYearIsNamed(t *testing.T) {
	for _, text := range []string{
		"item:i#viewer@user:bob[expiration:99999-01-01T00:00:00Z]",
		`item:i#viewer@user:bob[equal:{"a":1}][expiration:10000-01-01T00:00:00Z]`,
	} {
		_, err := spicedb.ParseRelationship(text)
		require.ErrorIs(t, err, authz.CodeInvalid)
		require.ErrorContains(t, err, `-01-01T00:00:00Z" is not a time such as 2030-01-31T17:00:00Z; the year has four`)
		require.NotContains(t, err.Error(), "parsing time")
	}
}
