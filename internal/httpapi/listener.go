package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// handshakeTimeout is how long a TLS handshake may take.
const handshakeTimeout = 10 * time.Second

// Listener returns a listener whose connections answer with problem documents where net/http itself answers with plain
// text: to a request that is no HTTP, to headers that are too large, and to a malformed path or host. No handler sees
// such a request. If config is not nil, the connections speak TLS, and those over which HTTP/2 was agreed upon are
// *tls.Conn, as net/http wants them. Closing the listener ends the handshakes under way, and the accepting of
// connections.
func Listener(listener net.Listener, config *tls.Config) net.Listener {
	if config == nil {
		return plainListener{listener}
	}
	config = config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	l := &tlsListener{Listener: listener, config: config, ready: make(chan accepted)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.running.Go(l.run)
	return l
}

type plainListener struct{ net.Listener }

// Accept implements net.Listener.
func (l plainListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return problemConn{conn}, nil
}

// accepted is a connection after its handshake, or the error of the listener.
type accepted struct {
	conn net.Conn
	err  error
}

// tlsListener performs handshakes side by side, so that a slow client delays no other.
type tlsListener struct {
	net.Listener

	config  *tls.Config
	ready   chan accepted
	ctx     context.Context //nolint:containedctx // ends with the listener
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func (l *tlsListener) run() {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if !l.hand(accepted{err: err}) {
				return
			}
			continue
		}
		l.running.Go(func() { l.shake(conn) })
	}
}

// hand gives a connection to Accept. It returns false after Close.
func (l *tlsListener) hand(a accepted) bool {
	select {
	case l.ready <- a:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// shake performs the handshake of a connection. To a client that speaks HTTP without TLS it says so.
func (l *tlsListener) shake(conn net.Conn) {
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTimeout)
	defer cancel()
	shaken := tls.Server(conn, l.config)
	if err := shaken.HandshakeContext(ctx); err != nil {
		var header tls.RecordHeaderError
		if errors.As(err, &header) && header.Conn != nil && looksLikeHTTP(header.RecordHeader) {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = conn.Write(protocolProblem(http.StatusBadRequest, "this port speaks HTTPS: the address begins with https://"))
		}
		_ = conn.Close()
		return
	}
	var ready net.Conn = shaken
	if shaken.ConnectionState().NegotiatedProtocol != "h2" {
		ready = tlsProblemConn{problemConn{shaken}, shaken}
	}
	if !l.hand(accepted{conn: ready}) {
		_ = conn.Close()
	}
}

// looksLikeHTTP reports whether the beginning of what should be TLS is that of a request.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO":
		return true
	}
	return false
}

// Accept implements net.Listener.
func (l *tlsListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It returns after every handshake under way has ended.
func (l *tlsListener) Close() error {
	l.cancel()
	err := l.Listener.Close()
	l.running.Wait()
	return err
}

// problemConn is a connection that writes a problem document in place of net/http's own answer in plain text.
type problemConn struct{ net.Conn }

// plainHeaders are the headers of net/http's own answers, after the line with the status. An answer of a handler has a
// Cache-Control before these, and its body is no header, since JSON escapes line breaks.
var plainHeaders = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// expectationFailed is the beginning of net/http's answer to a header Expect that it does not know.
var expectationFailed = []byte("HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\n")

// maxStatusLine is how long the line with the status of net/http's own answers is at most, in bytes.
const maxStatusLine = 200

// Write implements net.Conn.
func (c problemConn) Write(p []byte) (int, error) {
	status, detail, found := ownAnswer(p)
	if !found {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(protocolProblem(status, detail)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite lets net/http end an answer before it closes the connection, so that the client can read it.
func (c problemConn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return nil
}

// tlsProblemConn is a problemConn from which net/http reads the state of TLS.
type tlsProblemConn struct {
	problemConn
	tls *tls.Conn
}

// ConnectionState returns the state of the connection's TLS.
func (c tlsProblemConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// ownAnswer reports whether the bytes are an answer of net/http itself, and returns its status and text.
func ownAnswer(p []byte) (status int, detail string, found bool) {
	const version = "HTTP/1.1 "
	if !bytes.HasPrefix(p, []byte(version)) {
		return 0, "", false
	}
	line, rest, _ := bytes.Cut(p[:min(len(p), maxStatusLine+len(plainHeaders))], []byte("\r\n"))
	if len(line) > maxStatusLine || len(line) < len(version)+3 {
		return 0, "", false
	}
	if !bytes.HasPrefix(rest, plainHeaders[2:]) && !bytes.HasPrefix(p, expectationFailed) {
		return 0, "", false
	}
	status, err := strconv.Atoi(string(line[len(version) : len(version)+3]))
	if err != nil || status < http.StatusBadRequest {
		return 0, "", false
	}
	_, says, _ := bytes.Cut(line[len(version):], []byte(": "))
	return status, string(says), true
}

// protocolProblem is the answer, with its headers, to a request that is none of HTTP. After it the connection ends.
func protocolProblem(status int, detail string) []byte {
	code := authz.CodeInvalid
	switch status {
	case http.StatusBadRequest:
		if detail == "" {
			detail = "the request is malformed HTTP: check its first line, its headers and the percent-encoding of its path"
		}
	case http.StatusRequestHeaderFieldsTooLarge:
		code, detail = authz.CodeTooLarge, headersTooLarge()
	case http.StatusExpectationFailed:
		code, detail = authz.CodeUnsupported, "the header Expect can only be 100-continue"
	default:
		code = authz.CodeUnsupported
		if detail == "" {
			detail = "the server does not support this part of HTTP: " + http.StatusText(status)
		}
	}
	body, id := outerProblem(status, code, detail)
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"+
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s: %s\r\nDate: %s\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(body), requestIDHeader, id, time.Now().UTC().Format(http.TimeFormat), body)
}

// outerProblem returns a problem document about a request that does not reach the API, and the id that the request
// gets.
func outerProblem(status int, code authz.Code, detail string) (body []byte, id string) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id = hex.EncodeToString(random[:])
	body, err := json.Marshal(Problem{
		Type: "urn:sluice:problem:" + string(code), Title: http.StatusText(status), Status: status,
		Detail: authz.Cut(detail, maxDetail), Code: Code(code), RequestID: id,
	})
	if err != nil {
		panic(err) // strings and a number
	}
	return body, id
}
