// Package client is the Go client of a Sluice server: it makes checks, and performs operations on behalf of people.
//
//	sluice, err := client.New("https://authz.example.com", key)
//	may, err := sluice.Can(ctx, "alice", "run", "importer:i1")
//	account, err := sluice.As("alice").CreateAccount(ctx, client.NewAccount{
//		ID: "acme", Subscription: "s1", RoleSet: "team",
//	})
//
// Decisions deny by default: if a method returns an error, its boolean result is false. Errors have the codes of the
// API: errors.Is(err, client.NotFound).
//
// While the server is unreachable or busy, the client retries a request for up to ten seconds, or until the context
// ends. The server performs a retried operation only once, because the client sends an idempotency key with it.
package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// Client calls one server, or several servers behind one address. It is safe for concurrent use; create it once.
type Client struct {
	rest *rest.Client
}

// Actor performs operations on behalf of one person or service account.
type Actor struct {
	rest *rest.Client
	user string
}

// Option configures a Client.
type Option func(*transport)

// WithHTTPClient sets the HTTP client, for TLS, tracing or limits of your own.
func WithHTTPClient(c *http.Client) Option { return func(t *transport) { t.http = c } }

// WithTries limits how often a request is sent; 1 disables retries. By default, the number is unlimited. The client
// then retries until the time of WithPatience is over, or the context of the call ends.
func WithTries(n uint) Option { return func(t *transport) { t.tries = max(1, n) } }

// WithPatience limits the time that one call spends on retries. The default is 10 seconds, which is longer than a
// restart of the server. The context of the call may end it earlier.
func WithPatience(d time.Duration) Option { return func(t *transport) { t.patience = d } }

// attemptTimeout limits the time of one HTTP request, even if the context has no deadline. It is longer than the time
// after which the server itself ends a request.
const attemptTimeout = 40 * time.Second

// New returns a client of the server at an address, for example https://authz.example.com. It sends no request.
// Decisions need a key with the scope check. Operations need a key with the scope operate or provision. The error is
// Invalid for a malformed address or an empty key.
func New(address, key string, options ...Option) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, &Error{
			Code: Invalid, Detail: fmt.Sprintf(
				"%q is not the address of a server; write, for example, https://authz.example.com", address,
			),
		}
	}
	switch {
	case strings.TrimSpace(key) == "":
		return nil, &Error{Code: Invalid, Detail: "the API key is empty; every call requires one"}
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, &Error{
			Code: Invalid, Detail: "the API key has a space, a control character or a character that is not ASCII",
		}
	}
	t := &transport{
		base: base.Path, key: key, patience: 10 * time.Second,
		http: &http.Client{
			Transport: connections(), Timeout: attemptTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, option := range options {
		option(t)
	}
	generated, err := rest.NewClient(address, rest.WithHTTPClient(t))
	if err != nil {
		return nil, err
	}
	return &Client{rest: generated}, nil
}

// connections returns http.DefaultTransport with more idle connections, for a busy backend.
func connections() http.RoundTripper {
	usual, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	own := usual.Clone()
	own.MaxIdleConnsPerHost = own.MaxIdleConns
	return own
}

// REST returns the generated client, for endpoints for which this package has no method. It uses the same key and the
// same retries, and returns the same errors.
func (c *Client) REST() *rest.Client { return c.rest }

// As returns an actor, which performs operations on behalf of a user. The user is the id of a person, for example
// "bob", or the reference to a service account, for example "service_account:nightly". For each operation, the server
// decides whether the actor may perform it.
func (c *Client) As(user string) *Actor {
	as := *c.rest
	as.RequestEditors = append(as.RequestEditors[:len(as.RequestEditors):len(as.RequestEditors)],
		func(_ context.Context, request *http.Request) error {
			request.Header.Set("Sluice-Actor", headerValue(user))
			return nil
		})
	return &Actor{rest: &as, user: user}
}

// headerValue encodes an actor for the header Sluice-Actor. It percent-encodes the percent sign, the comma, the
// space, and every byte that is not visible ASCII.
func headerValue(user string) string {
	var b strings.Builder
	for i := range len(user) {
		if c := user[i]; c <= ' ' || c > '~' || c == '%' || c == ',' {
			_, _ = fmt.Fprintf(&b, "%%%02X", c) // never fails
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// REST returns a generated client whose requests name the actor. See Client.REST.
func (a *Actor) REST() *rest.Client { return a.rest }
