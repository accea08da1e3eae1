package operation

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// That an operation was done under a key is stored as a relationship from the key, of which the id is a digest, to what was
// asked for, a digest as well. It is in the write that did it, so that there is never one without the other.
const (
	onceType    authz.Type     = "idempotency_key"
	onceDone    authz.Relation = "done"
	requestType authz.Type     = "request"
)

// Once has an operation done once, however often it is asked for within a day. Nil stands for as often as it is asked for.
type Once struct {
	// Key is what the caller calls the operation by. It counts for one actor through one API key.
	Key string

	// Request is a digest of all that the caller asked for.
	Request string

	// Secret is what ids are derived from that must be the same for a repetition, and that nobody else can guess.
	Secret []byte

	// Replayed is set if the operation had been done before: nothing was written, and the results are what can be told of them
	// without having been stored.
	Replayed bool
}

func (c Caller) replayed() bool { return c.Once != nil && c.Once.Replayed }

// done is the relationship that says that the caller's operation was done.
func (c Caller) done() authz.Relationship {
	return authz.Relationship{
		Resource: authz.Object{Type: onceType, ID: digest(fmt.Sprintf("%q %q %q", c.Key, c.Actor, c.Once.Key))},
		Relation: onceDone,
		Subject:  only(authz.Object{Type: requestType, ID: authz.ID(c.Once.Request)}),
	}
}

// digest is an id that tells nothing of the text that it stands for.
func digest(text string) authz.ID {
	sum := sha256.Sum256([]byte(text))
	return authz.ID(base64.RawURLEncoding.EncodeToString(sum[:]))
}

// recall finds out whether the operation was done before. The error is CodeConflict if another one was, under the same key.
func (p *plan) recall(ctx context.Context) error {
	if p.by.Once == nil {
		return nil
	}
	done := p.by.done()
	found, err := p.findSome(ctx, authz.Filter{Type: onceType, ID: done.Resource.ID}, 1)
	if err != nil || len(found) == 0 {
		return err
	}
	if found[0].Subject != done.Subject {
		return authz.Errorf(authz.CodeConflict, "the Idempotency-Key stands for another request already; a new request takes a new one")
	}
	p.by.Once.Replayed = true
	return nil
}

// remember plans that the operation is known to be done until a time, unless another has done it by then.
func (p *plan) remember(until time.Time) {
	if p.by.Once == nil {
		return
	}
	done := p.by.done()
	p.forbid(authz.Filter{Type: onceType, ID: done.Resource.ID})
	done.ExpiresAt = until
	p.update(authz.Touch, done)
}

// room is how many updates the plan can still take.
func (p *plan) room() int {
	room := authz.MaxUpdates - len(p.updates)
	if p.by.Once != nil {
		room--
	}
	return room
}

// failures are the codes of errors that are about the server and not about what was asked for.
var failures = []authz.Code{authz.CodeInternal, authz.CodeUnavailable, authz.CodeDeadline, authz.CodeCanceled}

// replay answers an operation that was done before with a token of now. That it cannot be planned any more, since what it
// rests on has changed, is no failure.
func (p *plan) replay(ctx context.Context, err error) (authz.Token, error) {
	if err != nil && slices.Contains(failures, authz.CodeOf(err)) {
		return "", err
	}
	return p.head(ctx)
}
