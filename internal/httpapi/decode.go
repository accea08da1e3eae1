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

// maxBody is how large the body of a request may be, in bytes.
const maxBody = 1 << 20

// decode reads the body of a request, which must be JSON of exactly the documented fields, or of at least those in a
// lenient call.
func decode[T any](c *gin.Context) (T, error) {
	var into T
	data, err := readBody(c)
	k := callOf(c)
	switch {
	case err != nil:
	case k.route.lenient:
		err = decodeLenient("the body", data, &into)
	default:
		err = decodeStrict("the body", data, &into)
	}
	if err == nil && k.once != nil {
		k.body, err = json.Marshal(into)
	}
	return into, err
}

// readBody returns the body of a request, which calls itself JSON.
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
		return nil, &authz.Error{Code: authz.CodeInvalid, Message: "the body of the request could not be read", Cause: err}
	}
	return data, nil
}

// readAll is io.ReadAll, with a buffer of the right size if it is said to be small.
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
	if contentType == "application/json" { // as almost always
		return true
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	charset, given := parameters["charset"]
	return err == nil && media == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// decodeStrict decodes JSON that is a single value in valid UTF-8 and has exactly the fields of the type. An error
// about no field in particular begins with what the data is.
func decodeStrict(what string, data []byte, into any) error {
	decoded, err := decodeJSON(what, data, into)
	if err != nil {
		return err
	}
	shape := scanner{data: data}
	if fault := shape.value(reflect.TypeOf(into).Elem(), 0); fault != nil {
		return fault.err(what)
	}
	return shape.again(what, decoded, into)
}

// again returns the error of decoding, or that of decoding once more if the scanner has changed the data since.
func (s *scanner) again(what string, decoded error, into any) error {
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

// decodeLenient is decodeStrict for data that may have other fields as well; they are ignored.
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

// checkJSON checks that the data is a single JSON value in valid UTF-8. An error begins with what the data is.
func checkJSON(what string, data []byte) error {
	_, err := decodeJSON(what, data, new(json.RawMessage))
	return err
}

// decodeJSON decodes JSON that checkJSON passes, with any fields. mismatch says why it does not fit the type, if so.
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
			authz.CodeInvalid, `%s has half a surrogate pair (\ud800 to \udfff) at byte %d, which is no character`, what, at,
		)
	}
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(decoded, &other):
		mismatch = authz.Errorf(
			authz.CodeInvalid, "the field %q cannot be a %s", authz.Echo(other.Field), authz.Echo(other.Value),
		)
	case decoded != nil:
		mismatch = &authz.Error{Code: authz.CodeInvalid, Message: what + " is malformed", Cause: decoded}
	}
	return mismatch, nil
}

// fault is what is wrong with a field.
type fault struct {
	path    string // such as checks[3].subject; empty for the body as a whole
	problem string
	code    authz.Code // CodeInvalid if it is empty
}

func faultf(format string, args ...any) *fault { return &fault{problem: fmt.Sprintf(format, args...)} }

// in puts the fault into the field of an object or, written [3], into an item of a list.
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
