package authz

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxIDBytes is the longest id that the API accepts, in bytes of UTF-8.
const MaxIDBytes = 256

// storedPrefix starts the id of an object that another tool stored, if no caller can have chosen this id. After the
// prefix comes the id as stored in SpiceDB.
const storedPrefix = "stored:"

// MaxStoredBytes is the longest id that SpiceDB stores, after EncodeID.
const MaxStoredBytes = 1024

// personPrefix may start the id of a person where only a person is accepted.
const personPrefix = "user:"

// reservedTypes are the product's types. No id may start with one of them and a colon, so that nobody takes a reference
// such as user:bob for an id.
var reservedTypes = withSimpleTypes(map[string]bool{
	"account": true, "connection": true, "connection_group": true, "connector": true,
	"custom_role": true, "custom_role_slot": true, "custom_role_version": true, "deletion": true, "description": true,
	"group": true, "idempotency_key": true, "importer": true, "invitation": true, "invitee": true, "membership": true,
	"offboarding": true, "platform": true, "removed_user": true, "request": true, "role": true, "role_binding": true,
	"service_account": true,
	"sluice_schema":   true, "subscription": true, "title": true, "user": true, "workspace": true,
})

// IsProductType reports whether the product's schema defines the type. A schema of the user's own cannot define such
// a type.
func IsProductType(typ Type) bool { return reservedTypes[string(typ)] }

func withSimpleTypes(types map[string]bool) map[string]bool {
	for _, typ := range SimpleTypes {
		types[string(typ.Name)] = true
	}
	return types
}

// longTypes are the product's types whose ids contain another id, so that they may be longer than MaxIDBytes.
var longTypes = map[Type]bool{
	"connection_group": true, TypeCustomRole: true, "custom_role_slot": true, "deletion": true, "membership": true,
	TypeRoleBinding: true,
}

// ID names an object within its type, as the caller wrote it. It is UTF-8 of 1 to MaxIDBytes bytes without invisible
// characters (see Invisible). Its only white space are spaces between other characters. It does not start with a type
// of the product and a colon. If another tool stored an id that breaks these rules, the ID is "stored:" and the stored
// text. EncodeID and DecodeID convert between an ID and the form that SpiceDB stores.
type ID string

// IsForeign reports whether only another tool can have stored the id. A caller may name an object with such an id, but
// not create one.
func (id ID) IsForeign() bool { return strings.HasPrefix(string(id), storedPrefix) }

// ParseID checks the id of a new or existing object whose type lets callers choose ids. The error has code CodeInvalid.
func ParseID(s string) (ID, error) { return parseID("", s) }

// parseID is ParseID for an id of the given type.
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

// maxBytes returns the highest length of an id of a type. It does not apply to ids that another tool stored.
func maxBytes(typ Type) int {
	if longTypes[typ] {
		return MaxStoredBytes
	}
	return MaxIDBytes
}

// misplacedSpace describes misplaced white space in an id. It returns "" if there is none.
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

// parseStoredID parses an id with the prefix "stored:". It rejects an id that can be written without the prefix, so
// that every id has exactly one form.
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

// isStoredID reports whether SpiceDB accepts the text as an id.
func isStoredID(s string) bool {
	for i := range len(s) {
		if !storable(s[i]) && s[i] != '=' {
			return false
		}
	}
	return s != "" && len(s) <= MaxStoredBytes
}

// ParsePerson parses the id of a person where only a person is accepted. "bob" and "user:bob" are the same person. The
// error has code CodeInvalid.
func ParsePerson(s string) (ID, error) { return ParseID(TrimPerson(s)) }

// TrimPerson removes the type from a person's id: it returns "bob" for "bob" and for "user:bob". It does not check the
// id; ParsePerson does.
func TrimPerson(s string) string { return strings.TrimPrefix(s, personPrefix) }

// Invisible returns the first invisible character of s, if there is one. Such characters are not allowed in ids and
// metadata, since two different texts could look the same. They are control characters (U+0000 to U+001F, U+007F to
// U+009F), format characters such as zero-width spaces, joiners, byte-order marks and changes of the writing direction
// (Unicode's category Cf), line and paragraph separators, variation selectors, fillers, the blank Braille pattern, and
// code points that are never characters.
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

// EscapeHeader returns the only form of an id that the actor header accepts. The percent sign, the comma, the space and
// every byte that is not visible ASCII become "%HH" with two upper-case hexadecimal digits. The comma is escaped
// because proxies join headers with it.
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

// EncodeID returns the form in which SpiceDB stores an id. SpiceDB accepts only [A-Za-z0-9/_|\-=+]. Every other byte,
// and '=' itself, becomes "=HH" with two upper-case hexadecimal digits. For an id that another tool stored, EncodeID
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

// DecodeID is the inverse of EncodeID for an id of a type. If no caller can have chosen the stored id, the result is
// "stored:" and the stored text.
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

// unescape decodes the escapes of a stored id. It reports false if EncodeID would not have written one of them.
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
