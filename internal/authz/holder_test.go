package authz_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func TestParseHolder(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]authz.Holder{
		"bob":                     {Type: "user", ID: "bob"},
		"user:bob":                {Type: "user", ID: "bob"},
		"group:data-team":         {Type: "group", ID: "data-team"},
		"service_account:nightly": {Type: "service_account", ID: "nightly"},
		"okta:bob":                {Type: "user", ID: "okta:bob"},
		"group:okta:data":         {Type: "group", ID: "okta:data"},
	} {
		holder, err := authz.ParseHolder(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, holder, text)
	}
	for text, message := range map[string]string{
		"":                 "an id must not be empty",
		"group:":           "an id must not be empty",
		"group:group:g":    "an id must not begin with the name of a type",
		"account:acme":     `"account:acme" does not hold roles; write user:ID, group:ID or service_account:ID`,
		"importer:i1":      "does not hold roles",
		"group:\u200bteam": "invisible characters",
	} {
		_, err := authz.ParseHolder(text)
		require.ErrorIs(t, err, authz.CodeInvalid, text)
		require.ErrorContains(t, err, message, text)
	}
}

func TestHolderOfIsTheInverseOfSubject(t *testing.T) {
	t.Parallel()
	for _, typ := range authz.HolderTypes {
		holder := authz.Holder{Type: typ, ID: "x"}
		back, isHolder := authz.HolderOf(holder.Subject())
		assert.True(t, isHolder, typ)
		assert.Equal(t, holder, back)
		parsed, err := authz.ParseHolder(holder.String())
		require.NoError(t, err)
		assert.Equal(t, holder, parsed)
	}
	for _, subject := range []authz.Subject{
		authz.Everybody("user"),
		{Object: authz.Object{Type: "group", ID: "g"}},
		{Object: authz.Object{Type: "user", ID: "u"}, Relation: "member"},
		{Object: authz.Object{Type: "account", ID: "a"}},
	} {
		_, isHolder := authz.HolderOf(subject)
		assert.False(t, isHolder, subject)
	}
}
