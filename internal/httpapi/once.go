package httpapi

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

const (
	idempotencyHeader = "Idempotency-Key"

	// maxIdempotencyKey is how long the key may be, in bytes.
	maxIdempotencyKey = 255
)

// readOnce reads by what the caller recognizes the operation when they ask for it again, if they do. The secret is that of
// the API key.
func (k *call) readOnce(c *gin.Context, secret string) error {
	values := c.Request.Header.Values(idempotencyHeader)
	if !k.route.once || len(values) == 0 {
		return nil
	}
	unfit := func(r rune) bool { return r < '!' || r > '~' }
	switch key := values[0]; {
	case len(values) > 1:
		return authz.Errorf(authz.CodeInvalid, "the header %s stands there %d times", idempotencyHeader, len(values))
	case key == "" || len(key) > maxIdempotencyKey || strings.IndexFunc(key, unfit) >= 0:
		return authz.Errorf(authz.CodeInvalid, "the header %s must have 1 to %d visible characters of ASCII, such as a UUID", idempotencyHeader, maxIdempotencyKey)
	}
	derived := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(derived, "%q %q", k.actor, values[0]) // never fails
	k.once = &operation.Once{Key: values[0], Secret: derived.Sum(nil)}
	return nil
}

// digest is one of all that a request asks for. Bodies that mean the same have the same.
func (k *call) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %s", k.route.operation, k.params, k.query, canonical(k.body)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// canonical writes JSON with the fields of each object in order, and nothing between them.
func canonical(body []byte) []byte {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return body
	}
	written, err := json.Marshal(value)
	if err != nil {
		return body
	}
	return written
}

// replayed sets, in an answer, the field that says that nothing was changed.
func replayed(body any) any {
	answer := reflect.New(reflect.TypeOf(body)).Elem()
	answer.Set(reflect.ValueOf(body))
	answer.FieldByName("Replayed").Set(reflect.ValueOf(new(true)))
	return answer.Interface()
}
