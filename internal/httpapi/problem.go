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

// kind is how a code is answered.
type kind struct {
	status int
	title  string
}

// StatusClientClosedRequest is nginx's status for a client that went away before it was answered.
const StatusClientClosedRequest = 499

// kinds is the one place that says which status a code has.
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
	authz.CodeDeadline:         {http.StatusGatewayTimeout, "Out of time"},
}

// concealed is what callers read in place of a message that was not written for them.
var concealed = map[authz.Code]string{
	authz.CodeInternal: "the server failed; its log says why under the request id",
	authz.CodeDeadline: "the request took longer than it may",
	authz.CodeCanceled: "the client went away",
}

// maxDetail is how long the detail of an error is at most, in bytes.
const maxDetail = 2000

// detailOf returns what callers read about an error: never its cause, and no more than maxDetail bytes.
func (s *server) detailOf(ctx context.Context, err error) string {
	code := codeOf(err)
	var known *authz.Error
	if code == authz.CodeInternal || !errors.As(err, &known) {
		return concealed[code]
	}
	var name *authz.BadName
	if errors.As(err, &name) {
		return authz.Cut(known.Message+s.nearest(ctx, name), maxDetail)
	}
	return authz.Cut(known.Message, maxDetail)
}

// problem answers with an error.
func (s *server) problem(c *gin.Context, err error) {
	var of *refused
	if errors.As(err, &of) {
		if of.retryAfter != "" {
			c.Header("Retry-After", of.retryAfter)
		}
		err = of.error
	}
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

// problemOf is the problem document about an error.
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
			body.Accounts = new(texts(known.Accounts))
		}
		if len(known.Subscriptions) > 0 {
			body.Subscriptions = new(texts(known.Subscriptions))
		}
	}
	return body
}

// logFailure logs an error that is the server's own, with the cause that no answer shows.
func (s *server) logFailure(ctx context.Context, k *call, err error) {
	if code := codeOf(err); code != authz.CodeInternal && code != authz.CodeUnavailable {
		return
	}
	s.Logger.LogAttrs(context.WithoutCancel(ctx), slog.LevelError, "request failed",
		slog.String("route", k.template()), slog.String("request_id", k.id), slog.Any("error", err))
}

// writeJSON writes the body as a whole, or nothing on an error.
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

// sendWhole answers with a body of known length, which an answer to HEAD then has as well.
func sendWhole(c *gin.Context, status int, contentType string, body []byte) {
	c.Header("Content-Length", strconv.Itoa(len(body)))
	c.Data(status, contentType, body)
}
