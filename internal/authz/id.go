package authz

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// MaxIDBytes is the longest id that the API accepts, in bytes of UTF-8.
const MaxIDBytes = 256

// ID names an object within its type, as the caller wrote it: any non-empty UTF-8 of up to MaxIDBytes bytes.
// How it is stored is EncodeID's business.
type ID string

// ParseID checks that s can be an id. The error has code CodeInvalid.
func ParseID(s string) (ID, error) {
	switch {
	case s == "":
		return "", Errorf(CodeInvalid, "an id must not be empty")
	case len(s) > MaxIDBytes:
		return "", Errorf(CodeInvalid, "an id must be at most %d bytes long, this one has %d", MaxIDBytes, len(s))
	case !utf8.ValidString(s):
		return "", Errorf(CodeInvalid, "an id must be valid UTF-8")
	}
	return ID(s), nil
}

const upperHex = "0123456789ABCDEF"

// EncodeID returns the form in which an id is stored in SpiceDB, which allows only [A-Za-z0-9/_|\-=+] there: every
// other byte, and '=' itself, becomes "=HH" with two upper-case hex digits.
func EncodeID(id ID) string {
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

// DecodeID undoes EncodeID. A stored id that EncodeID cannot have produced, because another tool wrote it, is
// returned as it is.
func DecodeID(stored string) ID {
	if !strings.Contains(stored, "=") {
		return ID(stored)
	}
	decoded := make([]byte, 0, len(stored))
	for i := 0; i < len(stored); i++ {
		if storable(stored[i]) {
			decoded = append(decoded, stored[i])
			continue
		}
		if stored[i] != '=' {
			return ID(stored)
		}
		if i+2 >= len(stored) {
			return ID(stored)
		}
		digits := stored[i+1 : i+3]
		escaped, err := hex.DecodeString(digits)
		if err != nil || storable(escaped[0]) || strings.ContainsAny(digits, "abcdef") {
			return ID(stored)
		}
		decoded = append(decoded, escaped[0])
		i += 2
	}
	if !utf8.Valid(decoded) {
		return ID(stored)
	}
	return ID(decoded)
}

func storable(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("/_|-+", c) >= 0
}
