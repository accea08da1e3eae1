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

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

const (
	idempotencyHeader = "Idempotency-Key"

	// maxIdempotencyKey is the largest length of the key in bytes.
	maxIdempotencyKey = 255
)

// readIdempotencyKey reads the optional idempotency key of the request.
func (k *call) readIdempotencyKey(c *gin.Context) error {
	values := c.Request.Header.Values(idempotencyHeader)
	if !k.route.idempotent || len(values) == 0 {
		return nil
	}
	unfit := func(r rune) bool { return r < '!' || r > '~' }
	switch key := values[0]; {
	case len(values) > 1:
		return authz.Errorf(authz.CodeInvalid, "the header %s is given more than once", idempotencyHeader)
	case key == "" || len(key) > maxIdempotencyKey || strings.IndexFunc(key, unfit) >= 0:
		return authz.Errorf(
			authz.CodeInvalid,
			"the header %s must have 1 to %d visible ASCII characters, for example a UUID",
			idempotencyHeader,
			maxIdempotencyKey,
		)
	}
	derived := hmac.New(sha256.New, []byte(k.secret))
	_, _ = fmt.Fprintf(derived, "%q %q", k.actor, values[0]) // never fails
	k.idempotency = &operation.Idempotency{Key: values[0], Secret: derived.Sum(nil)}
	return nil
}

// digest returns a digest of the whole request. Equivalent requests have the same digest: the order of fields does not
// matter, nor whether a person is written "bob" or "user:bob".
func (k *call) digest() string {
	sum := sha256.Sum256(
		fmt.Appendf(nil, "%q %q %q %s", k.route.operation, k.params, k.query.Encode(), canonical(k.body, k.route.body)),
	)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// canonical returns the JSON of a value with sorted fields, without white space, and with people as "bob".
func canonical(body []byte, schema *openapi3.SchemaRef) []byte {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return body
	}
	written, err := json.Marshal(trimPeople(value, schema))
	if err != nil {
		return body
	}
	return written
}

// trimPeople replaces "user:bob" by "bob" wherever the schema has a person.
func trimPeople(value any, schema *openapi3.SchemaRef) any {
	if schema == nil {
		return value
	}
	for _, part := range schema.Value.AllOf {
		value = trimPeople(value, part)
	}
	switch v := value.(type) {
	case string:
		if schema.Value.Extensions[personExtension] == true {
			return authz.TrimPerson(v)
		}
	case []any:
		for i, item := range v {
			v[i] = trimPeople(item, schema.Value.Items)
		}
	case map[string]any:
		return trimPeopleOfObject(v, schema.Value)
	}
	return value
}

func trimPeopleOfObject(object map[string]any, schema *openapi3.Schema) map[string]any {
	trimmed := make(map[string]any, len(object))
	for key, value := range object {
		if schema.Extensions[personKeysExtension] == true {
			key = authz.TrimPerson(key)
		}
		field := schema.Properties[key]
		if field == nil {
			field = schema.AdditionalProperties.Schema
		}
		trimmed[key] = trimPeople(value, field)
	}
	return trimmed
}

// replayed sets the field Replayed of an answer. If the values are hidden, it removes all optional fields, so that only
// the token and the ids in the request remain.
func replayed(body any, isHidden bool) any {
	answer := reflect.New(reflect.TypeOf(body)).Elem()
	answer.Set(reflect.ValueOf(body))
	for _, field := range answer.Fields() {
		if isHidden && field.Kind() == reflect.Pointer {
			field.SetZero()
		}
	}
	answer.FieldByName("Replayed").Set(reflect.ValueOf(new(true)))
	return answer.Interface()
}
