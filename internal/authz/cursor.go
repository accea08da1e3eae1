package authz

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// cursorSum is how many bytes of a digest stand in a cursor: they tell questions and whole cursors apart and guard
// nothing, as a caller who has a cursor may ask the question anyway.
const cursorSum = 8

// Cursors makes the cursors of one question and reads them.
type Cursors struct {
	question [sha256.Size]byte
}

// CursorsOf returns the cursors of a question.
func CursorsOf(question ...any) Cursors {
	return Cursors{sha256.Sum256(fmt.Appendf(nil, "%#v", question))} // in which maps are sorted, and strings quoted
}

// New returns a cursor that holds a position in the answer to the question, in letters that are safe in an address.
func (c Cursors) New(position string) string {
	sum := c.digest(position)
	return base64.RawURLEncoding.EncodeToString(append(sum[:cursorSum], position...))
}

// Parse returns the position that a cursor holds. The error has CodeInvalid if it belongs to another question or is
// none.
func (c Cursors) Parse(cursor string) (position string, err error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(data) < cursorSum {
		return "", Errorf(CodeInvalid, "cursor is not one that an answer gave as next_cursor")
	}
	position = string(data[cursorSum:])
	if sum := c.digest(position); !bytes.Equal(data[:cursorSum], sum[:cursorSum]) {
		return "", Errorf(
			CodeInvalid, "cursor belongs to another question; it continues the one that it was given for, unchanged",
		)
	}
	return position, nil
}

func (c Cursors) digest(position string) [sha256.Size]byte {
	return sha256.Sum256(append(c.question[:], position...))
}
