package httpapi_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/httpapi"
)

// listen serves the API and /metrics on two listeners that answer with problem documents. With a config, they use TLS.
func listen(t *testing.T, config *tls.Config) (api, metrics string) {
	t.Helper()
	w := open(t)
	address := func(handler http.Handler) string {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		listener = httpapi.Listener(listener, config)
		server := &http.Server{
			Handler: handler, MaxHeaderBytes: httpapi.ReadHeaderBytes, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(
				io.Discard, "", 0,
			),
		}
		done := make(chan error, 1)
		go func() { done <- server.Serve(listener) }()
		t.Cleanup(func() {
			require.NoError(t, server.Close())
			require.ErrorIs(t, <-done, http.ErrServerClosed)
		})
		return listener.Addr().String()
	}
	return address(w.handler), address(w.config.Metrics.Only())
}

// exchange sends text over a connection and returns the answer.
func exchange(t *testing.T, conn net.Conn, text string) (int, http.Header, string) {
	t.Helper()
	defer conn.Close()
	// The write fails if the server answers before it has read everything.
	go func() { _, _ = io.WriteString(conn, text) }()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err, "%.100q", text)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header, string(body)
}

// TestEveryErrorIsAProblemDocument sends requests that net/http rejects before any handler, and requests that handlers
// reject. It uses HTTP/1.1 with and without TLS, for the API and for the listener of the metrics.
func TestEveryErrorIsAProblemDocument(t *testing.T) {
	authority := httptest.NewUnstartedServer(nil)
	authority.StartTLS()
	certificate := authority.TLS.Certificates[0]
	trusted := authority.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	authority.Close()
	secured := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	plainAPI, plainMetrics := listen(t, nil)
	tlsAPI, tlsMetrics := listen(t, secured)
	dial := func(address string, secure bool) net.Conn {
		if secure {
			dialer := tls.Dialer{
				Config: &tls.Config{RootCAs: trusted, ServerName: "example.com", MinVersion: tls.VersionTLS12},
			}
			conn, err := dialer.DialContext(t.Context(), "tcp", address)
			require.NoError(t, err)
			return conn
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		return conn
	}
	large, larger := strings.Repeat("x", httpapi.MaxHeaderBytes), strings.Repeat("x", httpapi.ReadHeaderBytes+8<<10)
	titles := map[string]string{
		"invalid": "Invalid request", "unsupported": "Unsupported", "too_large": "Too large", "not_found": "Not found",
		"method_not_allowed": "Method not allowed",
	}
	for _, tt := range []struct {
		name, request string
		status        int
		code          string
	}{
		{"bad percent-encoding", "GET /v1/accounts/%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid"},
		{"an incomplete percent-escape", "GET /% HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid"},
		{"not HTTP", "hello\r\n\r\n", 400, "invalid"},
		{"an invalid method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid"},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n", 400, "invalid"},
		{"two hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid"},
		{"a malformed host", "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "invalid"},
		{"a malformed header", "GET /healthz HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400, "invalid"},
		{"a header name with a space", "GET /healthz HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", 400, "invalid"},
		{"a header with a NUL", "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400, "invalid"},
		{"a length that is not a number", "POST /v1/check HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400, "invalid"},
		{"a negative length", "POST /v1/check HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "invalid"},
		{
			"two lengths", "POST /v1/check HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400,
			"invalid",
		},
		{"another version", "GET /healthz HTTP/3.7\r\nHost: a\r\n\r\n", 505, "unsupported"},
		{
			"another transfer encoding", "POST /v1/check HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n", 501,
			"unsupported",
		},
		{
			"another expectation", "POST /v1/check HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 0\r\n\r\n", 417,
			"unsupported",
		},
		{"a large header", "GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + large + "\r\n\r\n", 431, "too_large"},
		{"a large path", "GET /" + large + " HTTP/1.1\r\nHost: a\r\n\r\n", 431, "too_large"},
		{"a larger header", "GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + larger + "\r\n\r\n", 431, "too_large"},
		{"a larger path", "GET /" + larger + " HTTP/1.1\r\nHost: a\r\n\r\n", 431, "too_large"},
		{
			"many headers", "GET /healthz HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 20<<10) + "\r\n", 431,
			"too_large",
		},
		{
			"an unknown path", "GET /nothing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret-of-check\r\n\r\n", 404,
			"not_found",
		},
		{
			"a path of an asterisk", "GET * HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret-of-check\r\n\r\n", 404,
			"not_found",
		},
		{
			"another method", "BREW /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret-of-check\r\n\r\n", 405,
			"method_not_allowed",
		},
	} {
		for where, conn := range map[string]net.Conn{
			"API": dial(plainAPI, false), "metrics": dial(plainMetrics, false), "API over TLS": dial(tlsAPI, true),
			"metrics over TLS": dial(tlsMetrics, true),
		} {
			status, header, body := exchange(t, conn, tt.request)
			var problem httpapi.Problem
			decoder := json.NewDecoder(strings.NewReader(body))
			decoder.DisallowUnknownFields()
			require.NoError(t, decoder.Decode(&problem), "%s: %s: %d %s", where, tt.name, status, body)
			require.Equal(t, tt.status, status, "%s: %s: %s", where, tt.name, body)
			require.Equal(t, tt.status, problem.Status, "%s: %s", where, tt.name)
			require.Equal(t, tt.code, string(problem.Code), "%s: %s", where, tt.name)
			require.Equal(t, titles[tt.code], problem.Title, "%s: %s", where, tt.name)
			require.Equal(t, "application/problem+json", header.Get("Content-Type"), "%s: %s", where, tt.name)
			require.Equal(t, problem.RequestID, header.Get("X-Request-ID"), "%s: %s", where, tt.name)
			require.NotEmpty(t, problem.Detail, "%s: %s", where, tt.name)
		}
	}

	// The answer to HEAD must have no body, also after another request on the same connection.
	for _, malformed := range []string{
		"HEAD /v1/accounts/%zz HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /healthz HTTP/1.1\r\n\r\n",
		"HEAD /healthz HTTP/1.1\r\nHost: a\r\nX: " + large + "\r\n\r\n",
		"HEAD /healthz HTTP/1.1\r\nHost: a\r\nX: " + larger + "\r\n\r\n",
	} {
		for _, conn := range []net.Conn{
			dial(plainAPI, false), dial(plainMetrics, false), dial(tlsAPI, true), dial(tlsMetrics, true), dial(tlsAPI, false),
		} {
			requireNoBody(t, conn, malformed)
		}
		conn := dial(plainAPI, false)
		_, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
		require.NoError(t, err)
		reader := bufio.NewReader(conn)
		first, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, first.Body)
		require.NoError(t, err)
		require.NoError(t, first.Body.Close())
		requireNoBody(t, conn, malformed)
	}

	status, _, body := exchange(t, dial(tlsAPI, false), "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "https://")
	silent := dial(tlsAPI, false) // this connection must not delay the others
	defer silent.Close()

	// Valid requests work over HTTP/2, and over HTTP/1.1 with TLS.
	for version, protocols := range map[string][]string{"HTTP/2.0": {"h2"}, "HTTP/1.1": {"http/1.1"}} {
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{
				RootCAs: trusted, ServerName: "example.com", NextProtos: protocols, MinVersion: tls.VersionTLS12,
			},
			ForceAttemptHTTP2: version == "HTTP/2.0",
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+tlsAPI+"/healthz", nil)
		require.NoError(t, err)
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, version, response.Proto)
		require.Equal(t, http.StatusOK, response.StatusCode)

		// Over HTTP/2 and HTTP/1.1, the answer to too large headers must be a problem document, also for many small
		// headers.
		for name, header := range map[string]http.Header{
			"a large header": {"X": {large}}, "many headers": {"X": slices.Repeat([]string{"eight by"}, 6000)}, "a large key": {
				"Authorization": {"Bearer " + large},
			},
		} {
			request.Header = header
			response, err := transport.RoundTrip(request)
			require.NoError(t, err, "%s: %s", version, name)
			require.Equal(t, version, response.Proto)
			require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode, "%s: %s", version, name)
			require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"), "%s: %s", version, name)
			var problem httpapi.Problem
			require.NoError(t, json.NewDecoder(response.Body).Decode(&problem))
			require.NoError(t, response.Body.Close())
			require.Equal(t, "too_large", string(problem.Code))
			require.Equal(t, problem.RequestID, response.Header.Get("X-Request-ID"))
		}
		transport.CloseIdleConnections()
	}
}

// requireNoBody sends a request and requires an answer that ends after its headers, which have the length of the body.
func requireNoBody(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, text) }()
	answer, _ := io.ReadAll(conn) // it fails if the server closes the connection before it has read everything
	header, body, found := bytes.Cut(answer, []byte("\r\n\r\n"))
	require.True(t, found, "%s", answer)
	require.Contains(t, string(header), "Content-Type: application/problem+json", "%.60q", text)
	require.Regexp(t, `Content-Length: [1-9]`, string(header))
	require.Empty(t, string(body), "%.60q", text)
}

// TestHandlerAnswersPassUnchanged asserts that the listener does not change an answer of a handler, even if it contains
// an error text of net/http.
func TestHandlerAnswersPassUnchanged(t *testing.T) {
	const text = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nX: y\r\n\r\n400 Bad Request"
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, text)
	}))
	require.NoError(t, server.Listener.Close())
	server.Listener = httpapi.Listener(listener, nil)
	server.Start()
	defer server.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	_, _, body := exchange(t, conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	require.True(t, bytes.Equal([]byte(text), []byte(body)), body)
}
