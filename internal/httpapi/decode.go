package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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

// decodeStrict decodes a single JSON value in valid UTF-8 that has exactly the fields of the type. what is the name of
// the data in errors that are not about a field.
func decodeStrict(what string, data []byte, into any) error {
	return decodeJSON(what, data, into, false)
}

// decodeLenient is decodeStrict, except that it ignores unknown fields.
func decodeLenient(what string, data []byte, into any) error {
	return decodeJSON(what, data, into, true)
}

// checkJSON checks that the data is a single JSON value in valid UTF-8. what is the name of the data in errors.
func checkJSON(what string, data []byte) error { return decodeStrict(what, data, new(json.RawMessage)) }

// keysChecked makes decoding ignore repeated keys, because the scanner has already reported those that matter.
var keysChecked = jsontext.AllowDuplicateNames(true)

// decoding has the options of decoding after the scanner has checked the data.
var decoding = jsonv2.JoinOptions(keysChecked, jsonv2.WithUnmarshalers(
	jsonv2.UnmarshalFunc(func(quoted []byte, at *time.Time) error {
		text, err := jsontext.AppendUnquote(nil, quoted)
		if err == nil {
			*at, err = authz.ParseTime(string(text))
		}
		return err
	}),
))

func decodeJSON(what string, data []byte, into any, lenient bool) error {
	switch {
	case len(data) == 0:
		return authz.Errorf(authz.CodeInvalid, "%s is empty; it must be a JSON object", what)
	case !utf8.Valid(data):
		return authz.Errorf(authz.CodeInvalid, "%s is not valid UTF-8", what)
	}
	shape := scanner{jsontext.NewDecoder(bytes.NewBuffer(data), keysChecked), lenient}
	if fault := shape.value(reflect.TypeOf(into).Elem(), 0); fault != nil {
		return fault.err(what)
	}
	if err := jsonv2.Unmarshal(data, into, decoding); err != nil {
		return (&fault{syntax: err}).err(what)
	}
	return nil
}

// syntaxError returns the error for data that is not a single JSON value.
func syntaxError(what string, err error) *authz.Error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return authz.Errorf(authz.CodeInvalid, "%s is not JSON: unexpected end", what)
	case errors.As(err, &syntax):
		return authz.Errorf(authz.CodeInvalid, "%s is not JSON: %s at byte %d", what, syntax.Err, syntax.ByteOffset+1)
	}
	return &authz.Error{Code: authz.CodeInvalid, Message: what + " is malformed", Cause: err}
}

// fault is an error about a field.
type fault struct {
	path    string // path of the field, for example checks[3].subject; empty for the whole body
	problem string
	code    authz.Code // empty means CodeInvalid
	syntax  error      // why the data is not JSON; if it is set, the other fields do not count
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
	if f.syntax != nil {
		return syntaxError(what, f.syntax)
	}
	code := f.code
	if code == "" {
		code = authz.CodeInvalid
	}
	if f.path == "" {
		return authz.Errorf(code, "%s %s", what, f.problem)
	}
	return authz.Errorf(code, "the field %q %s", f.path, f.problem)
}
