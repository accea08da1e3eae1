package client

import (
	"context"
	"errors"
	"sync"

	"github.com/sluice-authz/sluice/client/rest"
)

// TokenHeader is where services that call one another may pass on what Token returns.
const TokenHeader = "Sluice-Token" //nolint:gosec // a ZedToken is no secret

// In the place of a token, Newest asks for the newest state, and Fastest for whatever is fastest, at most a few seconds
// old.
const (
	Newest  = "fully_consistent"
	Fastest = "minimize_latency"
)

// WithToken begins a chain of calls: decisions made with the returned context see at least the state that the token
// names and every operation performed with the context, on whatever server. The token is that of an operation, of
// another service's Token, or of a write to SpiceDB; it may be empty.
//
// Where all requests go to one server this is not needed: without a chain, a decision sees every write that the server
// has made.
func WithToken(ctx context.Context, token string) context.Context {
	c := &chain{known: token}
	if token == Newest {
		c.known, c.missing = "", true
	}
	return context.WithValue(ctx, chainKey{}, c)
}

// Token returns what another service needs for WithToken to see what the chain of the context has seen to; it is empty
// without a chain, or as long as nothing was written in it.
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

// chainOf returns the chain of the context, or nil, on which every method does nothing.
func chainOf(ctx context.Context) *chain {
	c, _ := ctx.Value(chainKey{}).(*chain)
	return c
}

// chain holds the token that decisions are asked with. Of operations that overlap, no one token need cover all: after
// them, decisions ask for the newest state, until one that began after the last of them has returned a token that
// covers them.
type chain struct {
	mu      sync.Mutex
	known   string // covers every finished operation, if missing is not set
	missing bool
	writing int    // operations under way
	overlap bool   // two of them have been under way at once
	epoch   uint64 // counts finished operations
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

// end notes a finished operation. One that failed without a clear refusal may have happened all the same.
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

// refused reports whether an operation certainly did not happen.
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

// ask returns the consistency to ask a question with, and what takes over the token of the answer.
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

// consistency is how the API writes it; left out for an empty token.
func consistency(token string) rest.Consistency {
	var c rest.Consistency
	switch token {
	case "":
	case Newest, Fastest:
		_ = c.FromConsistencyLevel(rest.ConsistencyLevel(token)) // a string marshals
	default:
		_ = c.FromAtLeastAsFresh(rest.AtLeastAsFresh{AtLeastAsFresh: token})
	}
	return c
}
