package authz

import (
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxIDBytes is the longest id that the API accepts, in bytes of UTF-8.
const MaxIDBytes = 256

// storedPrefix begins the form in which an id is shown that EncodeID cannot have produced, because another tool wrote
// it to SpiceDB: "stored:" and the id as it is stored.
const storedPrefix = "stored:"

// maxStoredBytes is the longest id that SpiceDB stores.
const maxStoredBytes = 1024

// personPrefix may begin the id of a person wherever only a person can stand.
const personPrefix = "user:"

// reservedTypes are the product's types. No id begins with one of them and a colon, so that a reference is never taken
// for an id.
var reservedTypes = map[string]bool{
	"account": true, "connection": true, "connection_group": true, "connector": true, "deletion": true, "departure": true,
	"export": true, "flow": true, "idempotency_key": true, "importer": true, "integration": true, "invitation": true,
	"invitee": true, "membership": true,
	"platform": true, "report": true, "removed_user": true, "request": true, "role": true, "schedule": true, "service": true,
	"subscription": true, "user": true, "workspace": true,
}

// ID names an object within its type, as the caller wrote it: UTF-8 of 1 to MaxIDBytes bytes without invisible
// characters, see Invisible, that does not begin with a type of the product and a colon. An id that another tool stored
// and that is none of these has the form "stored:" and the stored text. EncodeID and DecodeID translate ids to the form
// that SpiceDB stores.
type ID string

// ParseID checks that s can be an id. The error has code CodeInvalid.
func ParseID(s string) (ID, error) {
	if strings.HasPrefix(s, storedPrefix) {
		return parseStoredID(s)
	}
	switch {
	case s == "":
		return "", Errorf(CodeInvalid, "an id must not be empty")
	case len(s) > MaxIDBytes:
		return "", Errorf(CodeInvalid, "an id must be at most %d bytes long, this one has %d", MaxIDBytes, len(s))
	case !utf8.ValidString(s):
		return "", Errorf(CodeInvalid, "an id must be valid UTF-8")
	}
	if c, found := Invisible(s); found {
		return "", Errorf(CodeInvalid,
			"an id must not contain control or other invisible characters; this one contains %U", c)
	}
	if typ, id, found := strings.Cut(s, ":"); found && reservedTypes[typ] {
		return "", Errorf(CodeInvalid,
			"an id must not begin with the name of a type and a colon: %q begins with %q; the id alone is %q", s, typ+":", id)
	}
	return ID(s), nil
}

// parseStoredID checks the form of an id that another tool stored. An id that has another form is refused in this one,
// so that every id has one form.
func parseStoredID(s string) (ID, error) {
	stored := s[len(storedPrefix):]
	switch {
	case !isStoredID(stored):
		return "", Errorf(CodeInvalid,
			"an id that begins with %q continues with 1 to %d of the characters that SpiceDB stores, a-z, A-Z, 0-9 and /_|-=+", storedPrefix, maxStoredBytes)
	case DecodeID(stored) != ID(s):
		return "", Errorf(CodeInvalid, "the stored id %q is written %q", stored, string(DecodeID(stored)))
	}
	return ID(s), nil
}

// isStoredID reports whether SpiceDB can store an object under the text.
func isStoredID(s string) bool {
	for i := range len(s) {
		if !storable(s[i]) && s[i] != '=' {
			return false
		}
	}
	return s != "" && len(s) <= maxStoredBytes
}

// ParsePerson reads the id of a person where nothing else can stand: "bob" and "user:bob" are the same person. The
// error has code CodeInvalid.
func ParsePerson(s string) (ID, error) { return ParseID(TrimPerson(s)) }

// TrimPerson returns the form of a person's id without its type: "bob" for "bob" and for "user:bob". It does not check the
// id, see ParsePerson.
func TrimPerson(s string) string { return strings.TrimPrefix(s, personPrefix) }

// Invisible returns the first character of s that must not stand in an id nor in metadata, if there is one: control
// characters (U+0000 to U+001F, U+007F to U+009F), format characters such as zero-width spaces, joiners, byte-order
// marks and changes of the direction of writing (Unicode's category Cf), and the separators of lines and paragraphs.
func Invisible(s string) (c rune, found bool) {
	for _, c := range s {
		switch {
		case ' ' <= c && c <= '~': // as almost always
		case unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			return c, true
		}
	}
	return 0, false
}

const upperHex = "0123456789ABCDEF"

// EncodeID returns the form in which an id is stored in SpiceDB, which allows only [A-Za-z0-9/_|\-=+] there: every
// other byte, and '=' itself, becomes "=HH" with two upper-case hex digits. The id of an object that another tool
// stored, "stored:" and the stored text, is that text.
func EncodeID(id ID) string {
	if stored, found := strings.CutPrefix(string(id), storedPrefix); found && isStoredID(stored) && DecodeID(stored) == id {
		return stored
	}
	escapes := 0
	for i := range len(id) {
		if !storable(id[i]) {
			escapes++
		}
	}
	if escapes == 0 {
		return string(id)
	}
	var b strings.Builder
	b.Grow(len(id) + 2*escapes)
	for i := range len(id) {
		if c := id[i]; storable(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&0xF])
		}
	}
	return b.String()
}

// DecodeID undoes EncodeID. A stored id that EncodeID cannot have produced from an id, because another tool wrote it,
// is "stored:" and the stored text, which EncodeID translates back.
func DecodeID(stored string) ID {
	if !strings.Contains(stored, "=") {
		return ID(stored)
	}
	decoded, ok := unescape(stored)
	if !ok || !isShown(decoded) {
		return ID(storedPrefix + stored)
	}
	return ID(decoded)
}

// isShown reports whether a decoded id is shown as it is. It may be longer than an id that a caller chooses, as those
// of the product's internal types are.
func isShown(decoded string) bool {
	if !utf8.ValidString(decoded) {
		return false
	}
	if _, found := Invisible(decoded); found {
		return false
	}
	typ, _, found := strings.Cut(decoded, ":")
	return !found || !reservedTypes[typ] && !strings.HasPrefix(decoded, storedPrefix)
}

// unescape returns the text whose escapes stand in a stored id, if each of them is one that EncodeID writes.
func unescape(stored string) (string, bool) {
	decoded := make([]byte, 0, len(stored))
	for i := 0; i < len(stored); i++ {
		if storable(stored[i]) {
			decoded = append(decoded, stored[i])
			continue
		}
		if stored[i] != '=' || i+2 >= len(stored) {
			return "", false
		}
		digits := stored[i+1 : i+3]
		escaped, err := hex.DecodeString(digits)
		if err != nil || storable(escaped[0]) || strings.ContainsAny(digits, "abcdef") {
			return "", false
		}
		decoded = append(decoded, escaped[0])
		i += 2
	}
	return string(decoded), true
}

func storable(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("/_|-+", c) >= 0
}
