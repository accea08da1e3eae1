// Package client asks a Sluice server for decisions and performs its operations.
//
//	sluice, err := client.New("https://authz.example.com", key)
//	may, err := sluice.Can(ctx, "alice", "run", "importer:i1")
//	account, err := sluice.As("alice").CreateAccount(ctx, client.NewAccount{
//		ID: "acme", Subscription: "s1", RoleSet: "team",
//	})
//
// An answer other than a clear yes is no: where there is an error, the boolean beside it is false. Errors carry the
// code of the API: errors.Is(err, client.NotFound).
//
// Requests are repeated while the server is away or busy, for ten seconds at most and within the context. Operations
// happen once all the same: each is sent under an idempotency key.
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

// Client speaks to one server, or to several behind one address. It is for concurrent use; make it once.
type Client struct {
	rest *rest.Client
}

// Actor performs operations on behalf of one person.
type Actor struct {
	rest *rest.Client
	user string
}

// Option changes what is optional about a Client.
type Option func(*transport)

// WithHTTPClient sends the requests with another client, for TLS, tracing or limits of your own.
func WithHTTPClient(c *http.Client) Option { return func(t *transport) { t.http = c } }

// WithTries sets how often a request is sent at most; 1 means that nothing is repeated. Without this option only the
// patience and the context of the call bound it.
func WithTries(n uint) Option { return func(t *transport) { t.tries = max(1, n) } }

// WithPatience sets how long one call goes on trying; it is 10 seconds without this option, so that a call outlives a
// restart of the server. The context of the call ends it earlier.
func WithPatience(d time.Duration) Option { return func(t *transport) { t.patience = d } }

// attemptTimeout bounds one request where the context does not: somewhat more than a server gives it.
const attemptTimeout = 40 * time.Second

// New returns a client of the server at an address such as https://authz.example.com. It sends nothing yet. Decisions
// need a key with the scope check, operations one with operate or provision. An address that is none, and an empty key,
// are Invalid.
func New(address, key string, options ...Option) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, &Error{
			Code: Invalid, Detail: fmt.Sprintf("%q is not an address such as https://authz.example.com", address),
		}
	}
	if key == "" {
		return nil, &Error{Code: Invalid, Detail: "the API key is empty; every call needs one"}
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

// connections is http.DefaultTransport with as many idle connections as a busy backend has use for.
func connections() http.RoundTripper {
	usual, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	own := usual.Clone()
	own.MaxIdleConnsPerHost = own.MaxIdleConns
	return own
}

// REST is the generated client below, for calls that this package has no method for. It sends with the same key,
// repeats the same, and returns the same errors.
func (c *Client) REST() *rest.Client { return c.rest }

// As performs operations on behalf of a person, named by the application's own id. Whether that person may is decided
// by the server, each time.
func (c *Client) As(user string) *Actor {
	as := *c.rest
	as.RequestEditors = append(as.RequestEditors[:len(as.RequestEditors):len(as.RequestEditors)],
		func(_ context.Context, request *http.Request) error {
			request.Header.Set("Sluice-Actor", headerValue(user))
			return nil
		})
	return &Actor{rest: &as, user: user}
}

// headerValue is the one form in which a header names a person: the percent sign, the comma, the space, and every byte
// that is not visible ASCII are percent-encoded.
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

// REST is the generated client below, on behalf of the person.
func (a *Actor) REST() *rest.Client { return a.rest }
