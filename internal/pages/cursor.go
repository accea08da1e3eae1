package pages

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/sluice-authz/sluice/internal/authz"
)

// cursorSum is the number of bytes of the hash in a cursor. With the hash, Parse detects damaged cursors, and cursors
// of other queries. The hash protects no secret: a caller with a cursor could also read the list from its start.
const cursorSum = 8

// Cursors creates and parses the cursors of one query with its parameters, for example of one look-up.
type Cursors struct {
	question [sha256.Size]byte
}

// CursorsOf returns the Cursors of a query. Its arguments are the parts of the query: all parameters that must be the
// same on each page.
func CursorsOf(question ...any) Cursors {
	return Cursors{sha256.Sum256(fmt.Appendf(nil, "%#v", question))} // %#v sorts maps and quotes strings
}

// New returns a cursor for a position in the result of the query. It has only characters that are safe in a URL.
func (c Cursors) New(position string) string {
	sum := c.digest(position)
	return base64.RawURLEncoding.EncodeToString(append(sum[:cursorSum], position...))
}

// Parse returns the position in a cursor. The error has CodeInvalid if the text is not a cursor of this query.
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
