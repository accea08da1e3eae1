package app_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
)

// TestCloseNamesRequestsThatItCutsOff checks that the error at the end of the drain time-out names the running requests
// and the remedy.
func TestCloseNamesRequestsThatItCutsOff(t *testing.T) {
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen, config.Store.Datastore = "127.0.0.1:0", app.Off, "memory"
	config.APIKeys = []string{"test:check:" + key}
	server, err := app.Start(t.Context(), config)
	require.NoError(t, err)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /v1/check HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nX-Request-ID: slow\r\n"+
		"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", key)
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n') // the server waits for the body
	require.NoError(t, err)
	require.Contains(t, line, fmt.Sprint(http.StatusContinue))

	over, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cancel()
	err = server.Close(over)
	require.ErrorContains(t, err, "POST /v1/check (request slow)")
	require.ErrorContains(t, err, "--drain-timeout")
	require.NotContains(t, err.Error(), "context")
}
