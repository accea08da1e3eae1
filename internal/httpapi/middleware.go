package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-authz/sluice/internal/authz"
)

// catch answers a panic with a problem, and leaves its stack to the log.
func (s *server) catch(c *gin.Context) {
	defer func() {
		switch reason := recover(); reason {
		case nil:
		case http.ErrAbortHandler:
			panic(reason)
		default:
			s.problem(c, fmt.Errorf("panic: %v\n%s", reason, debug.Stack()))
		}
	}()
	c.Next()
}

// limited ends a request's context after the time that it may take. A stream is bounded by its going on, see lines.
func (s *server) limited(ctx context.Context, k *call) (context.Context, context.CancelFunc) {
	if k.streams {
		return ctx, func() {}
	}
	return withLimit(ctx, s.Timeout)
}

// limitBody ends the wait for a request's body a second after the time that the request may take: not at once, since
// net/http cancels the context when reading fails, and what ends a request should be its deadline.
func (s *server) limitBody(c *gin.Context) {
	if c.Request.ContentLength != 0 {
		// A recorder in a test has no connection to set a deadline on.
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(s.Timeout + time.Second))
	}
	c.Next()
}

// hidePath replaces the path in the request's span, which holds ids, by the route's template, and the method by the one
// that was sent.
func hidePath(c *gin.Context) {
	k := callOf(c)
	trace.SpanFromContext(c.Request.Context()).SetAttributes(
		attribute.String("url.path", k.template()), attribute.String("http.request.method", k.method))
	c.Next()
}

// answer runs a handler and writes what it returns, or the problem.
func (s *server) answer(c *gin.Context, status int, handle func(context.Context) (any, error)) {
	body, err := handle(authz.WithCaller(c.Request.Context(), callOf(c).key))
	if err == nil {
		if k := callOf(c); k.once != nil && k.once.Replayed {
			body = replayed(body)
		}
		body = callOf(c).sealNextCursor(body)
		err = writeJSON(c, status, "application/json", body)
	}
	if err != nil {
		s.problem(c, err)
	}
}

// codeOf returns the code that an error is answered with.
func codeOf(err error) authz.Code {
	var known *authz.Error
	switch {
	case errors.As(err, &known):
		return known.Code
	case errors.Is(err, context.DeadlineExceeded):
		return authz.CodeDeadline
	case errors.Is(err, context.Canceled):
		return authz.CodeCanceled
	default:
		return authz.CodeInternal
	}
}
