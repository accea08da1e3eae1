package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

const requestIDHeader = "X-Request-ID"

// call is what is known about a request besides the request itself.
type call struct {
	id     string
	start  time.Time
	method string // as it was sent: HEAD for a call that is handled as GET
	route  *route // nil if the path or method is none of the contract's
	key    string // the name of the key
	secret string // the key itself, from which the seal of cursors is derived; it is never shown
	actor  authz.ID

	// scopes are those of the key.
	scopes apikey.Scopes

	// inspects is set if the key may read everything, and so does without an actor.
	inspects bool

	// ignoresActor is set if the request has a header with an actor that the call has no use for.
	ignoresActor bool

	// seesAll is set if the key may read everything, whatever the call is.
	seesAll bool

	// streams is set if the answer is to come line by line, for as long as it goes on.
	streams bool

	// once is by what the caller recognizes the operation, if they do; params, query and body are what they ask for. The
	// body is written as this server understands it.
	once   *operation.Idempotency
	params gin.Params
	query  string
	body   []byte

	// err is the error that was answered.
	err error
}

type callKey struct{}

func callOf(c *gin.Context) *call {
	k, _ := c.Request.Context().Value(callKey{}).(*call)
	return k
}

// caller is who performs the operation. It is asked for when the body has been read.
func (k *call) caller() operation.Caller {
	if k.once != nil {
		k.once.Request = k.digest()
	}
	return operation.Caller{Actor: k.actor, Key: k.key, RequestID: k.id, Idempotency: k.once}
}

// callerWith is the caller of an operation that the backend itself may perform in place of a person. reason is the
// field of the body: the backend gives one, a person does not, so that a header that was lost on the way changes
// nothing.
func (k *call) callerWith(reason *string) (operation.Caller, error) {
	by := k.caller()
	switch {
	case by.Actor != "" && reason != nil:
		return by, authz.Errorf(authz.CodeInvalid,
			`the field "reason" must be left out with the header %s: it is for what the backend itself does`, actorHeader)
	case by.Actor == "" && reason == nil:
		return by, authz.Errorf(
			authz.CodeInvalid,
			`the field "reason" is missing: without the header %s the backend itself performs the operation, and says why`,
			actorHeader,
		)
	case by.Actor != "":
		return by, nil
	}
	by.Reason = *reason
	return by, checkReason(by.Reason)
}

// cost is as how many requests the call counts against the rate of its key.
func (k *call) cost() int {
	if k.route == nil {
		return 1
	}
	return k.route.cost
}

// template is the path in logs and metrics, which hold no ids.
func (k *call) template() string {
	if k.route == nil {
		return "unmatched"
	}
	return k.route.path
}

func (k *call) outcome() string {
	if k.err == nil {
		return "ok"
	}
	return string(codeOf(k.err))
}

// The headers of every answer. Nobody changes them.
var (
	noSniffing = []string{"nosniff"}
	noStore    = []string{"no-store"}
)

// begin is the outermost middleware: it gives the request its id and its time, and logs and counts it when it is
// answered.
func (s *server) begin(c *gin.Context) {
	route := s.routes[c.Request.Method+" "+c.FullPath()]
	k := &call{id: requestID(c.Request), start: time.Now(), method: sentMethod(c.Request), route: route}
	k.streams = route != nil && (route.endless || route.streams && c.NegotiateFormat(gin.MIMEJSON, ndjson) == ndjson)
	s.UnderWay.add(k)
	defer s.UnderWay.remove(k)
	ctx, cancel := s.limited(context.WithValue(c.Request.Context(), callKey{}, k), k)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	header := c.Writer.Header()
	header.Set(requestIDHeader, k.id)
	header["X-Content-Type-Options"], header["Cache-Control"] = noSniffing, noStore

	c.Next()

	duration := time.Since(k.start)
	method, status := knownMethod(k.method), c.Writer.Status()
	s.Metrics.request(k.template(), method, status, duration)
	if k.route != nil && k.route.product() {
		s.Metrics.operation(k.route.operation, k.outcome())
	}
	s.Logger.LogAttrs(context.WithoutCancel(c.Request.Context()), k.level(status), "request",
		slog.String("method", method),
		slog.String("route", k.template()),
		slog.Int("status", status),
		slog.String("outcome", k.outcome()),
		slog.Float64("duration_ms", float64(duration.Microseconds())/1000),
		slog.Int("bytes", max(0, c.Writer.Size())),
		slog.String("key", k.key),
		slog.String("request_id", k.id),
	)
}

// level keeps the questions that machines ask all the time, and that went well, out of the log.
func (k *call) level(status int) slog.Level {
	switch {
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	case k.route != nil && k.route.open && status == http.StatusOK:
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// maxRequestID is how long a request id may be, in bytes.
const maxRequestID = 128

// requestID returns the id that the request came with, or a new one in place of an id that is too long or holds another
// character than those of isSafe.
func requestID(r *http.Request) string {
	id := r.Header.Get(requestIDHeader)
	if id != "" && len(id) <= maxRequestID && strings.IndexFunc(id, func(c rune) bool { return !isSafe(c) }) < 0 {
		return id
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// isSafe reports whether a character can stand in a header, a line of a log and a document without being escaped.
func isSafe(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.ContainsRune("-._~:;,/+=@", c)
}
