package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
)

// lookUp looks up the users who may view account:a. The handler answer plays the server. lookUp returns the number
// of results that arrived, and the error.
func lookUp(ctx context.Context, t *testing.T, answer http.HandlerFunc, options ...client.Option) (int, error) {
	t.Helper()
	server := httptest.NewServer(answer)
	defer server.Close()
	c, err := client.New(server.URL, "key", options...)
	require.NoError(t, err)
	came := 0
	for found, err := range c.LookupSubjects(
		ctx, client.Check{Subject: client.User(""), Permission: "view", Resource: client.Object("account:a")},
	) {
		if err != nil {
			return came, err
		}
		require.Equal(t, client.User(fmt.Sprint("u", came)), found.Subject)
		came++
	}
	return came, nil
}

// users writes n lines of a stream. Each line has a user.
func users(w http.ResponseWriter, n int) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	for i := range n {
		_, _ = fmt.Fprintf(w, `{"subject":"user:u%d","allowed":true}`+"\n", i)
	}
	_ = http.NewResponseController(w).Flush()
}

func TestStream(t *testing.T) {
	t.Parallel()
	const whole = `{"token":"t"}` + "\n"
	for name, test := range map[string]struct {
		n    int
		end  string
		code client.Code
	}{
		"no result":                      {0, whole, ""},
		"more than fits into one answer": {30_000, whole, ""},
		"no last line":                   {3, "", client.Unavailable},
		"a truncated last line":          {3, `{"tok`, client.Unavailable},
		"an error of the server":         {3, `{"error":{"code":"deadline","detail":"too long"}}`, client.Deadline},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			came, err := lookUp(t.Context(), t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept") != "application/x-ndjson" {
					w.WriteHeader(http.StatusNotAcceptable)
					return
				}
				users(w, test.n)
				_, _ = w.Write([]byte(test.end))
			})
			require.Equal(t, test.n, came)
			if test.code == "" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, test.code)
			}
		})
	}
}

// TestSlowStream checks that the time limit of a request does not limit a whole stream: a stream may take longer
// while lines arrive. If no line arrives within the limit, the stream ends with an error.
func TestSlowStream(t *testing.T) {
	t.Parallel()
	limit := 500 * time.Millisecond
	var bounded client.Option
	inTime := func(wanted error, lines int, answer func(w http.ResponseWriter, r *http.Request)) {
		t.Helper()
		for ; ; limit *= 2 { // on a slow machine, each line takes longer
			bounded = client.WithHTTPClient(&http.Client{Timeout: limit})
			came, err := lookUp(t.Context(), t, answer, bounded)
			if came < lines && limit < time.Minute {
				require.ErrorIs(t, err, client.Unavailable)
				continue
			}
			require.ErrorIs(t, err, wanted)
			require.Equal(t, lines, came)
			return
		}
	}
	inTime(nil, 8, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 8 {
			time.Sleep(limit / 5)
			w.Header().Set("Content-Type", "application/x-ndjson")
			_, _ = fmt.Fprintf(w, `{"subject":"user:u%d","allowed":true}`+"\n", i)
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = w.Write([]byte(`{"token":"t"}`))
	})

	stalled := func(w http.ResponseWriter, r *http.Request) {
		users(w, 2)
		<-r.Context().Done()
	}
	inTime(client.Unavailable, 2, stalled)

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, err := lookUp(ctx, t, stalled)
	require.ErrorIs(t, err, client.Deadline)

	silent := func(_ http.ResponseWriter, r *http.Request) {
		// If the body is not read, the server does not notice that the client has closed the connection.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	_, err = lookUp(t.Context(), t, silent, bounded, client.WithTries(1))
	require.ErrorIs(t, err, client.Unavailable)
}

// TestStreamLeft checks that a caller may stop reading a stream early, and that the server notices this.
func TestStreamLeft(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		users(w, 5)
		<-r.Context().Done()
		close(left)
	}))
	defer server.Close()
	c, err := client.New(server.URL, "key")
	require.NoError(t, err)
	for _, err := range c.LookupSubjects(
		t.Context(), client.Check{Subject: client.User(""), Permission: "view", Resource: client.Object("account:a")},
	) {
		require.NoError(t, err)
		break
	}
	<-left
}
