package tests

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

// audience is the number of people that a streamed look-up finds. With ids of idLength bytes, their list is larger than
// the buffers of a connection. Few people with long ids are cheaper to write than many people with short ids.
const (
	audience = 10_000
	idLength = 900
)

// writeAudience shares a document with many people.
func writeAudience(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	rows := make([]string, audience)
	for i := range rows {
		rows[i] = fmt.Sprintf("doc:hit#allowed@user:%0*d", idLength, i)
	}
	for chunk := range slices.Chunk(rows, 1000) {
		write(t, conn, chunk...)
	}
}

// These are the requests for streams. The log of the server names each request by its route.
const (
	lookupRoute = "/v1/lookup/subjects"
	lookupBody  = `{"resource":"doc:hit","permission":"allowed","subject_type":"user","consistency":"fully_consistent"}`
	eventsRoute = "/v1/events"
)

// openStream requests a stream over a connection with small buffers. It reads only the first line, and returns it
// with the stream.
func openStream(t *testing.T, url, route string) (stream *bufio.Reader, first string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	method, body := http.MethodPost, lookupBody
	if route == eventsRoute {
		method, body = http.MethodGet, ""
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url+route, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+masterKey)
	if route == lookupRoute {
		request.Header.Set("Accept", "application/x-ndjson")
		request.Header.Set("Content-Type", "application/json")
	} else {
		request.Header.Set("Last-Event-ID", "0")
	}
	require.NoError(t, request.Write(conn))
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 4096), nil) //nolint:bodyclose // Close would read the body
	require.NoError(t, err)
	stream = bufio.NewReaderSize(answer.Body, 4096)
	first, err = stream.ReadString('\n')
	require.NoError(t, err)
	return stream, first
}

// streamLog is a log handler. It sends the route and the outcome of each stream to a channel.
type streamLog struct {
	slog.Handler
	outcomes chan [2]string
}

// Enabled implements slog.Handler.
func (streamLog) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (l streamLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l streamLog) WithGroup(string) slog.Handler { return l }

// Handle implements slog.Handler.
func (l streamLog) Handle(_ context.Context, record slog.Record) error {
	var route, outcome string
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "route":
			route = a.Value.String()
		case "outcome":
			outcome = a.Value.String()
		}
		return true
	})
	if (route == lookupRoute || route == eventsRoute) && outcome != "" {
		l.outcomes <- [2]string{route, outcome}
	}
	return nil
}

// TestUnreadStreamsEnd opens streams whose clients stop reading after the first line. One client reads another line
// from time to time. The server must end each of these streams within the time limit of a request. Until then, it
// must use little memory for them.
func TestUnreadStreamsEnd(t *testing.T) { // not parallel: goroutines and memory of other tests would count
	for _, replica := range []string{"auto", "off"} {
		t.Run("replica "+replica, func(t *testing.T) {
			// On a slow machine, the first line arrives too late if the limit is short. Then the test runs again
			// with a longer one.
			for limit := 2 * time.Second; !streamsEnd(t, replica, limit); limit *= 4 {
				require.Less(t, limit, 10*time.Minute)
			}
		})
	}
}

// streamsEnd runs the test with this time limit for requests. It returns false if the first line does not arrive
// within the limit.
func streamsEnd(t *testing.T, replica string, limit time.Duration) bool {
	t.Helper()
	const clients = 5                         // streams of each route
	const mostMemory = 2 * clients * 48 << 20 // 48 MiB for each stream
	log := streamLog{slog.DiscardHandler, make(chan [2]string, 100)}
	config := configuration()
	config.Schema, config.Replica.Mode, config.Replica.Verify = writeEndlessSchema(t), replica, 0
	config.RequestTimeout, config.Logger = limit, slog.New(log)
	server := start(t, config)
	conn, err := dialSpiceDB(server.GRPCAddress, server.GRPCKey)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	writeAudience(t, conn)
	idle, before := runtime.NumGoroutine(), heapInUse()

	slow, first := openStream(t, server.URL, lookupRoute)
	if !strings.Contains(first, "user:") {
		return false
	}
	for range clients - 1 {
		if _, first := openStream(t, server.URL, lookupRoute); !strings.Contains(first, "user:") {
			return false
		}
	}
	for range clients {
		openStream(t, server.URL, eventsRoute)
	}
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	deadline := time.After(5 * time.Minute)
	var most uint64
	for ended := 0; ended < 2*clients; {
		select {
		case outcome := <-log.outcomes:
			require.Contains(t, []string{"canceled", "ok"}, outcome[1], outcome[0])
			ended++
		case <-pace.C:
			_, _ = slow.ReadString('\n') // fails after the server has ended the stream
			most = max(most, heapInUse())
		case <-deadline:
			require.FailNow(t, "streams without readers continue", "%d ended", ended)
		}
	}
	t.Logf("%d KiB for each stream", (int64(most)-int64(before))>>10/(2*clients))
	require.Less(t, most, before+mostMemory)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= idle+10 }, 5*time.Minute, 10*time.Millisecond)
	return true
}

func heapInUse() uint64 {
	runtime.GC() // garbage does not count
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.HeapAlloc
}

// TestServerEndsWithUnreadStreams stops a server while clients do not read their streams. The server must end
// earlier than five seconds after the drain timeout. That is when the server stops waiting for its components
// (closeGrace).
func TestServerEndsWithUnreadStreams(t *testing.T) {
	t.Parallel()
	key := rand.Text()
	server := newProcess(
		t, "--datastore", "memory", "--grpc-listen", "127.0.0.1:0", "--grpc-key", key, "--schema", writeEndlessSchema(t),
		"--drain-timeout", "1s",
	)
	found := server.addresses()
	conn, err := dialSpiceDB(found.spicedb, key)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	writeAudience(t, conn)
	for range 3 {
		_, first := openStream(t, found.url, lookupRoute)
		require.Contains(t, first, "user:")
		openStream(t, found.url, eventsRoute)
	}
	began := time.Now()
	server.stop()
	took := time.Since(began)
	t.Logf("the server ended after %s", took)
	require.Less(t, took, 6*time.Second)
}
