package authz_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func TestParseObject(t *testing.T) {
	for s, want := range map[string]authz.Object{
		"importer:i1":            {Type: "importer", ID: "i1"},
		"user:alice@example.com": {Type: "user", ID: "alice@example.com"},
		"user:a:b":               {Type: "user", ID: "a:b"},
		"user:*":                 {Type: "user", ID: "*"},
		"user:a#b":               {Type: "user", ID: "a#b"},
		"tenant/user:x":          {Type: "tenant/user", ID: "x"},
	} {
		got, err := authz.ParseObject(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got)
		require.Equal(t, s, got.String())
	}
	for _, s := range []string{
		"", "user", ":", "user:", ":x", "User:x", "us:x", "1user:x", "user_:x", "us-er:x", "user :x", "user:\xff",
		"user:" + strings.Repeat("x", authz.MaxIDBytes+1), strings.Repeat("u", 65) + ":x", "/user:x", "user/:x", "a\x00b:x",
		"user:user:x", "importer:account:a", "user:a\nb", "user:stored:x",
	} {
		_, err := authz.ParseObject(s)
		require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
	}
}

func TestParseSubject(t *testing.T) {
	object := func(typ authz.Type, id authz.ID) authz.Object { return authz.Object{Type: typ, ID: id} }
	for s, want := range map[string]authz.Subject{
		"user:alice":          {Object: object("user", "alice")},
		"account:acme#member": {Object: object("account", "acme"), Relation: "member"},
		"user:a:b":            {Object: object("user", "a:b")},
		"user:*":              {Object: object("user", "*")}, // here the asterisk is an id
	} {
		got, err := authz.ParseSubject(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got)
		require.Equal(t, s, got.String())
	}
	for _, s := range []string{
		"", "user", "user:", "user:#member", "user:a#", "user:a#b", "user:a#Member", "user:a#b#member", "user:a#mem ber",
	} {
		_, err := authz.ParseSubject(s)
		require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
	}
	hash, err := authz.NewSubject("account", "a#b", "member")
	require.NoError(t, err)
	require.Equal(t, authz.ID("a#b"), hash.ID)
	require.Equal(t, "user:*", authz.Everybody("user").String())
	require.NotEqual(t, authz.Everybody("user"), authz.Subject{Object: object("user", "*")})
}

func TestParsePermission(t *testing.T) {
	for _, s := range []string{"view", "create_importer", "abc", "a1b", strings.Repeat("a", 64)} {
		p, err := authz.ParsePermission(s)
		require.NoError(t, err)
		require.Equal(t, authz.Permission(s), p)
	}
	for _, s := range []string{
		"", "ab", "View", "view_", "_view", "vi ew", "vi-ew", "1view", strings.Repeat("a", 65), "view\n",
	} {
		_, err := authz.ParsePermission(s)
		require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
	}
}

func FuzzParseObject(f *testing.F) {
	for _, s := range []string{"importer:i1", "user:alice@example.com", "user:a:b#c", ":", "user:", "us:x", "a/bcd:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		object, err := authz.ParseObject(s)
		if err != nil {
			require.ErrorIs(t, err, authz.CodeInvalid)
			return
		}
		require.Equal(t, s, object.String())
		checkID(t, string(object.ID))
	})
}

func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{"user:alice", "account:acme#member", "user:*", "user:a#", "user:#member", "user:a#b#c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		subject, err := authz.ParseSubject(s)
		if err != nil {
			require.ErrorIs(t, err, authz.CodeInvalid)
			return
		}
		require.Equal(t, s, subject.String())
		require.False(t, subject.Wildcard)
	})
}

func TestExactly(t *testing.T) {
	plain := authz.Relationship{
		Resource: authz.Object{Type: "document", ID: "d"}, Relation: "viewer",
		Subject: authz.Subject{Object: authz.Object{Type: "team", ID: "t"}},
	}
	require.Equal(t, "document:d#viewer@team:t", plain.String())
	require.True(t, authz.Exactly(plain).SubjectPlain)
	plain.Subject.Relation = "member"
	require.False(t, authz.Exactly(plain).SubjectPlain)
	require.Equal(t, authz.Relation("member"), authz.Exactly(plain).SubjectRelation)
	plain.Subject = authz.Everybody("team")
	require.True(t, authz.Exactly(plain).SubjectWildcard)
}
