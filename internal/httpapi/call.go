package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

const requestIDHeader = "X-Request-ID"

// call is the state of a request while it is handled.
type call struct {
	id     string
	start  time.Time
	method string // the method that the client sent, also HEAD
	route  *route // nil if the contract does not have the path and method
	key    string // the name of the key
	secret string // the key itself; cursors are sealed with a key derived from it
	actor  authz.Actor

	// scopes are the scopes of the key. writeTypes are the types to which the scope write is limited, if it is.
	scopes     apikey.Scopes
	writeTypes []authz.Type

	// inspects is set if the route accepts the scope inspect and the key has it. The call then needs no actor.
	inspects bool

	// ignoresActor is set if the request has an actor that the call does not use.
	ignoresActor bool

	// seesAll is set if the key has the scope inspect, also on routes that do not require it.
	seesAll bool

	// streams is set if the answer is a stream without a time limit.
	streams bool

	// idempotency is the idempotency key of the request, or nil. params, query and body, together with the key,
	// identify the request. In query, ids of people have no prefix "user:", and the cursor is decrypted. body is the
	// JSON as the server understood it.
	idempotency *operation.Idempotency
	params      gin.Params
	query       url.Values
	body        []byte

	// match has the versions that the call accepts as the version of the object; nil if it accepts any.
	match []string

	// err is the error that was sent as a problem.
	err error
}

type callKey struct{}

func callOf(c *gin.Context) *call {
	k, _ := c.Request.Context().Value(callKey{}).(*call)
	return k
}

// caller returns the caller of the operation. The body must have been read before, since the digest of the request
// includes it.
func (k *call) caller() operation.Caller {
	by := operation.Caller{Actor: k.actor, Key: k.key, RequestID: k.id, Inspects: k.seesAll}
	if k.idempotency != nil {
		identified := *k.idempotency
		identified.Request = k.digest()
		by.Idempotency = &identified
	}
	return by
}

// callerWith returns the caller of an operation that a person or the backend may perform. reason is a field of the
// body: the backend must send it, and a person must not. So a request of a person that has lost its actor header fails.
func (k *call) callerWith(reason *string) (operation.Caller, error) {
	by := k.caller()
	switch {
	case by.Actor != "" && reason != nil:
		return by, authz.Errorf(
			authz.CodeInvalid,
			`the field "reason" must be left out with the header %s: only the backend itself gives a reason`,
			actorHeader,
		)
	case by.Actor == "" && reason == nil:
		return by, authz.Errorf(
			authz.CodeInvalid,
			`the field "reason" is missing: without the header %s the backend performs the operation and must give a reason`,
			actorHeader,
		)
	case by.Actor != "":
		return by, nil
	}
	by.Reason = *reason
	return by, checkReason(by.Reason)
}

// cost returns how many requests the call counts in the rate limit of its key.
func (k *call) cost() int {
	if k.route == nil {
		return 1
	}
	return k.route.cost
}

// template returns the path for logs and metrics, with placeholders in place of ids.
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

// Header values of every answer. They are shared by all requests, so they must not be modified.
var (
	noSniffing = []string{"nosniff"}
	noStore    = []string{"no-store"}
)

// trackRequest is the outermost middleware. It gives the request an id and a start time, and logs and counts it after
// the answer.
func (s *server) trackRequest(c *gin.Context) {
	route := s.routes[c.Request.Method+" "+c.FullPath()]
	k := &call{id: requestID(c.Request), start: time.Now(), method: sentMethod(c.Request), route: route}
	k.streams = route != nil && (route.endless || route.streams && c.NegotiateFormat(gin.MIMEJSON, ndjson) == ndjson)
	s.config.ActiveRequests.add(k)
	defer s.config.ActiveRequests.remove(k)
	ctx, cancel := s.withTimeout(context.WithValue(c.Request.Context(), callKey{}, k), k)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	header := c.Writer.Header()
	header.Set(requestIDHeader, k.id)
	header["X-Content-Type-Options"], header["Cache-Control"] = noSniffing, noStore

	c.Next()

	duration := time.Since(k.start)
	method, status := knownMethod(k.method), c.Writer.Status()
	s.config.Metrics.request(k.template(), method, status, duration)
	if k.route != nil && k.route.isProductOperation() {
		s.config.Metrics.operation(k.route.operation, k.outcome())
	}
	s.config.Logger.LogAttrs(context.WithoutCancel(c.Request.Context()), k.level(status), "request",
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

// level returns the log level of a request. A successful call that needs no key, for example a health check, has the
// level debug.
func (k *call) level(status int) slog.Level {
	switch {
	case status == http.StatusServiceUnavailable && k.route != nil && k.route.open:
		return slog.LevelWarn // the server is starting or stopping
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	case k.route != nil && k.route.open && status == http.StatusOK:
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// maxRequestID is the largest length of a request id in bytes.
const maxRequestID = 128

// requestID returns the id that the client sent. If that is too long or has a character that isSafe rejects, it returns
// a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get(requestIDHeader)
	if id != "" && len(id) <= maxRequestID && strings.IndexFunc(id, func(c rune) bool { return !isSafe(c) }) < 0 {
		return id
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// isSafe reports whether a character needs no escaping in a header, a log line or a document.
func isSafe(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.ContainsRune("-._~:;,/+=@", c)
}
