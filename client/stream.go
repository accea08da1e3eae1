package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math"
	"mime"
	"net/http"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// streamType is the media type of an answer that has one JSON value in each line.
const streamType = "application/x-ndjson"

// acceptLines makes a request ask for an answer of streamType.
func acceptLines(_ context.Context, request *http.Request) error {
	request.Header.Set("Accept", streamType)
	return nil
}

func isStream(response *http.Response) bool {
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	return media == streamType
}

// errBrokenOff is the cause of the error if a stream ends without its last line.
var errBrokenOff = errors.New("the stream ended without its last line, so the list is incomplete")

// lines yields the items of a stream. The last line has no item, but a token, which confirms that the list is
// complete. The function "answered" receives this token. If the last line is missing, the sequence ends with an
// error.
func lines[T any](ctx context.Context, response *http.Response, answered func(rest.Token)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer func() { _ = response.Body.Close() }()
		decoder := json.NewDecoder(response.Body)
		for {
			line, token, err := nextLine[T](response, decoder)
			switch {
			case err != nil && ctx.Err() != nil:
				yield(line, ended(ctx))
				return
			case err != nil:
				yield(line, err)
				return
			case token != "":
				answered(token)
				return
			case !yield(line, nil):
				return
			}
		}
	}
}

// nextLine reads a line. It returns the item in the line or, for the last line of a complete list, its token.
func nextLine[T any](response *http.Response, decoder *json.Decoder) (item T, token rest.Token, err error) {
	var line json.RawMessage
	var last struct {
		Token rest.Token
		Error *rest.Problem
	}
	if err = decoder.Decode(&line); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = json.Unmarshal(line, &last)
	}
	if err == nil && last.Error == nil && last.Token == "" {
		err = json.Unmarshal(line, &item)
	}
	switch {
	case err != nil:
		cause := errors.Join(errBrokenOff, err)
		return item, "", &Error{
			Code: Unavailable, Detail: "the answer is incomplete", Status: response.StatusCode, cause: cause,
		}
	case last.Error != nil:
		return item, "", problemOf(*last.Error)
	}
	return item, last.Token, nil
}

// patientBody is the body of a streamed answer. It limits the time of each read, but not the total time.
type patientBody struct {
	io.ReadCloser
	watch  *time.Timer
	limit  time.Duration
	cancel context.CancelFunc
}

func (b *patientBody) Read(p []byte) (int, error) {
	b.watch.Reset(b.limit)
	n, err := b.ReadCloser.Read(p)
	b.watch.Stop()
	return n, err
}

func (b *patientBody) Close() error {
	b.watch.Stop()
	b.cancel()
	return b.ReadCloser.Close()
}

// doStream sends a request whose answer may be a stream. The timeout of the HTTP client limits the time until the
// headers arrive and the time of each read, but not the total time.
func doStream(client *http.Client, request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(request.Context())
	patient := *client
	patient.Timeout = 0
	limit := cmp.Or(client.Timeout, math.MaxInt64)
	body := &patientBody{watch: time.AfterFunc(limit, cancel), limit: limit, cancel: cancel}
	response, err := patient.Do(request.WithContext(ctx)) //nolint:gosec // the caller of New chose the address
	body.watch.Stop()
	if err != nil {
		cancel()
		return nil, err
	}
	body.ReadCloser, response.Body = response.Body, body
	return response, nil
}
