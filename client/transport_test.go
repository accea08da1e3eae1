package client_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
)

// script is a server that sends the given answers one after the other, and records the requests. After the last
// answer, it sends this answer again.
type script struct {
	URL string

	retryAfter string // the header Retry-After in seconds, which the server sends with the status 429

	mu      sync.Mutex
	answers []string
	asked   []string
}

// answering starts a script. Each answer is a status and a body, for example `503 {"code":…}`. The answer "drop"
// closes the connection.
func answering(t *testing.T, answers ...string) *script {
	t.Helper()
	s := &script{answers: answers, retryAfter: "1"}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// sent returns the recorded requests.
func (s *script) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *script) last() string {
	asked := s.sent()
	return asked[len(asked)-1]
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.answers[min(len(s.asked), len(s.answers)-1)]
	s.asked = append(
		s.asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)+" "+r.Header.Get("Idempotency-Key")),
	)
	var status int
	var content string
	if _, err := fmt.Sscanf(next, "%d %s", &status, &content); err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", s.retryAfter)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, content)
}

const (
	yes         = `200 {"allowed":true,"token":"t"}`
	created     = `201 {"id":"a","subscription":"s","role_set":"team","token":"t"}`
	unavailable = `503 {"code":"unavailable","detail":"away"}`
	limited     = `429 {"code":"limited","detail":"slow"}`
	internal    = `500 {"code":"internal","detail":"failed"}`
)

func check(ctx context.Context, c *client.Client) error {
	allowed, err := c.Can(ctx, "ann", "view", "account:a")
	if allowed != (err == nil) {
		return fmt.Errorf("allowed is %t although the call failed: %w", allowed, err)
	}
	return err
}

func show(ctx context.Context, c *client.Client) error {
	_, err := c.As("ann").GetAccount(ctx, "a")
	return err
}

func create(ctx context.Context, c *client.Client) error {
	_, err := c.As("ann").CreateAccount(ctx, client.NewAccount{ID: "a", Subscription: "s", RoleSet: "team"})
	return err
}

func remove(ctx context.Context, c *client.Client) error { return c.As("ann").DeleteAccount(ctx, "a") }

// TestRepeating checks which failed requests the client sends again.
func TestRepeating(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		call    func(context.Context, *client.Client) error
		answers []string
		sent    int
		code    client.Code
	}{
		"a check while the server is away": {check, []string{unavailable, unavailable, yes}, 3, ""},
		"a check whose connection broke":   {check, []string{"drop", yes}, 2, ""},
		"a check above the rate":           {check, []string{limited, yes}, 2, ""},
		"a check while the server restarts": {
			check, []string{unavailable, unavailable, unavailable, unavailable, unavailable, yes}, 6, "",
		},
		"a check that the server fails at":          {check, []string{internal, yes}, 1, client.Internal},
		"a read while the server is away":           {show, []string{unavailable, created}, 2, ""},
		"an operation above the rate":               {create, []string{limited, created}, 2, ""},
		"an operation that may have happened":       {create, []string{unavailable, created}, 2, ""},
		"an operation whose connection broke":       {create, []string{"drop", created}, 2, ""},
		"an operation that the server fails at":     {create, []string{internal, created}, 1, client.Internal},
		"a deletion that may have happened":         {remove, []string{unavailable, `200 {"token":"t"}`}, 2, ""},
		"an answer that is no JSON":                 {check, []string{"200 <html>", yes}, 1, client.Internal},
		"an operation's answer that is no JSON":     {create, []string{"200 <html>", created}, 1, client.Internal},
		"a proxy's answer where the server is away": {check, []string{"502 <html>", yes}, 2, ""},
		"a redirection":                             {check, []string{"302 x", yes}, 1, client.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := answering(t, test.answers...)
			c, err := client.New(server.URL, "key")
			require.NoError(t, err)
			err = test.call(t.Context(), c)
			if test.code == "" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, test.code)
			}
			require.Len(t, server.sent(), test.sent)
			require.Equal(t, server.sent()[0], server.last(), "a repeated request must be the same")
		})
	}
}

// TestIdempotencyKeys checks that each operation has an idempotency key of its own, that the retries of an operation
// have the same key, and that checks have none.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	server := answering(t, created, created, unavailable, created, yes)
	c, err := client.New(server.URL, "key")
	require.NoError(t, err)
	require.NoError(t, create(t.Context(), c))
	require.NoError(t, create(client.WithIdempotencyKey(t.Context(), "mine"), c))
	require.NoError(t, create(t.Context(), c))
	require.NoError(t, check(t.Context(), c))
	sent := server.sent()
	keyOf := func(request string) string { return request[strings.LastIndexAny(request, " }")+1:] }
	require.Len(t, sent, 5)
	require.Equal(t, "mine", keyOf(sent[1]))
	require.Equal(t, keyOf(sent[2]), keyOf(sent[3]))
	require.NotEqual(t, keyOf(sent[0]), keyOf(sent[2]))
	require.GreaterOrEqual(t, len(keyOf(sent[0])), 20)
	require.Empty(t, keyOf(sent[4]))
}

// TestUnreachableServer calls an address at which no server listens. The operation cannot have been performed, so
// the client must try it again.
func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	c, err := client.New("http://"+address, "a-secret", client.WithTries(2))
	require.NoError(t, err)
	for _, call := range []func(context.Context, *client.Client) error{check, show, create, remove} {
		err := call(t.Context(), c)
		require.ErrorIs(t, err, client.Unavailable)
		require.NotContains(t, err.Error(), "a-secret")
	}
}

// TestTries checks that a call to an unavailable server ends after the number of tries that WithTries sets.
func TestTries(t *testing.T) {
	t.Parallel()
	server := answering(t, unavailable)
	c, err := client.New(server.URL, "key", client.WithTries(3))
	require.NoError(t, err)
	require.ErrorIs(t, check(t.Context(), c), client.Unavailable)
	require.Len(t, server.sent(), 3)
}

// TestPatience checks that the retries of a call take no longer than WithPatience allows.
func TestPatience(t *testing.T) {
	t.Parallel()
	server := answering(t, limited)
	server.retryAfter = "3600"
	c, err := client.New(server.URL, "key", client.WithPatience(10*time.Minute))
	require.NoError(t, err)
	require.ErrorIs(t, check(t.Context(), c), client.Limited)
	require.Len(t, server.sent(), 1, "the server asks for an hour, longer than the patience")

	c, err = client.New(server.URL, "key")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	require.ErrorIs(t, check(ctx, c), client.Limited, "the server's error is more helpful than the end of the time")
	require.Len(t, server.sent(), 2)

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	err = check(canceled, c)
	require.ErrorIs(t, err, client.Canceled)
	require.ErrorIs(t, err, context.Canceled)

	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	require.ErrorIs(t, check(late, c), client.Deadline)
}

func TestWrongAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "authz.example.com", "ftp://authz", "http://", "http://a b"} {
		_, err := client.New(address, "key")
		require.ErrorIs(t, err, client.Invalid, address)
	}
	_, err := client.New("https://authz.example.com", "")
	require.ErrorIs(t, err, client.Invalid)
	require.ErrorContains(t, err, "key is empty")
}

// TestBelowAPath calls a server that a proxy serves below the path /authz.
func TestBelowAPath(t *testing.T) {
	t.Parallel()
	server := answering(t, unavailable, yes)
	c, err := client.New(server.URL+"/authz", "key")
	require.NoError(t, err)
	require.NoError(t, check(t.Context(), c))
	require.Contains(t, server.sent()[1], "POST /authz/v1/check ")
}
