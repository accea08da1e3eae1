package authz

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// cursorSum is how many bytes of a question's digest stand in a cursor: they tell questions and whole cursors apart and guard nothing, as
// whoever has a cursor may ask the question anyway.
const cursorSum = 8

// NewCursor returns a cursor that holds a position in the answer to a question, in letters that are safe in an address.
func NewCursor(position string, question ...any) string {
	return base64.RawURLEncoding.EncodeToString(append(digest(position, question), position...))
}

// ParseCursor returns the position that a cursor holds. The error has CodeInvalid if it belongs to another question or is
// none.
func ParseCursor(cursor string, question ...any) (position string, err error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(data) < cursorSum {
		return "", Errorf(CodeInvalid, "cursor is not one that an answer gave as next_cursor")
	}
	position = string(data[cursorSum:])
	if !bytes.Equal(data[:cursorSum], digest(position, question)) {
		return "", Errorf(CodeInvalid, "cursor belongs to another question; it continues the one that it was given for, unchanged")
	}
	return position, nil
}

func digest(position string, question []any) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %#v", position, question)) // in which maps are sorted, and strings quoted
	return sum[:cursorSum]
}
