package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// kind is the status and the title of the problems of a code.
type kind struct {
	status int
	title  string
}

// statusClientClosedRequest is nginx's status for a client that disconnected before the answer.
const statusClientClosedRequest = 499

// kinds is the only table from codes to HTTP statuses.
var kinds = map[authz.Code]kind{
	authz.CodeInvalid:            {http.StatusBadRequest, "Invalid request"},
	authz.CodeUnauthenticated:    {http.StatusUnauthorized, "Unauthenticated"},
	authz.CodeForbidden:          {http.StatusForbidden, "Forbidden"},
	authz.CodeNotFound:           {http.StatusNotFound, "Not found"},
	authz.CodeMethodNotAllowed:   {http.StatusMethodNotAllowed, "Method not allowed"},
	authz.CodeConflict:           {http.StatusConflict, "Conflict"},
	authz.CodeFeatureRequired:    {http.StatusConflict, "Feature required"},
	authz.CodePreconditionFailed: {http.StatusPreconditionFailed, "Precondition failed"},
	authz.CodeTooLarge:           {http.StatusRequestEntityTooLarge, "Too large"},
	authz.CodeUnsupported:        {http.StatusUnsupportedMediaType, "Unsupported"},
	authz.CodeLimited:            {http.StatusTooManyRequests, "Too many requests"},
	authz.CodeCanceled:           {statusClientClosedRequest, "Canceled"},
	authz.CodeInternal:           {http.StatusInternalServerError, "Internal error"},
	authz.CodeUnavailable:        {http.StatusServiceUnavailable, "Unavailable"},
	authz.CodeDeadline:           {http.StatusGatewayTimeout, "Timeout"},
}

// genericDetails replace messages that callers must not read.
var genericDetails = map[authz.Code]string{
	authz.CodeInternal: "the server failed; its log has the cause under the request id",
	authz.CodeDeadline: "the request took too long",
	authz.CodeCanceled: "the client disconnected",
}

// maxDetail is the largest length of the detail of an error in bytes.
const maxDetail = 2000

// writeJSON writes the complete body, or nothing if encoding fails.
func writeJSON(c *gin.Context, status int, contentType string, body any) error {
	if err := checkSize(body); err != nil {
		return err
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return err
	}
	if buffer.Len() > maxAnswer {
		return errLargeAnswer
	}
	sendWhole(c, status, contentType, buffer.Bytes())
	return nil
}

// sendWhole answers with a body and its Content-Length, so that the answer to HEAD also has this header.
func sendWhole(c *gin.Context, status int, contentType string, body []byte) {
	c.Header("Content-Length", strconv.Itoa(len(body)))
	c.Data(status, contentType, body)
}
