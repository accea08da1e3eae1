package client

import (
	"context"
	"errors"
	"sync"

	"github.com/sluice-authz/sluice/client/rest"
)

// TokenHeader is a header in which services may pass the result of Token to one another.
const TokenHeader = "Sluice-Token" //nolint:gosec // a ZedToken is no secret

// Values for WithToken instead of a token. Newest requests the newest state. Fastest requests the fastest answer, which
// may be a few seconds old.
const (
	Newest  = "fully_consistent"
	Fastest = "minimize_latency"
)

// WithToken starts a chain of calls. Decisions with the returned context see at least the state of the token and every
// operation made with the context, on any server. The token comes from an operation, from Token in another service, or
// from a write to SpiceDB. It may be empty.
//
// With a single server, no chain is necessary: a decision sees every write of that server.
func WithToken(ctx context.Context, token string) context.Context {
	c := &chain{known: token}
	if token == Newest {
		c.known, c.missing = "", true
	}
	return context.WithValue(ctx, chainKey{}, c)
}

// Token returns a token that covers the chain of the context, for another service's WithToken. It is empty if there is
// no chain or the chain has no write.
func Token(ctx context.Context) string {
	c := chainOf(ctx)
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.missing || c.writing > 0 {
		return Newest
	}
	return c.known
}

type chainKey struct{}

// chainOf returns the chain of the context, or nil. Methods on nil do nothing.
func chainOf(ctx context.Context) *chain {
	c, _ := ctx.Value(chainKey{}).(*chain)
	return c
}

// chain stores the token for the next decisions. If operations overlap, there may be no single token that covers all of
// them. So after overlapping operations, decisions request the newest state, until one of them that began after these
// operations returns a token.
type chain struct {
	mu      sync.Mutex
	known   string // a token that covers every finished operation, unless missing is set
	missing bool   // no known token covers all finished operations
	writing int    // running operations
	overlap bool   // two operations have overlapped
	epoch   uint64 // number of finished operations
}

func (c *chain) begin() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing++
	c.overlap = c.overlap || c.writing > 1
}

// end records a finished operation. An operation that failed may still have been performed, unless the server rejected
// it.
func (c *chain) end(token string, err error) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing--
	c.epoch++
	switch {
	case refused(err) && !c.overlap:
	case err != nil || token == "" || c.overlap:
		c.missing = true
	default:
		c.known, c.missing = token, false
	}
	if c.writing == 0 {
		c.overlap = false
	}
}

// refused reports whether the error shows that the server did not perform the operation.
func refused(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case Invalid, Unauthenticated, Forbidden, NotFound, MethodNotAllowed, Conflict, FeatureRequired, TooLarge, Limited:
		return true
	default:
		return false
	}
}

// ask returns the consistency for a question, and a function that receives the token of its answer.
func (c *chain) ask() (at rest.Consistency, answered func(token string)) {
	if c == nil {
		return at, func(string) {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.missing {
		return consistency(c.known), func(string) {}
	}
	epoch := c.epoch
	return consistency(Newest), func(token string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if token != "" && c.missing && c.epoch == epoch {
			c.known, c.missing = token, false
		}
	}
}

// consistency converts a token, Newest or Fastest to the form of the API. The result for an empty token is empty.
func consistency(token string) rest.Consistency {
	var c rest.Consistency
	switch token {
	case "":
	case Newest, Fastest:
		_ = c.FromConsistencyLevel(rest.ConsistencyLevel(token)) // marshaling a string does not fail
	default:
		_ = c.FromAtLeastAsFresh(rest.AtLeastAsFresh{AtLeastAsFresh: token})
	}
	return c
}
