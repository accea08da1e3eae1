package pages

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/sluice-authz/sluice/internal/authz"
)

// cursorSum is the number of bytes of a hash in a cursor. The hash detects damaged cursors and cursors of other
// questions. It protects no secret: a caller with a cursor may ask the question without it.
const cursorSum = 8

// Cursors creates and parses the cursors of one question: a query with its parameters.
type Cursors struct {
	question [sha256.Size]byte
}

// CursorsOf returns the cursors of a question.
func CursorsOf(question ...any) Cursors {
	return Cursors{sha256.Sum256(fmt.Appendf(nil, "%#v", question))} // %#v sorts maps and quotes strings
}

// New returns a cursor for a position in the answer to the question. It has only characters that are safe in a URL.
func (c Cursors) New(position string) string {
	sum := c.digest(position)
	return base64.RawURLEncoding.EncodeToString(append(sum[:cursorSum], position...))
}

// Parse returns the position in a cursor. The error has CodeInvalid if the text is not a cursor of this question.
func (c Cursors) Parse(cursor string) (position string, err error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(data) < cursorSum {
		return "", authz.Errorf(authz.CodeInvalid, "the cursor is not a next_cursor of an earlier answer")
	}
	position = string(data[cursorSum:])
	if sum := c.digest(position); !bytes.Equal(data[:cursorSum], sum[:cursorSum]) {
		return "", authz.Errorf(
			authz.CodeInvalid,
			"the cursor belongs to other parameters; send the parameters of the first page, of which only limit may change",
		)
	}
	return position, nil
}

func (c Cursors) digest(position string) [sha256.Size]byte {
	return sha256.Sum256(append(c.question[:], position...))
}
