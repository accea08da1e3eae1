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

// handshakeTimeout is the longest duration of a TLS handshake.
const handshakeTimeout = 10 * time.Second

// Listener returns a listener whose connections answer with problem documents where net/http itself would answer with
// plain text: if the request is not HTTP, has too large headers, or has a malformed path or host. No handler receives
// such requests. If config is not nil, connections use TLS. Connections with HTTP/2 are *tls.Conn, as net/http
// requires. Close ends running handshakes and stops accepting.
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
	return &problemConn{Conn: conn}, nil
}

// accepted is a connection after its handshake, or the error of the listener.
type accepted struct {
	conn net.Conn
	err  error
}

// tlsListener performs handshakes concurrently, so that a slow client does not delay others.
type tlsListener struct {
	net.Listener

	config  *tls.Config
	ready   chan accepted
	ctx     context.Context //nolint:containedctx // this context ends with the listener
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func (l *tlsListener) run() {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if !l.deliver(accepted{err: err}) {
				return
			}
			continue
		}
		l.running.Go(func() { l.handshake(conn) })
	}
}

// deliver passes a connection to Accept. It returns false after Close.
func (l *tlsListener) deliver(a accepted) bool {
	select {
	case l.ready <- a:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// handshake performs the TLS handshake of a connection. If the client speaks plain HTTP, it answers a problem.
func (l *tlsListener) handshake(conn net.Conn) {
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTimeout)
	defer cancel()
	shaken := tls.Server(conn, l.config)
	if err := shaken.HandshakeContext(ctx); err != nil {
		var header tls.RecordHeaderError
		if errors.As(err, &header) && header.Conn != nil && looksLikeHTTP(header.RecordHeader) {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = conn.Write(
				protocolProblem(
					http.StatusBadRequest,
					"this port accepts only HTTPS; use an address that begins with https://",
					string(header.RecordHeader[:]) == headPrefix,
				),
			)
		}
		_ = conn.Close()
		return
	}
	var ready net.Conn = shaken
	if shaken.ConnectionState().NegotiatedProtocol != "h2" {
		ready = &tlsProblemConn{&problemConn{Conn: shaken}, shaken}
	}
	if !l.deliver(accepted{conn: ready}) {
		_ = conn.Close()
	}
}

// looksLikeHTTP reports whether the first bytes are those of an HTTP request and not of TLS.
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

// Close implements net.Listener. It returns after all running handshakes have ended.
func (l *tlsListener) Close() error {
	l.cancel()
	err := l.Listener.Close()
	l.running.Wait()
	return err
}

// problemConn is a connection that replaces net/http's own plain text answers by problem documents.
type problemConn struct {
	net.Conn

	mu    sync.Mutex
	start []byte // first bytes of the request that is being read, at most those of headPrefix
}

// headPrefix is the start of a HEAD request. The answer to such a request has no body.
const headPrefix = "HEAD "

// Read implements net.Conn.
func (c *problemConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if missing := len(headPrefix) - len(c.start); missing > 0 {
		c.start = append(c.start, p[:min(max(n, 0), missing)]...)
	}
	return n, err
}

// endRequest reports whether the last request is a HEAD request, and prepares for the next request. If a client sends
// several requests at once, endRequest knows only the method of the first one.
func (c *problemConn) endRequest() (head bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head = string(c.start) == headPrefix
	c.start = c.start[:0]
	return head
}

// plainHeaders are the headers of net/http's own answers, after the status line. No answer of a handler contains them:
// in its headers, Cache-Control comes earlier, and its JSON body escapes line breaks.
var plainHeaders = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// expectationFailed is the start of net/http's answer to an unknown Expect header.
var expectationFailed = []byte("HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\n")

// maxStatusLine is the largest length of the status line of net/http's own answers in bytes.
const maxStatusLine = 200

// Write implements net.Conn.
func (c *problemConn) Write(p []byte) (int, error) {
	head := c.endRequest()
	status, detail, found := ownAnswer(p)
	if !found {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(protocolProblem(status, detail, head)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite lets net/http finish an answer before it closes the connection, so that the client can read the answer.
func (c *problemConn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return nil
}

// tlsProblemConn is a problemConn that gives net/http access to the state of TLS.
type tlsProblemConn struct {
	*problemConn
	tls *tls.Conn
}

// ConnectionState returns the TLS state of the connection.
func (c *tlsProblemConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// ownAnswer reports whether the bytes are one of net/http's own answers, and returns its status and text.
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
	_, text, _ := bytes.Cut(line[len(version):], []byte(": "))
	return status, string(text), true
}

// protocolProblem returns the complete answer to a request that is not valid HTTP. The answer to HEAD has no body. The
// connection is closed after the answer.
func protocolProblem(status int, detail string, head bool) []byte {
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
	length := len(body)
	if head {
		body = nil
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"+
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s: %s\r\nDate: %s\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), length, requestIDHeader, id, time.Now().UTC().Format(http.TimeFormat), body)
}

// outerProblem returns a problem document for a request that does not reach the API, and the new id of the request.
func outerProblem(status int, code authz.Code, detail string) (body []byte, id string) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id = hex.EncodeToString(random[:])
	body, err := json.Marshal(Problem{
		Type: "urn:sluice:problem:" + string(code), Title: kinds[code].title, Status: status,
		Detail: authz.Cut(detail, maxDetail), Code: Code(code), RequestID: id,
	})
	if err != nil {
		panic(err) // impossible: the fields are strings and a number
	}
	return body, id
}
