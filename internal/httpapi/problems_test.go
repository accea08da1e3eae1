package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
)

var getAccount = request{
	method: "GET", path: "/v1/accounts/acme", key: operateKey, actor: "alice", header: http.Header{"X-Request-Id": {"r1"}},
}

func TestErrorsAreAnsweredAsProblems(t *testing.T) {
	cause := errors.New("a secret cause")
	for _, tt := range []struct {
		err    error
		status int
		code   string
		detail string
	}{
		{authz.Errorf(authz.CodeInvalid, "wrong"), 400, "invalid", "wrong"},
		{authz.Errorf(authz.CodeForbidden, "alice lacks <view>"), 403, "forbidden", "alice lacks <view>"},
		{authz.Errorf(authz.CodeNotFound, "nothing"), 404, "not_found", "nothing"},
		{authz.Errorf(authz.CodeConflict, "taken"), 409, "conflict", "taken"},
		{authz.Errorf(authz.CodeFeatureRequired, "not bought"), 409, "feature_required", "not bought"},
		{authz.Errorf(authz.CodePreconditionFailed, "changed"), 412, "precondition_failed", "changed"},
		{authz.Errorf(authz.CodeTooLarge, "too much"), 413, "too_large", "too much"},
		{&authz.Error{Code: authz.CodeUnavailable, Message: "no SpiceDB", Cause: cause}, 503, "unavailable", "no SpiceDB"},
		{
			&authz.Error{Code: authz.CodeInternal, Message: "of no use to callers", Cause: cause}, 500, "internal",
			"the server failed; its log has the cause under the request id",
		},
		{&authz.Error{Code: authz.CodeInvalid, Message: "wrong", Cause: cause}, 400, "invalid", "wrong"},
		{cause, 500, "internal", "the server failed; its log has the cause under the request id"},
		{authz.Errorf(authz.CodeDeadline, "SpiceDB took too long"), 504, "deadline", "SpiceDB took too long"},
		{fmt.Errorf("reading: %w", context.DeadlineExceeded), 504, "deadline", "the request took too long"},
		{context.Canceled, 499, "canceled", "the client disconnected"},
		{fmt.Errorf("wrapped: %w", authz.Errorf(authz.CodeConflict, "taken")), 409, "conflict", "taken"},
		{errors.Join(authz.Errorf(authz.CodeConflict, "taken"), cause), 409, "conflict", "taken"},
	} {
		w := serve(t)
		w.operations.err = tt.err
		res := w.do(t, getAccount)
		res.wantProblem(
			t, tt.status, tt.code, fmt.Sprintf(`"detail":%q`, tt.detail), `"request_id":"r1"`,
			fmt.Sprintf(`"status":%d`, tt.status), `"title":"`, `"type":"urn:sluice:problem:`+tt.code,
		)
		if strings.Contains(res.body, cause.Error()) || strings.Contains(res.body, "of no use") {
			t.Errorf("the answer shows the cause: %s", res.body)
		}
		if got := res.header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("Content-Type is %q", got)
		}
		logged := strings.Contains(w.log.String(), cause.Error()) &&
			strings.Contains(w.log.String(), `"request_id":"r1"`)
		if tt.status == 500 || tt.status == 503 {
			if !logged {
				t.Errorf("%v: the log lacks the cause under the request id: %s", tt.err, w.log)
			}
		}
	}
}

func TestConflictNamesItsAccounts(t *testing.T) {
	w := serve(t)
	w.operations.err = &authz.Error{
		Code: authz.CodeConflict, Message: "alice is the last owner", Accounts: []authz.ID{"acme", "beta"},
	}
	w.do(t, getAccount).wantProblem(t, 409, "conflict", `"accounts":["acme","beta"]`)
}

func TestConflictCountsTheHoldersOfARole(t *testing.T) {
	w := serve(t)
	w.operations.err = &authz.Error{
		Code: authz.CodeConflict, Message: "held", HolderCounts: map[authz.Type]int{"user": 12, "group": 1},
		Holders: []authz.HeldRole{
			{Holder: authz.Person("bob"), On: authz.Object{Type: "account", ID: "a#1"}},
			{Holder: authz.Holder{Type: "group", ID: "crew"}, On: authz.Object{Type: "importer", ID: "i1"}},
		},
	}
	w.do(t, getAccount).wantProblem(
		t, 409, "conflict", `"holder_counts":{"group":1,"user":12}`,
		`"holders":[{"holder":"user:bob","on":{"id":"a#1","type":"account"}},{"holder":"group:crew","on":"importer:i1"}]`,
	)
}

func TestPanicIsAProblem(t *testing.T) {
	w := serve(t)
	w.operations.hook = func(context.Context) error { panic("a secret panic") }
	res := w.do(t, getAccount)
	res.wantProblem(t, 500, "internal", "r1")
	if strings.Contains(res.body, "secret") {
		t.Errorf("the answer shows the panic: %s", res.body)
	}
	if log := w.log.String(); !strings.Contains(log, "a secret panic") || !strings.Contains(log, "problems_test.go") {
		t.Errorf("the log lacks the panic or its stack: %s", log)
	}
	w.operations.hook = nil
	if got := w.do(t, getAccount).status; got != 200 {
		t.Errorf("the next request answered %d", got)
	}
}

func TestAbortedHandlerEndsTheConnection(t *testing.T) {
	w := serve(t)
	w.operations.hook = func(context.Context) error { panic(http.ErrAbortHandler) }
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/v1/accounts/acme", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + operateKey}, "Sluice-Actor": {"alice"}}
	if res, err := w.client.Do(req); err == nil {
		_ = res.Body.Close()
		t.Errorf("answered %d", res.StatusCode)
	}
}

func TestTimeout(t *testing.T) {
	w := serve(t, func(c *httpapi.Config) { c.Timeout = 20 * time.Millisecond })
	w.operations.hook = func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	w.do(t, getAccount).wantProblem(t, 504, "deadline", "took too long")
}

func TestBodyTimeout(t *testing.T) {
	w := serve(t, func(c *httpapi.Config) { c.Timeout = 20 * time.Millisecond })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(
		conn,
		"POST /v1/check HTTP/1.1\r\nHost: sluice\r\nAuthorization: Bearer "+checkKey+"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
	)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(answer); !strings.HasPrefix(got, "HTTP/1.1 504 ") || !strings.Contains(got, `"code":"deadline"`) {
		t.Errorf("answered %s", got)
	}
}

func TestClientDisconnects(t *testing.T) {
	w := serve(t)
	started := make(chan struct{})
	ended := make(chan error, 1)
	w.operations.hook = func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/accounts/acme", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + operateKey}, "Sluice-Actor": {"alice"}}
	go func() {
		<-started
		cancel()
	}()
	if res, err := w.client.Do(req); err == nil {
		_ = res.Body.Close()
		t.Fatal("the request was answered")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the operation ended with %v", err)
	}
	for deadline := time.Now().Add(5 * time.Minute); !strings.Contains(w.log.String(), `"status":499`); {
		if time.Now().After(deadline) {
			t.Fatalf("the log has no status 499: %s", w.log)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestReadiness(t *testing.T) {
	var err error
	w := serve(t, func(c *httpapi.Config) { c.Ready = func(context.Context) error { return err } })
	ready := request{method: "GET", path: "/readyz"}
	w.do(t, ready).want(t, 200, `{"status":"ok"}`)
	err = authz.Errorf(authz.CodeInvalid, "SpiceDB has no schema")
	w.do(t, ready).wantProblem(t, 503, "unavailable", "SpiceDB has no schema")
	err = errors.New("a secret cause")
	res := w.do(t, ready)
	res.wantProblem(t, 503, "unavailable", "not ready")
	if strings.Contains(res.body, "secret") {
		t.Errorf("the answer shows the cause: %s", res.body)
	}
	w.do(t, request{method: "GET", path: "/healthz"}).want(t, 200, `{"status":"ok"}`)
}
