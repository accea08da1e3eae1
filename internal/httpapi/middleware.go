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

// recoverPanic answers a panic with a problem, and logs its stack.
func (s *server) recoverPanic(c *gin.Context) {
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

// withTimeout ends the context of a request after Config.Timeout. A stream has no such limit: its handler limits each
// write to the client instead.
func (s *server) withTimeout(ctx context.Context, k *call) (context.Context, context.CancelFunc) {
	if k.streams {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.config.Timeout)
}

// limitBody makes reading the body fail one second after Config.Timeout. net/http then cancels the context. Since that
// is after the timeout, the error of the request already has CodeDeadline.
func (s *server) limitBody(c *gin.Context) {
	if c.Request.ContentLength != 0 {
		// Ignore the error: a recorder in a test has no connection to set a deadline on.
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(s.config.Timeout + time.Second))
	}
	c.Next()
}

// hidePath replaces the path in the span of the request by the template of the route, because the path contains ids. It
// also sets the method that the client sent.
func hidePath(c *gin.Context) {
	k := callOf(c)
	trace.SpanFromContext(c.Request.Context()).SetAttributes(
		attribute.String("url.path", k.template()), attribute.String("http.request.method", k.method))
	c.Next()
}

// codeOf returns the code of the problem for an error.
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
