package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// kind is the status and the title of the problems of a code.
type kind struct {
	status int
	title  string
}

// StatusClientClosedRequest is nginx's status for a client that disconnected before the answer.
const StatusClientClosedRequest = 499

// kinds is the only table from codes to HTTP statuses.
var kinds = map[authz.Code]kind{
	authz.CodeInvalid:          {http.StatusBadRequest, "Invalid request"},
	authz.CodeUnauthenticated:  {http.StatusUnauthorized, "Unauthenticated"},
	authz.CodeForbidden:        {http.StatusForbidden, "Forbidden"},
	authz.CodeNotFound:         {http.StatusNotFound, "Not found"},
	authz.CodeMethodNotAllowed: {http.StatusMethodNotAllowed, "Method not allowed"},
	authz.CodeConflict:         {http.StatusConflict, "Conflict"},
	authz.CodeFeatureRequired:  {http.StatusConflict, "Feature required"},
	authz.CodeTooLarge:         {http.StatusRequestEntityTooLarge, "Too large"},
	authz.CodeUnsupported:      {http.StatusUnsupportedMediaType, "Unsupported"},
	authz.CodeLimited:          {http.StatusTooManyRequests, "Too many requests"},
	authz.CodeCanceled:         {StatusClientClosedRequest, "Canceled"},
	authz.CodeInternal:         {http.StatusInternalServerError, "Internal error"},
	authz.CodeUnavailable:      {http.StatusServiceUnavailable, "Unavailable"},
	authz.CodeDeadline:         {http.StatusGatewayTimeout, "Timeout"},
}

// genericDetails replace messages that callers must not read.
var genericDetails = map[authz.Code]string{
	authz.CodeInternal: "the server failed; its log has the cause under the request id",
	authz.CodeDeadline: "the request took too long",
	authz.CodeCanceled: "the client disconnected",
}

// maxDetail is the largest length of the detail of an error in bytes.
const maxDetail = 2000

// detailOf returns the detail of an error for callers: never its cause, and at most maxDetail bytes.
func (s *server) detailOf(ctx context.Context, err error) string {
	code := codeOf(err)
	var known *authz.Error
	if code == authz.CodeInternal || !errors.As(err, &known) {
		return genericDetails[code]
	}
	var name *authz.BadName
	if errors.As(err, &name) {
		return authz.Cut(known.Message+s.nearest(ctx, name), maxDetail)
	}
	return authz.Cut(known.Message, maxDetail)
}

// problem answers an error with a problem document.
func (s *server) problem(c *gin.Context, err error) {
	c.Abort()
	k := callOf(c)
	k.err = err
	s.logFailure(c.Request.Context(), k, err)
	if c.Writer.Written() {
		return
	}
	if errors.Is(err, errBusy) {
		c.Header("Retry-After", strconv.Itoa(int(maxWait/time.Second)))
	}
	body := s.problemOf(c.Request.Context(), k, err)
	if err := writeJSON(c, body.Status, "application/problem+json", body); err != nil {
		c.Status(http.StatusInternalServerError)
	}
}

// problemOf returns the problem document of an error.
func (s *server) problemOf(ctx context.Context, k *call, err error) Problem {
	code := codeOf(err)
	body := Problem{
		Type: "urn:sluice:problem:" + string(code), Title: kinds[code].title, Status: kinds[code].status,
		Detail: s.detailOf(ctx, err), Code: Code(code), RequestID: k.id,
	}
	var known *authz.Error
	if errors.As(err, &known) {
		if known.Permission != "" {
			body.Permission = new(string(known.Permission))
		}
		if len(known.Accounts) > 0 {
			body.Accounts = new(toStrings(known.Accounts))
		}
		if len(known.Subscriptions) > 0 {
			body.Subscriptions = new(toStrings(known.Subscriptions))
		}
	}
	return body
}

// logFailure logs an error of the server itself, with the cause that no answer shows.
func (s *server) logFailure(ctx context.Context, k *call, err error) {
	if code := codeOf(err); code != authz.CodeInternal && code != authz.CodeUnavailable {
		return
	}
	s.Logger.LogAttrs(context.WithoutCancel(ctx), k.level(kinds[codeOf(err)].status), "request failed",
		slog.String("route", k.template()), slog.String("request_id", k.id), slog.Any("error", err))
}

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

// sendWhole answers a body with its Content-Length, which HEAD then has too.
func sendWhole(c *gin.Context, status int, contentType string, body []byte) {
	c.Header("Content-Length", strconv.Itoa(len(body)))
	c.Data(status, contentType, body)
}
