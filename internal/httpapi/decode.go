package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxBody is the largest size of a request body in bytes.
const maxBody = 1 << 20

// decode reads and decodes the JSON body of a request, see decodeBody.
func decode[T any](c *gin.Context) (T, error) {
	content, err := readBody(c)
	if err != nil {
		var none T
		return none, err
	}
	return decodeBody[T](request{call: callOf(c), content: content})
}

// decodeBody decodes the JSON body of a request. The body must have exactly the documented fields. Lenient calls ignore
// other fields.
func decodeBody[T any](r request) (into T, err error) {
	if r.route.lenient {
		err = decodeLenient("the body", r.content, &into)
	} else {
		err = decodeStrict("the body", r.content, &into)
	}
	if err == nil && r.idempotency != nil {
		r.body, err = json.Marshal(into)
	}
	return into, err
}

// readBody reads the body of a request and checks that its Content-Type is JSON.
func readBody(c *gin.Context) ([]byte, error) {
	if contentType := c.GetHeader("Content-Type"); !isJSON(contentType) {
		return nil, authz.Errorf(
			authz.CodeInvalid, "the header Content-Type must be application/json in UTF-8, not %q", contentType,
		)
	}
	data, err := readAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody), c.Request.ContentLength)
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, authz.Errorf(authz.CodeTooLarge, "the body is larger than %d bytes", maxBody)
	case errors.Is(err, errNotGzip):
		return nil, errNotGzip
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &authz.Error{
			Code: authz.CodeDeadline, Message: "the body of the request did not arrive in time", Cause: err,
		}
	case err != nil:
		return nil, &authz.Error{
			Code:    authz.CodeInvalid,
			Message: "the body of the request could not be read",
			Cause:   err,
		}
	}
	return data, nil
}

// readAll is io.ReadAll with a buffer of the right size if the body declares a small length.
func readAll(body io.Reader, length int64) ([]byte, error) {
	const small = 64 << 10
	if length <= 0 || length > small {
		return io.ReadAll(body)
	}
	data := make([]byte, length)
	_, err := io.ReadFull(body, data)
	return data, err
}

func isJSON(contentType string) bool {
	if contentType == "application/json" { // the common case
		return true
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	charset, given := parameters["charset"]
	return err == nil && media == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// decodeStrict decodes a single JSON value in valid UTF-8 that has exactly the fields of the type. what names the data
// in errors that are not about a field.
func decodeStrict(what string, data []byte, into any) error {
	decoded, err := decodeJSON(what, data, into)
	if err != nil {
		return err
	}
	shape := scanner{data: data}
	if fault := shape.value(reflect.TypeOf(into).Elem(), 0); fault != nil {
		return fault.err(what)
	}
	return shape.redecode(what, decoded, into)
}

// redecode returns the reason why the data does not fit the type, or nil. decoded is the reason that was found in the
// data as sent. If the scanner has changed the data since, decoded is outdated. Then redecode decodes the changed data
// and returns the reason found there.
func (s *scanner) redecode(what string, decoded error, into any) error {
	if !s.changed {
		return decoded
	}
	reflect.ValueOf(into).Elem().SetZero()
	decoded, err := decodeJSON(what, s.data, into)
	if err != nil {
		return err
	}
	return decoded
}

// decodeLenient does what decodeStrict does, but ignores unknown fields.
func decodeLenient(what string, data []byte, into any) error {
	if err := checkJSON(what, data); err != nil {
		return err
	}
	shape := scanner{data: slices.Clone(data), lenient: true}
	if fault := shape.value(reflect.TypeOf(into).Elem(), 0); fault != nil {
		return fault.err(what)
	}
	decoded, err := decodeJSON(what, shape.data, into)
	if err != nil {
		return err
	}
	return decoded
}

// checkJSON checks that the data is a single JSON value in valid UTF-8. what names the data in errors.
func checkJSON(what string, data []byte) error {
	_, err := decodeJSON(what, data, new(json.RawMessage))
	return err
}

// decodeJSON decodes a single JSON value in valid UTF-8, with any fields. err is set if the data is no such value.
// mismatch is set if the value does not fit the type, and says why.
func decodeJSON(what string, data []byte, into any) (mismatch, err error) {
	switch {
	case len(data) == 0:
		return nil, authz.Errorf(authz.CodeInvalid, "%s is empty; it must be a JSON object", what)
	case !utf8.Valid(data):
		return nil, authz.Errorf(authz.CodeInvalid, "%s is not valid UTF-8", what)
	}
	decoded := json.Unmarshal(data, into)
	var syntax *json.SyntaxError
	if errors.As(decoded, &syntax) {
		return nil, authz.Errorf(authz.CodeInvalid, "%s is not JSON: %s at byte %d", what, syntax, syntax.Offset)
	}
	if at := loneSurrogate(data); at >= 0 {
		return nil, authz.Errorf(
			authz.CodeInvalid,
			`%s has half of a surrogate pair (\ud800 to \udfff) at byte %d, which is not a character`,
			what,
			at,
		)
	}
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(decoded, &other):
		mismatch = mistyped(other)
	case decoded != nil:
		mismatch = &authz.Error{Code: authz.CodeInvalid, Message: what + " is malformed", Cause: decoded}
	}
	return mismatch, nil
}

// mistyped returns the error for a JSON value of another type than its field has.
func mistyped(found *json.UnmarshalTypeError) error {
	text, isNumber := strings.CutPrefix(found.Value, "number ")
	if isNumber && found.Type != nil && found.Type.Kind() >= reflect.Int && found.Type.Kind() <= reflect.Uint64 {
		return authz.Errorf(
			authz.CodeInvalid, "the field %q must be a whole number that fits in 64 bits, such as 3600; it is %s",
			authz.Echo(found.Field), authz.Echo(text),
		)
	}
	return authz.Errorf(
		authz.CodeInvalid, "the field %q cannot be a %s", authz.Echo(found.Field), authz.Echo(found.Value),
	)
}

// fault is an error about a field.
type fault struct {
	path    string // place of the field, for example checks[3].subject; empty for the whole body
	problem string
	code    authz.Code // empty means CodeInvalid
}

func faultf(format string, args ...any) *fault { return &fault{problem: fmt.Sprintf(format, args...)} }

// in prefixes the path of the fault with the field of an object or, written [3], with the index of a list.
func (f *fault) in(segment string) *fault {
	if f.path != "" && f.path[0] != '[' {
		segment += "."
	}
	f.path = authz.Echo(segment + f.path)
	return f
}

func (f *fault) err(what string) *authz.Error {
	code := f.code
	if code == "" {
		code = authz.CodeInvalid
	}
	if f.path == "" {
		return authz.Errorf(code, "%s %s", what, f.problem)
	}
	return authz.Errorf(code, "the field %q %s", f.path, f.problem)
}
