package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"reflect"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
)

// cursorParameter is the name of the cursor in the contract's queries and bodies.
const cursorParameter = "cursor"

// minCursorBytes is the smallest size of the data in a cursor. Longer data is padded to a power of two.
const minCursorBytes = 512

var errNoCursor = authz.Errorf(authz.CodeInvalid,
	"the cursor is not a next_cursor of this list for this actor and API key")

// sealCursor encrypts and pads a position in a list, because it may contain the id of an object that the reader may not
// see. The cursor is valid only for the same call, ids, actor and API key.
func (k *call) sealCursor(position string) string {
	if position == "" {
		return ""
	}
	size := minCursorBytes
	for size <= len(position) {
		size *= 2
	}
	padded := make([]byte, size)
	copy(padded, position)
	padded[len(position)] = 1
	return k.cursorSeal().Close(padded, k.cursorScope())
}

// openCursor decrypts a position that sealCursor encrypted. Its errors have CodeInvalid.
func (k *call) openCursor(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	padded, ok := k.cursorSeal().Open(cursor, k.cursorScope())
	if !ok {
		return "", errNoCursor
	}
	end := len(padded) - 1
	for end >= 0 && padded[end] == 0 {
		end--
	}
	if end < 0 {
		return "", errNoCursor
	}
	return string(padded[:end]), nil
}

// cursorSeal returns the cipher for cursors. It derives the cipher's key from the API key, which all servers of one
// SpiceDB know, and which users of the product do not know.
func (k *call) cursorSeal() pages.Seal {
	derived := hmac.New(sha256.New, []byte(k.secret))
	_, _ = derived.Write([]byte("cursors")) // never fails
	return pages.NewSeal(derived.Sum(nil))
}

func (k *call) cursorScope() []byte {
	return fmt.Appendf(nil, "%q %q %q", k.route.operation, k.params, k.actor)
}

// openQueryCursor replaces the cursor in the query by its decrypted position.
func (k *call) openQueryCursor() error {
	if k.query.Get(cursorParameter) == "" {
		return nil
	}
	position, err := k.openCursor(k.query.Get(cursorParameter))
	if err != nil {
		return err
	}
	k.query.Set(cursorParameter, position)
	return nil
}

// sealNextCursor encrypts the next_cursor of an answer if it is a page of a list.
func (k *call) sealNextCursor(body any) any {
	if !k.route.pages {
		return body
	}
	answer := reflect.New(reflect.TypeOf(body)).Elem()
	answer.Set(reflect.ValueOf(body))
	next := answer.FieldByName("NextCursor")
	next.SetString(k.sealCursor(next.String()))
	return answer.Interface()
}
