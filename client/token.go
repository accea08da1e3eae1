package client

import (
	"context"
	"errors"
	"sync"

	"github.com/sluice-authz/sluice/client/rest"
)

// TokenHeader is the name of a header in which one service may send the result of Token to another.
const TokenHeader = "Sluice-Token" //nolint:gosec // a ZedToken is no secret

// WithToken accepts these values instead of a token. Newest requests the newest state of the data. Fastest requests
// the fastest answer; its state may be a few seconds old.
const (
	Newest  = "fully_consistent"
	Fastest = "minimize_latency"
)

// WithToken starts a chain of calls: all calls that are made with the returned context. Each decision of the chain
// includes the write that the token names, and every operation of the chain, even if another server performed it. The
// token comes from an operation, from Token in another service, or from a write to SpiceDB. It may be empty.
//
// With a single server, no chain is necessary: a decision includes every write that this server has made.
func WithToken(ctx context.Context, token string) context.Context {
	c := &chain{known: token}
	if token == Newest {
		c.known, c.missing = "", true
	}
	return context.WithValue(ctx, chainKey{}, c)
}

// Token returns a token that covers all operations of the context's chain. Another service passes it to WithToken.
// The token is empty if there is no chain, or if the chain has no token and no operation.
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

// chainOf returns the chain of the context, or nil. The methods of a nil chain do nothing.
func chainOf(ctx context.Context) *chain {
	c, _ := ctx.Value(chainKey{}).(*chain)
	return c
}

// chain stores the token that the next decisions send. If operations overlap, there may be no single token that
// covers all of them. So after overlapping operations, each decision requests the newest state. When such a decision,
// made after these operations have ended, returns a token, the chain stores that token.
type chain struct {
	mu      sync.Mutex
	known   string // a token that covers every finished operation, if missing is false
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

// end records that an operation has ended. Even if it returned an error, the server may have performed it, unless the
// error is a rejection (see refused).
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

// ask returns the consistency for a request that only reads. The caller must pass the token of its answer to the
// returned function.
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

// consistency converts a token, Newest or Fastest to the API's type. For an empty token, the result is empty.
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
