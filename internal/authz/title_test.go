package authz_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func TestParseTitle(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"Data team", "Équipe données", "Team: north", "a/b = c, d"} {
		title, err := authz.ParseTitle(text)
		require.NoError(t, err, text)
		assert.Equal(t, authz.ID(text), title)
		assert.Equal(t, title, authz.DecodeID("title", authz.EncodeID(title)), "titles are stored as ids")
	}
	for text, message := range map[string]string{
		"":                       "a title must not be empty",
		" x":                     "a title must not begin or end with a space",
		"x\ty":                   "a title must not contain control",
		"stored:x":               `a title must not begin with "stored:"`,
		"user: readers":          "a title must not begin with the name of a type and a colon",
		strings.Repeat("x", 257): "a title must be at most 256 bytes long",
	} {
		_, err := authz.ParseTitle(text)
		require.ErrorIs(t, err, authz.CodeInvalid, text)
		require.ErrorContains(t, err, message, text)
	}
}
