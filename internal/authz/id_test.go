package authz_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// storable is SpiceDB's pattern for the id of an object, without the wildcard; up to maxStored characters.
var storable = regexp.MustCompile(`^[a-zA-Z0-9/_|\-=+]+$`)

const maxStored = 1024

func TestEncodeID(t *testing.T) {
	for id, stored := range map[authz.ID]string{
		"alice":             "alice",
		"alice@example.com": "alice=40example=2Ecom",
		"a/b_c|d-e+f":       "a/b_c|d-e+f",
		"*":                 "=2A",
		"=":                 "=3D",
		"=40":               "=3D40",
		"ü":                 "=C3=BC",
		"a b":               "a=20b",
		"\x00":              "=00",
		"":                  "",
	} {
		require.Equal(t, stored, authz.EncodeID(id))
		require.Equal(t, id, authz.DecodeID(stored))
	}
}

// TestDecodeForeignID holds that what another tool stored comes out as it is.
func TestDecodeForeignID(t *testing.T) {
	for _, stored := range []string{
		"=", "a=", "a=4", "=4", "=zz", "=4x", "=2a", "=c3=bc", // no escape
		"=41", "=2F", "=7C", // escapes of what needs none
		"=FF", "=C3", "=ED=A0=80", // no UTF-8
		"dGVzdA==", "=3D=", "a=40=",
	} {
		require.Equal(t, authz.ID(stored), authz.DecodeID(stored), "%q", stored)
	}
}

func TestIDRoundTrip(t *testing.T) {
	property := func(s string) bool {
		if s = strings.ToValidUTF8(s, "?"); s == "" {
			return true
		}
		return checkID(t, s)
	}
	require.NoError(t, quick.Check(property, &quick.Config{MaxCount: 5000}))
	for r := range utf8.RuneSelf * 2 { // every ASCII character and what follows
		require.True(t, checkID(t, string(rune(r))))
		require.True(t, checkID(t, "a"+string(rune(r))+"b"))
	}
	require.True(t, checkID(t, strings.Repeat("*", authz.MaxIDBytes)))
}

// checkID holds that an id comes back from the store as it was, in a form that the store takes and that no other id has.
func checkID(t *testing.T, s string) bool {
	t.Helper()
	stored := authz.EncodeID(authz.ID(s))
	require.Equal(t, authz.ID(s), authz.DecodeID(stored))
	require.Regexp(t, storable, stored)
	if len(s) <= authz.MaxIDBytes {
		require.LessOrEqual(t, len(stored), maxStored)
	}
	require.NotEqual(t, "*", stored)
	return true
}

func FuzzEncodeID(f *testing.F) {
	for _, s := range []string{"alice@example.com", "=40", "*", "ü", "a=", "\x00", strings.Repeat("🙂", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := authz.ParseID(s); err == nil {
			checkID(t, s)
		}
	})
}

// FuzzDecodeID holds that the stored form is canonical: either it is the one form of the id that it comes out as, or it
// comes out as it is.
func FuzzDecodeID(f *testing.F) {
	for _, s := range []string{"alice=40example=2Ecom", "=41", "=C3=BC", "=C3", "dGVzdA==", "=3D", "a=4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		id := authz.DecodeID(stored)
		if string(id) != stored {
			require.Equal(t, stored, authz.EncodeID(id))
			require.True(t, utf8.ValidString(string(id)))
		}
	})
}

func TestParseID(t *testing.T) {
	for _, s := range []string{"a", "*", " ", "ü", strings.Repeat("x", authz.MaxIDBytes)} {
		id, err := authz.ParseID(s)
		require.NoError(t, err)
		require.Equal(t, authz.ID(s), id)
	}
	for _, s := range []string{"", "\xff", "a\xc3", strings.Repeat("x", authz.MaxIDBytes+1), strings.Repeat("ü", authz.MaxIDBytes/2+1)} {
		_, err := authz.ParseID(s)
		require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
	}
}
