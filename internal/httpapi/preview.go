package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/preview"
)

// Previewer tells what the updates of an overlay would change.
type Previewer interface {
	Effects(ctx context.Context, actor authz.ID, after *preview.Overlay) (preview.Effects, error)
}

// Preview implements ServerInterface. The operation goes through the same calls as if it were performed, on an overlay
// that notes what it writes.
func (s *server) Preview(c *gin.Context, _ PreviewParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[PreviewRequest](c)
		if err != nil {
			return nil, err
		}
		request, err := rehearsed(c.Request, body)
		if err != nil {
			return nil, err
		}
		request.Header.Set(requestIDHeader, callOf(c).id)
		return s.expensive(ctx, func() (any, error) { return s.preview(ctx, callOf(c).actor, request) })
	})
}

// preview performs the request on an overlay, and tells what that changed.
func (s *server) preview(ctx context.Context, actor authz.ID, request *http.Request) (any, error) {
	overlay := preview.NewOverlay(s.Engine)
	answer := &heldAnswer{header: make(http.Header)}
	s.rehearsal(overlay).ServeHTTP(answer, request)
	if answer.status >= http.StatusMultipleChoices {
		return nil, &refused{error: answer.refusal(), retryAfter: answer.header.Get("Retry-After")}
	}
	effects, err := s.Previewer.Effects(ctx, actor, overlay)
	if err != nil {
		return nil, err
	}
	return showEffects(effects)
}

// refused is what the operation would be refused for.
type refused struct {
	error

	retryAfter string
}

// Unwrap returns the error that the operation would be answered with.
func (r *refused) Unwrap() error { return r.error }

// rehearsal serves the calls of operations on an overlay. It neither counts nor logs them: nothing is performed.
func (s *server) rehearsal(overlay *preview.Overlay) http.Handler {
	inner := *s
	inner.Operations = s.Operate(overlay)
	inner.rehearses = true
	inner.Metrics = s.uncounted
	inner.Logger = slog.New(slog.DiscardHandler)
	inner.Tracing = nil
	return inner.handler()
}

// rehearsed is the request that would perform the operation.
func rehearsed(outer *http.Request, body PreviewRequest) (*http.Request, error) {
	if !body.Method.Valid() {
		return nil, authz.Errorf(authz.CodeInvalid, `the field "method": %q is none of POST, PUT, PATCH, DELETE`, body.Method)
	}
	if !strings.HasPrefix(body.Path, "/v1/") || strings.Contains(body.Path, "#") {
		return nil, authz.Errorf(
			authz.CodeInvalid,
			`the field "path" must be that of an operation, such as /v1/accounts/acme/members/bob, without a fragment`,
		)
	}
	var content []byte
	if body.Body != nil {
		var err error
		if content, err = json.Marshal(*body.Body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(outer.Context(), string(body.Method), body.Path, bytes.NewReader(content))
	if err != nil {
		return nil, &authz.Error{Code: authz.CodeInvalid, Message: `the field "path" is no path`, Cause: err}
	}
	for _, name := range []string{"Authorization", actorHeader} {
		if values := outer.Header.Values(name); len(values) > 0 {
			request.Header[name] = values
		}
	}
	if len(content) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// rehearsable returns an error unless the call is an operation that changes something.
func (r *route) rehearsable(method string) error {
	if r.product() && method != http.MethodGet && r.operation != previewOperation {
		return nil
	}
	return authz.Errorf(authz.CodeInvalid, `the fields "method" and "path": this is no operation that changes something`)
}

// previewOperation is the contract's name of the call that previews others.
const previewOperation = "preview"

// heldAnswer keeps an answer.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header { return a.header }

func (a *heldAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *heldAnswer) Write(data []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(data)
}

// refusal is the error that a problem document tells.
func (a *heldAnswer) refusal() error {
	var p Problem
	if err := json.Unmarshal(a.body.Bytes(), &p); err != nil {
		return err
	}
	refusal := &authz.Error{
		Code: authz.Code(p.Code), Message: p.Detail, Permission: authz.Permission(optional(p.Permission)),
	}
	for _, id := range optional(p.Accounts) {
		refusal.Accounts = append(refusal.Accounts, authz.ID(id))
	}
	for _, id := range optional(p.Subscriptions) {
		refusal.Subscriptions = append(refusal.Subscriptions, authz.ID(id))
	}
	return refusal
}

func showEffects(found preview.Effects) (_ Preview, err error) {
	refer := referrer{&err}
	shown := Preview{Effects: []Effect{}, Omitted: unlessFalse(found.Omitted)}
	var size answerSize
	for _, e := range found.Effects {
		effect := Effect{
			Subject: refer.subject(e.Subject), Resource: refer.object(e.Resource), Gains: texts(e.Gains), Loses: texts(e.Loses),
		}
		if err := size.add(&effect); err != nil {
			return shown, err
		}
		shown.Effects = append(shown.Effects, effect)
	}
	return shown, err
}
