package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/url"
	"reflect"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// cursorParameter is the contract's name of the cursor, in queries and bodies.
const cursorParameter = "cursor"

// minCursorBytes is how long the data of a cursor is at least; longer data has a power of two.
const minCursorBytes = 512

var errNoCursor = authz.Errorf(authz.CodeInvalid,
	"cursor is not one that an answer of this list gave as next_cursor to this actor and this API key")

// sealCursor returns a position in a list as callers receive it. The position may hold the id of an object that the
// reader may not see, so it is encrypted and padded. It opens for the same call, ids, actor and API key alone.
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
	return k.cursorSeal().Close(padded, k.aboutCursor())
}

// openCursor returns the position that sealCursor sealed. Its error has CodeInvalid.
func (k *call) openCursor(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	padded, ok := k.cursorSeal().Open(cursor, k.aboutCursor())
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

// cursorSeal is derived from the API key, which all servers before one SpiceDB know, and no reader of the product.
func (k *call) cursorSeal() authz.Seal {
	derived := hmac.New(sha256.New, []byte(k.secret))
	_, _ = derived.Write([]byte("cursors")) // never fails
	return authz.NewSeal(derived.Sum(nil))
}

func (k *call) aboutCursor() []byte {
	return fmt.Appendf(nil, "%q %q %q", k.route.operation, k.params, k.actor)
}

// openQueryCursor puts the position in the place of the cursor in the query of the address.
func (k *call) openQueryCursor(c *gin.Context, query url.Values) error {
	if query.Get(cursorParameter) == "" {
		return nil
	}
	position, err := k.openCursor(query.Get(cursorParameter))
	if err != nil {
		return err
	}
	query.Set(cursorParameter, position)
	c.Request.URL.RawQuery = query.Encode()
	return nil
}

// sealNextCursor seals the cursor of an answer that is a page of a list.
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
