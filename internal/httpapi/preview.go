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

// Previewer computes the effects of the writes on an overlay.
type Previewer interface {
	Effects(ctx context.Context, actor authz.ID, after *preview.Overlay) (preview.Effects, error)
}

// Preview implements ServerInterface. It runs the request through the same handlers as the operation itself, on an
// overlay that records the writes.
func (s *server) Preview(c *gin.Context, _ PreviewParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[PreviewRequest](c)
		if err != nil {
			return nil, err
		}
		request, err := previewedRequest(c.Request, body)
		if err != nil {
			return nil, err
		}
		request.Header.Set(requestIDHeader, callOf(c).id)
		return s.expensive(ctx, func() (any, error) { return s.preview(ctx, callOf(c).actor, request) })
	})
}

// preview performs the request on an overlay, and returns the effects.
func (s *server) preview(ctx context.Context, actor authz.ID, request *http.Request) (any, error) {
	overlay := preview.NewOverlay(s.Engine)
	answer := &recordedAnswer{header: make(http.Header)}
	s.previewHandler(overlay).ServeHTTP(answer, request)
	if answer.status >= http.StatusMultipleChoices {
		return nil, &previewError{error: answer.problemError(), retryAfter: answer.header.Get("Retry-After")}
	}
	effects, err := s.Previewer.Effects(ctx, actor, overlay)
	if err != nil {
		return nil, err
	}
	return showEffects(effects)
}

// previewError is the error that the operation itself would answer.
type previewError struct {
	error

	retryAfter string
}

// Unwrap returns the error of the operation.
func (r *previewError) Unwrap() error { return r.error }

// previewHandler returns a handler that performs operations on an overlay. It neither counts nor logs them.
func (s *server) previewHandler(overlay *preview.Overlay) http.Handler {
	inner := *s
	inner.Operations = s.Operate(overlay)
	inner.isPreview = true
	inner.Metrics = s.previewMetrics
	inner.Logger = slog.New(slog.DiscardHandler)
	inner.Tracing = nil
	return inner.handler()
}

// previewedRequest returns the request that would perform the operation.
func previewedRequest(outer *http.Request, body PreviewRequest) (*http.Request, error) {
	if !body.Method.Valid() {
		return nil, authz.Errorf(
			authz.CodeInvalid,
			`the field "method": %q is not one of POST, PUT, PATCH, DELETE`,
			body.Method,
		)
	}
	if !strings.HasPrefix(body.Path, "/v1/") || strings.Contains(body.Path, "#") {
		return nil, authz.Errorf(
			authz.CodeInvalid,
			`the field "path" must be the path of an operation without a fragment, for example /v1/accounts/acme/members/bob`,
		)
	}
	var content []byte
	if body.Body != nil {
		var err error
		if content, err = json.Marshal(*body.Body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(
		outer.Context(),
		string(body.Method),
		body.Path,
		bytes.NewReader(content),
	)
	if err != nil {
		return nil, &authz.Error{Code: authz.CodeInvalid, Message: `the field "path" is malformed`, Cause: err}
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

// requirePreviewable returns an error unless the call is an operation that writes.
func (r *route) requirePreviewable(method string) error {
	if r.isProductOperation() && method != http.MethodGet && r.operation != previewOperation {
		return nil
	}
	return authz.Errorf(
		authz.CodeInvalid,
		`the fields "method" and "path" must name an operation that changes something`,
	)
}

// previewOperation is the operation id of the preview in the contract.
const previewOperation = "preview"

// recordedAnswer is an http.ResponseWriter that records the answer.
type recordedAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recordedAnswer) Header() http.Header { return a.header }

func (a *recordedAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *recordedAnswer) Write(data []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(data)
}

// problemError returns the error of a recorded problem document.
func (a *recordedAnswer) problemError() error {
	var p Problem
	if err := json.Unmarshal(a.body.Bytes(), &p); err != nil {
		return err
	}
	rejection := &authz.Error{
		Code: authz.Code(p.Code), Message: p.Detail, Permission: authz.Permission(optional(p.Permission)),
	}
	for _, id := range optional(p.Accounts) {
		rejection.Accounts = append(rejection.Accounts, authz.ID(id))
	}
	for _, id := range optional(p.Subscriptions) {
		rejection.Subscriptions = append(rejection.Subscriptions, authz.ID(id))
	}
	return rejection
}

func showEffects(found preview.Effects) (_ Preview, err error) {
	refer := referrer{&err}
	shown := Preview{Effects: []Effect{}, Omitted: nilIfFalse(found.Omitted)}
	var size answerSize
	for _, e := range found.Effects {
		effect := Effect{
			Subject: refer.subject(
				e.Subject,
			), Resource: refer.object(e.Resource), Gains: toStrings(e.Gains), Loses: toStrings(e.Loses),
		}
		if err := size.add(&effect); err != nil {
			return shown, err
		}
		shown.Effects = append(shown.Effects, effect)
	}
	return shown, err
}
