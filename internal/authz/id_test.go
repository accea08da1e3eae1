package authz_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// storable is SpiceDB's pattern for the ids of objects, without the wildcard "*". An id has at most maxStored
// characters.
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
		"":                  "",
	} {
		require.Equal(t, stored, authz.EncodeID(id))
		require.Equal(t, id, authz.DecodeID("user", stored))
	}
}

// TestForeignStoredIDsRoundTrip checks ids that another tool stored, and that no caller can choose. The API shows
// such an id with the prefix "stored:". If a caller sends this form, it must name the same stored id. An id that does
// not need the prefix must be rejected with it.
func TestForeignStoredIDsRoundTrip(t *testing.T) {
	for _, stored := range []string{
		"=", "a=", "a=4", "=4", "=zz", "bad=zz", "=4x", "=2a", "=c3=bc", // no escapes of EncodeID
		"=41", "=2F", "=7C", // unnecessary escapes
		"=FF", "=C3", "=ED=A0=80", // invalid UTF-8
		"dGVzdA==", "=3D=", "a=40=",
		"=00", "a=0Ab", "=C2=85", "=E2=80=8B", "=7F", // characters that no id may contain
		"user=3Abob", "importer=3Ai9", "stored=3Abad=3Dzz", // ids that no caller may choose
		"=20", "=20a", "a=20", "a=C2=A0b", "=E3=85=A4", // white space and fillers
		// These ids are longer than MaxIDBytes.
		strings.Repeat("=", 1024), strings.Repeat("x", 257), strings.Repeat("x", 1024), strings.Repeat("=40", 257),
	} {
		id := authz.DecodeID("user", stored)
		require.Equal(t, authz.ID("stored:"+stored), id)
		parsed, err := authz.ParseID(string(id))
		require.NoError(t, err, stored)
		require.Equal(t, stored, authz.EncodeID(parsed))
	}
	require.NotEqual(t, authz.EncodeID("bad=zz"), authz.EncodeID("stored:bad=zz"))
	for _, twice := range []string{
		"stored:", "stored:alice", "stored:a=40b", "stored:*", "stored:bad zz", "stored:a:b",
		"stored:" + strings.Repeat("=", 1025),
	} {
		_, err := authz.ParseID(twice)
		require.ErrorIs(t, err, authz.CodeInvalid, twice)
		require.NotEqual(t, "*", authz.EncodeID(authz.ID(twice)))
	}
}

// TestLongIDsOfInternalTypes checks ids that contain another object's id. They may be longer than MaxIDBytes, and are
// shown without the prefix "stored:".
func TestLongIDsOfInternalTypes(t *testing.T) {
	for _, id := range []authz.ID{
		authz.ID("importer/" + strings.Repeat("x", 256)), authz.ID("importer/" + strings.Repeat("@", 256)),
	} {
		require.Equal(t, id, authz.DecodeID("deletion", authz.EncodeID(id)))
		object, err := authz.NewObject("deletion", string(id))
		require.NoError(t, err)
		require.Equal(t, id, object.ID)
		_, err = authz.NewObject("importer", string(id))
		require.ErrorIs(t, err, authz.CodeInvalid)
	}
	_, err := authz.NewObject("deletion", strings.Repeat("@", 342))
	require.ErrorIs(t, err, authz.CodeInvalid, "an id that SpiceDB cannot store")
}

// TestHeaderHasOneSpellingOfEachID checks the encoding of ids for headers: it is visible ASCII, and decodes to the
// same id.
func TestHeaderHasOneSpellingOfEachID(t *testing.T) {
	for id, want := range map[string]string{
		"olga": "olga", "user:olga": "user:olga", "ada@example.com": "ada@example.com", "a/b": "a/b", "100%": "100%25",
		"%41": "%2541",
		"a,b": "a%2Cb", "a b": "a%20b", "ü": "%C3%BC", "\x00\x7f": "%00%7F", "stored:a=00b": "stored:a=00b",
	} {
		require.Equal(t, want, authz.EscapeHeader(id))
	}
	property := func(s string) bool {
		written := authz.EscapeHeader(s)
		read, err := url.PathUnescape(written)
		require.Regexp(t, `^[!-+\--~]*$`, written)
		return err == nil && read == s
	}
	require.NoError(t, quick.Check(property, nil))
}

func TestPersonHasTwoForms(t *testing.T) {
	for s, want := range map[string]authz.ID{
		"bob": "bob", "user:bob": "bob", "user:a@b.c": "a@b.c", "a:b": "a:b", "stored:bad=zz": "stored:bad=zz",
		"user:stored:bad=zz": "stored:bad=zz",
	} {
		got, err := authz.ParsePerson(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got)
	}
	for _, s := range []string{"", "user:", "user:user:bob", "account:acme", "user:account:acme", "user:\x00"} {
		_, err := authz.ParsePerson(s)
		require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
	}
}

// TestInvisibleCharactersAreInvalid checks every control character and other invisible characters.
func TestInvisibleCharactersAreInvalid(t *testing.T) {
	invisible := []rune{
		0x00AD, 0x200B, 0x200D, 0x200E, 0x2028, 0x2029, 0x202E, 0x2060, 0x2066, 0xFEFF, 0xE0041,
		0x034F, 0x115F, 0x1160, 0x17B4, 0x180B, 0x2065, 0x2800, 0x3164, 0xFE00, 0xFE0F, 0xFFA0, 0xFFF0, 0xFFFE, 0xFFFF,
		0xE0100, 0xE0FFF, 0x10FFFF,
	}
	for c := rune(0); c < 0x20; c++ {
		invisible = append(invisible, c)
	}
	for c := rune(0x7F); c < 0xA0; c++ {
		invisible = append(invisible, c)
	}
	for _, c := range invisible {
		for _, s := range []string{string(c), "a" + string(c), string(c) + "a", "a" + string(c) + "b"} {
			_, err := authz.ParseID(s)
			require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
			_, err = authz.ParsePerson("user:" + s)
			require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
		}
	}
}

// TestMisplacedSpacesAreInvalid checks ids that have only spaces, ids with a space at the beginning or end, and ids
// with white space other than U+0020.
func TestMisplacedSpacesAreInvalid(t *testing.T) {
	for _, s := range []string{" ", "   ", " a", "a ", "\u00a0", "a\u00a0b", "a\u2003b", "a\u202fb", "a\u3000", "\u1680"} {
		_, err := authz.ParseID(s)
		require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
		require.ErrorContains(t, err, "space")
		_, err = authz.ParsePerson("user:" + s)
		require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
	}
	_, err := authz.ParseID("a b  c")
	require.NoError(t, err)
}

func TestIDRoundTrip(t *testing.T) {
	property := func(s string) bool {
		if _, err := authz.ParseID(s); err != nil {
			return true
		}
		return checkID(t, s)
	}
	require.NoError(t, quick.Check(property, &quick.Config{MaxCount: 5000}))
	for r := range utf8.RuneSelf * 2 { // every ASCII character, and the 128 characters after them
		if _, invisible := authz.Invisible(string(rune(r))); invisible {
			continue
		}
		if r == ' ' || r == 0xA0 {
			continue
		}
		require.True(t, checkID(t, string(rune(r))))
		require.True(t, checkID(t, "a"+string(rune(r))+"b"))
	}
	require.True(t, checkID(t, strings.Repeat("*", authz.MaxIDBytes)))
}

// checkID checks that an id is unchanged after encoding and decoding, and that SpiceDB accepts the encoded form.
func checkID(t *testing.T, s string) bool {
	t.Helper()
	stored := authz.EncodeID(authz.ID(s))
	require.Equal(t, authz.ID(s), authz.DecodeID("user", stored))
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

// FuzzDecodeID checks that every id in SpiceDB has a form that the API accepts, and that this form names the same
// stored id.
func FuzzDecodeID(f *testing.F) {
	for _, s := range []string{
		"alice=40example=2Ecom", "=41", "=C3=BC", "=C3", "dGVzdA==", "=3D", "a=4", "user=3Abob", "stored=3Aa",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		if !storable.MatchString(stored) || len(stored) > maxStored {
			return
		}
		id := authz.DecodeID("user", stored)
		require.Equal(t, stored, authz.EncodeID(id))
		require.True(t, utf8.ValidString(string(id)))
		parsed, err := authz.ParseID(string(id))
		require.NoError(t, err)
		require.Equal(t, id, parsed)
	})
}

func TestParseID(t *testing.T) {
	// An id may begin with any word and a colon, except a type of the product. A type of a user's own schema, here
	// dashboard, is allowed.
	for _, s := range []string{
		"a", "*", "a b", "ü", "a:b", "dashboard:d1", "urn:user:bob", "user", "users:bob", ":user:",
		strings.Repeat("x", authz.MaxIDBytes),
	} {
		id, err := authz.ParseID(s)
		require.NoError(t, err)
		require.Equal(t, authz.ID(s), id)
	}
	for _, s := range []string{
		"", "\xff", "a\xc3", "user:bob", "importer:i9", "connection_group:", "sluice_schema:x", strings.Repeat("x", authz.MaxIDBytes+1),
		strings.Repeat("ü", authz.MaxIDBytes/2+1),
	} {
		_, err := authz.ParseID(s)
		require.ErrorIs(t, err, authz.CodeInvalid, "%q", s)
	}
}
