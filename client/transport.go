package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// transport sends the requests of a Client. It adds the API key, and an idempotency key to operations. It retries
// requests if this is safe, and returns an *Error for every answer whose status is not 2xx. It records operations in
// the chain of the context (see WithToken).
type transport struct {
	http     *http.Client
	base     string // the path of the server's address
	key      string
	tries    uint // zero means no limit
	patience time.Duration
}

// Do implements rest.HttpRequestDoer. It reads the whole body of the answer, unless the answer is a stream.
func (t *transport) Do(request *http.Request) (*http.Response, error) {
	request.Header.Set("Authorization", "Bearer "+t.key)
	if t.asks(request) {
		return t.send(request)
	}
	if request.Header.Get(idempotencyHeader) == "" { // a caller of REST may have set it
		request.Header.Set(idempotencyHeader, keyOf(request.Context()))
	}
	chain := chainOf(request.Context())
	chain.begin()
	response, err := t.send(request)
	var done struct{ Token string }
	if err == nil {
		err = decodeBody(response, &done)
	}
	chain.end(done.Token, err)
	return response, err
}

// asks reports whether a request only reads data or asks for a decision. Every other request performs an operation.
func (t *transport) asks(request *http.Request) bool {
	path := strings.TrimPrefix(request.URL.Path, strings.TrimSuffix(t.base, "/"))
	switch {
	case request.Method == http.MethodGet:
		return true
	case request.Method != http.MethodPost:
		return false
	case path == "/v1/check", path == "/v1/check/bulk", path == "/v1/permissions", path == "/v1/explain":
		return true
	}
	return strings.HasPrefix(path, "/v1/lookup/") || strings.HasPrefix(path, "/access/v1/")
}

// send sends a request. If it fails with an error that allows a retry, send retries it.
func (t *transport) send(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	var last *Error
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 50*time.Millisecond, time.Second
	response, err := backoff.Retry(ctx, func() (*http.Response, error) {
		response, failure := t.attempt(request)
		if failure == nil {
			return response, nil
		}
		last = failure
		switch {
		case !last.repeatable(), endsBefore(ctx, last.After):
			return nil, backoff.Permanent(last)
		case last.After > 0:
			return nil, &backoff.RetryAfterError{Duration: last.After}
		}
		return nil, last
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(t.tries), backoff.WithMaxElapsedTime(t.patience))
	switch {
	case err == nil:
		return response, nil
	case ctx.Err() != nil:
		return nil, ended(ctx)
	}
	return nil, last
}

// attempt sends a request once.
func (t *transport) attempt(request *http.Request) (*http.Response, *Error) {
	again := request.Clone(request.Context())
	if request.GetBody != nil {
		body, err := request.GetBody()
		if err != nil {
			return nil, &Error{Code: Internal, Detail: "cannot read the body of the request again", cause: err}
		}
		again.Body = body
	}
	response, err := t.do(again)
	if err != nil {
		return nil, &Error{Code: Unavailable, Detail: "cannot reach the server", cause: err}
	}
	if isStream(response) {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, &Error{Code: Unavailable, Detail: "cannot read the answer", Status: response.StatusCode, cause: err}
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, problem(response, body)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

func (t *transport) do(request *http.Request) (*http.Response, error) {
	if request.Header.Get("Accept") == streamType {
		return doStream(t.http, request)
	}
	return t.http.Do(request) //nolint:gosec // the caller of New chose the address
}

// repeatable reports whether a request that failed with this error may be sent again. This is also safe for an
// operation that the server may have performed: its idempotency key prevents that it is performed twice.
func (e *Error) repeatable() bool { return e.Code == Unavailable || e.Code == Limited }

// endsBefore reports whether the deadline of the context comes before the end of this wait.
func endsBefore(ctx context.Context, wait time.Duration) bool {
	deadline, bound := ctx.Deadline()
	return bound && time.Until(deadline) < wait
}

// ended returns the error of a call whose context was canceled or reached its deadline.
func ended(ctx context.Context) *Error {
	e := &Error{Code: Canceled, Detail: "the context of the call ended", cause: context.Cause(ctx)}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Code = Deadline
	}
	return e
}

// answer decodes the result of a method of the generated client.
func answer[T any](response *http.Response, err error) (T, error) {
	var into T
	if err != nil {
		return into, asError(err)
	}
	if err := decodeBody(response, &into); err != nil {
		var none T
		return none, err
	}
	return into, nil
}

// asError returns the *Error that err wraps. An error without one occurred before the request was sent; asError wraps
// it in a new *Error.
func asError(err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Code: Invalid, Detail: "cannot encode the request", cause: err}
}

// decodeBody decodes the body of an answer. Afterwards, the body can be read again from its beginning.
func decodeBody(response *http.Response, into any) error {
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return &Error{
			Code: Internal, Status: response.StatusCode, RequestID: response.Header.Get("X-Request-ID"),
			Detail: "the answer is not from Sluice", cause: err,
		}
	}
	return nil
}
