// Package client asks a Sluice server for decisions and performs its operations.
//
//	sluice, err := client.New("https://authz.example.com", key)
//	may, err := sluice.Can(ctx, "alice", "run", "importer:i1")
//	account, err := sluice.As("alice").CreateAccount(ctx, client.NewAccount{
//		ID: "acme", Subscription: "s1", RoleSet: "team",
//	})
//
// Decisions deny by default: a boolean beside an error is false. Errors have the codes of the API:
// errors.Is(err, client.NotFound).
//
// The client retries requests while the server is unreachable or busy, for up to ten seconds and until the context
// ends. A retried operation still happens only once, since each has an idempotency key.
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

// Client calls one server, or several behind one address. It is safe for concurrent use; create it once.
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

// WithTries limits how often a request is sent; 1 disables retries. By default, only two time limits end the retries:
// the one of WithPatience, and the one of the call's context.
func WithTries(n uint) Option { return func(t *transport) { t.tries = max(1, n) } }

// WithPatience limits the time that one call spends on retries. The default is 10 seconds, which is longer than a
// restart of the server. The context of the call may end it earlier.
func WithPatience(d time.Duration) Option { return func(t *transport) { t.patience = d } }

// attemptTimeout limits one request if the context does not. It is longer than the server's own limit.
const attemptTimeout = 40 * time.Second

// New returns a client of the server at an address, for example https://authz.example.com. It sends no request.
// Decisions need a key with the scope check, operations one with operate or provision. The error is Invalid for a
// malformed address or an empty key.
func New(address, key string, options ...Option) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, &Error{
			Code: Invalid, Detail: fmt.Sprintf("%q is not an address; use, for example, https://authz.example.com", address),
		}
	}
	switch {
	case strings.TrimSpace(key) == "":
		return nil, &Error{Code: Invalid, Detail: "the API key is empty; every call requires one"}
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, &Error{Code: Invalid, Detail: "the API key has a character that no key has; check for line breaks"}
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

// REST returns the generated client, for calls without a method in this package. It uses the same key, retries and
// errors.
func (c *Client) REST() *rest.Client { return c.rest }

// As returns an actor. The argument is the id of a person, which the application chose, or the reference to a service
// account: As("bob"), As("service_account:nightly"). The server decides for each operation whether the actor may
// perform it.
func (c *Client) As(user string) *Actor {
	as := *c.rest
	as.RequestEditors = append(as.RequestEditors[:len(as.RequestEditors):len(as.RequestEditors)],
		func(_ context.Context, request *http.Request) error {
			request.Header.Set("Sluice-Actor", headerValue(user))
			return nil
		})
	return &Actor{rest: &as, user: user}
}

// headerValue encodes an actor for a header. It percent-encodes the percent sign, the comma, the space, and every byte
// that is not visible ASCII.
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

// REST returns the generated client on behalf of the actor.
func (a *Actor) REST() *rest.Client { return a.rest }
