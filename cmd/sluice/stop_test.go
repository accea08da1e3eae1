package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGracefulStop stops the server while it reads a request. The request must finish. Before the server ends, the
// request's span must reach the exporter that the environment names.
func TestGracefulStop(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "console")
	s := start(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	body := `{"subject":"user:ada","permission":"view","resource":"account:acme"}`
	_, err = io.WriteString(
		conn,
		"POST /v1/check HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\nContent-Type: application/json\r\nAuthorization: Bearer "+s.key+
			"\r\nContent-Length: 68\r\nExpect: 100-continue\r\n\r\n",
	)
	require.NoError(t, err)
	require.Len(t, body, 68)
	interim := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	_, err = io.ReadFull(conn, interim) // the handler is reading the body
	require.NoError(t, err)

	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	eventually(t, "new connections are rejected", func() bool {
		other, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	})
	_, err = io.WriteString(conn, body)
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "200 OK")
	require.Contains(t, string(answer), `"allowed":false`)
	<-s.drained
	_ = s.Wait()
	require.Zero(t, s.ProcessState.ExitCode(), s.log)
	require.Contains(t, s.printed.String(), "/v1/check")
	require.NotContains(t, s.printed.String(), s.key)
}

// TestShutdownDelay checks that a stopping server reports this at /readyz and serves until the delay ends. A second
// signal must end the delay.
func TestShutdownDelay(t *testing.T) {
	s := start(t, "--shutdown-delay", "10m", "--metrics-listen", "127.0.0.1:0")
	require.NotEmpty(t, s.metrics)
	status, body := get(t, http.DefaultClient, s.metrics, "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "sluice_decisions_total")
	for _, other := range []string{"/v1/role-sets", "/readyz", "/"} {
		status, _ = get(t, http.DefaultClient, strings.TrimSuffix(s.metrics, "/metrics")+other, s.key)
		require.Equal(t, http.StatusNotFound, status, other)
	}

	status, _ = get(t, http.DefaultClient, s.url+"/readyz", "")
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	eventually(t, "the server is not ready", func() bool {
		status, body = get(t, http.DefaultClient, s.url+"/readyz", "")
		return status == http.StatusServiceUnavailable
	})
	require.Contains(t, body, "about to stop")
	status, _ = get(t, http.DefaultClient, s.url+"/v1/role-sets", s.key)
	require.Equal(t, http.StatusOK, status, "requests are still served")
	require.Zero(t, s.stop(t), s.log)
}

// TestSignalDuringStart stops a server at different moments of its start. Each time it must end without an error.
func TestSignalDuringStart(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{
		0, time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, 900 * time.Millisecond,
	} {
		for datastore, flags := range map[string][]string{
			"memory": {"--datastore", "memory"}, "sqlite": {"--data-dir", t.TempDir() + after.String()},
		} {
			t.Run(datastore+" "+after.String(), func(t *testing.T) {
				t.Parallel()
				ctx, stop := context.WithCancel(t.Context())
				defer time.AfterFunc(after, stop).Stop()
				root := newRoot()
				var printed strings.Builder
				root.SetErr(&printed)
				root.SetOut(io.Discard)
				root.SetArgs(append([]string{
					"serve", "--demo", "--listen", "127.0.0.1:0", "--grpc-listen", "off", "--shutdown-delay", "0s",
				}, flags...))
				require.NoError(t, root.ExecuteContext(ctx), printed.String())
			})
		}
	}
}
