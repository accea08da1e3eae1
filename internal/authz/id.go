package authz

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxIDBytes is the maximum length of an id that a caller chooses, in bytes of UTF-8.
const MaxIDBytes = 256

// storedPrefix begins a foreign id: one that another tool stored in SpiceDB, and that no caller of the API can
// choose. After the prefix comes the id as it is stored in SpiceDB.
const storedPrefix = "stored:"

// MaxStoredBytes is the maximum length of an id in SpiceDB, after EncodeID, in bytes.
const MaxStoredBytes = 1024

// personPrefix may begin a parameter that names a person. "user:bob" and "bob" then stand for the same person.
const personPrefix = "user:"

// reservedTypes are the types of the product's schema. No id may begin with one of them and a colon, so that a
// reference such as user:bob cannot be mistaken for an id.
var reservedTypes = withSimpleTypes(map[string]bool{
	"account": true, "connection": true, "connection_group": true, "connector": true,
	"custom_role": true, "custom_role_slot": true, "custom_role_version": true, "deletion": true, "description": true,
	"group": true, "idempotency_key": true, "importer": true, "invitation": true, "invitee": true, "membership": true,
	"offboarding": true, "platform": true, "removed_user": true, "request": true, "role": true, "role_binding": true,
	"service_account": true,
	"sluice_schema":   true, "subscription": true, "title": true, "user": true, "workspace": true,
})

// IsProductType reports whether the product's schema defines the type. A user's own schema cannot define a type with
// the same name.
func IsProductType(typ Type) bool { return reservedTypes[string(typ)] }

func withSimpleTypes(types map[string]bool) map[string]bool {
	for _, typ := range SimpleTypes {
		types[string(typ.Name)] = true
	}
	return types
}

// longTypes are the types of the product whose ids contain another object's id. Such an id may be longer than
// MaxIDBytes.
var longTypes = map[Type]bool{
	"connection_group": true, TypeCustomRole: true, "custom_role_slot": true, "deletion": true, "membership": true,
	TypeRoleBinding: true,
}

// ID names an object within its type, as callers of the API write it. An ID is UTF-8 of 1 to MaxIDBytes bytes without
// invisible characters (see Invisible). It may have spaces, but not at its beginning or end, and no other white
// space. It does not begin with a type of the product and a colon. If another tool stored an id that breaks these
// rules, the ID is "stored:" followed by the stored id. EncodeID and DecodeID convert between an ID and the id that
// SpiceDB stores.
type ID string

// IsForeign reports whether the id begins with "stored:", because another tool stored it and no API call can have
// done so. A caller may name an existing object with such an id, but not create one.
func (id ID) IsForeign() bool { return strings.HasPrefix(string(id), storedPrefix) }

// ParseID checks an id of a type for which callers choose the ids. The object may be new or existing. The error has
// code CodeInvalid.
func ParseID(s string) (ID, error) { return parseID("", s) }

// parseID checks an id of a given type. In contrast to ParseID, it accepts the long ids of longTypes.
func parseID(typ Type, s string) (ID, error) {
	if strings.HasPrefix(s, storedPrefix) {
		return parseStoredID(typ, s)
	}
	switch {
	case s == "":
		return "", Errorf(CodeInvalid, "an id must not be empty")
	case len(s) > maxBytes(typ), longTypes[typ] && len(EncodeID(ID(s))) > MaxStoredBytes:
		return "", Errorf(CodeInvalid, "an id must be at most %d bytes long, this one has %d", maxBytes(typ), len(s))
	case !utf8.ValidString(s):
		return "", Errorf(CodeInvalid, "an id must be valid UTF-8")
	}
	if c, found := Invisible(s); found {
		return "", Errorf(CodeInvalid,
			"an id must not contain control or other invisible characters; this one contains %U", c)
	}
	if problem := misplacedSpace(s); problem != "" {
		return "", Errorf(CodeInvalid, "%s", problem)
	}
	if typ, id, found := strings.Cut(s, ":"); found && reservedTypes[typ] {
		return "", Errorf(CodeInvalid,
			"an id must not begin with the name of a type and a colon: %q begins with %q; the id alone is %q", s, typ+":", id)
	}
	return ID(s), nil
}

// maxBytes returns the maximum length of an id of a type, in bytes. It does not apply to foreign ids.
func maxBytes(typ Type) int {
	if longTypes[typ] {
		return MaxStoredBytes
	}
	return MaxIDBytes
}

// misplacedSpace returns an error message if an id has white space that is not allowed. Otherwise it returns "".
func misplacedSpace(s string) string {
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return "an id must not begin or end with a space"
	}
	for _, c := range s {
		if c > unicode.MaxASCII && unicode.Is(unicode.Zs, c) {
			return fmt.Sprintf("an id must not contain white space other than U+0020; this one contains %U", c)
		}
	}
	return ""
}

// parseStoredID parses a foreign id, which begins with "stored:". It rejects an id that can be written without this
// prefix, so that every id has exactly one form.
func parseStoredID(typ Type, s string) (ID, error) {
	stored := s[len(storedPrefix):]
	switch {
	case !isStoredID(stored):
		return "", Errorf(
			CodeInvalid,
			"an id that begins with %q continues with 1 to %d of the characters that SpiceDB stores, a-z, A-Z, 0-9 and /_|-=+",
			storedPrefix,
			MaxStoredBytes,
		)
	case DecodeID(typ, stored) != ID(s):
		return "", Errorf(
			CodeInvalid, "write %q instead of %q: the prefix %s is only for ids that another tool stored",
			string(DecodeID(typ, stored)), s, storedPrefix,
		)
	}
	return ID(s), nil
}

// isStoredID reports whether SpiceDB accepts the text as the id of an object.
func isStoredID(s string) bool {
	for i := range len(s) {
		if !storable(s[i]) && s[i] != '=' {
			return false
		}
	}
	return s != "" && len(s) <= MaxStoredBytes
}

// ParsePerson parses a parameter that names a person. "bob" and "user:bob" stand for the same person. The error has
// code CodeInvalid.
func ParsePerson(s string) (ID, error) { return ParseID(TrimPerson(s)) }

// TrimPerson removes the prefix "user:" if there is one: it returns "bob" for "bob" and for "user:bob". It does not
// check the id; ParsePerson does.
func TrimPerson(s string) string { return strings.TrimPrefix(s, personPrefix) }

// Invisible returns the first invisible character of s, if there is one. Ids and metadata must not contain invisible
// characters, since two different texts could then look the same. Invisible characters are:
//   - control characters: U+0000 to U+001F, and U+007F to U+009F;
//   - format characters (Unicode's category Cf), for example zero-width spaces, joiners, byte-order marks, and marks
//     that change the writing direction;
//   - separators of lines and paragraphs, variation selectors, fillers, and the blank Braille pattern;
//   - code points that are never characters.
func Invisible(s string) (c rune, found bool) {
	for _, c := range s {
		switch {
		case ' ' <= c && c <= '~': // the common case
		case unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector,
			unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point), c == brailleBlank:
			return c, true
		}
	}
	return 0, false
}

const brailleBlank = '\u2800'

const upperHex = "0123456789ABCDEF"

// EscapeHeader encodes an id for the header Sluice-Actor, which accepts no other encoding of the id. The percent
// sign, the comma, the space and every byte that is not visible ASCII become "%HH" with two upper-case hexadecimal
// digits. The comma is encoded because proxies join repeated headers with a comma.
func EscapeHeader(id string) string {
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case c <= ' ', c > '~', c == '%', c == ',':
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&0xF])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// EncodeID returns the form in which SpiceDB stores an id. SpiceDB accepts only the characters [A-Za-z0-9/_|\-=+].
// Every other byte, and '=' itself, becomes "=HH" with two upper-case hexadecimal digits. For a foreign id, EncodeID
// returns the text after "stored:".
func EncodeID(id ID) string {
	if stored, found := strings.CutPrefix(string(id), storedPrefix); found && isStoredID(stored) &&
		DecodeID("", stored) == id {
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

// DecodeID is the inverse of EncodeID, for an id of a type. If no caller can have chosen the stored id, DecodeID
// returns a foreign id: "stored:" followed by the stored id.
func DecodeID(typ Type, stored string) ID {
	limit := maxBytes(typ)
	if !strings.Contains(stored, "=") && len(stored) <= limit {
		return ID(stored)
	}
	decoded, ok := unescape(stored)
	if !ok || len(decoded) > limit || !isShown(decoded) {
		return ID(storedPrefix + stored)
	}
	return ID(decoded)
}

// isShown reports whether a decoded id can be shown without the prefix "stored:".
func isShown(decoded string) bool {
	if decoded == "" || !utf8.ValidString(decoded) || misplacedSpace(decoded) != "" {
		return false
	}
	if _, found := Invisible(decoded); found {
		return false
	}
	typ, _, found := strings.Cut(decoded, ":")
	return !found || !reservedTypes[typ] && !strings.HasPrefix(decoded, storedPrefix)
}

// unescape decodes the escapes of a stored id. It reports false if the text has an escape that EncodeID does not
// write, or a character that EncodeID would have escaped.
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
