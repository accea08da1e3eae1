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
	idempotencyType authz.Type     = "idempotency_key"
	idempotencyDone authz.Relation = "done"
	requestType     authz.Type     = "request"
)

// Idempotency has an operation done once, however often it is asked for within a day. Nil stands for as often as it is asked for.
type Idempotency struct {
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

func (c Caller) replayed() bool { return c.Idempotency != nil && c.Idempotency.Replayed }

// done is the relationship that says that the caller's operation was done.
func (c Caller) done() authz.Relationship {
	return authz.Relationship{
		Resource: authz.Object{Type: idempotencyType, ID: digest(fmt.Sprintf("%q %q %q", c.Key, c.Actor, c.Idempotency.Key))},
		Relation: idempotencyDone,
		Subject:  only(authz.Object{Type: requestType, ID: authz.ID(c.Idempotency.Request)}),
	}
}

// digest is an id that tells nothing of the text that it stands for.
func digest(text string) authz.ID {
	sum := sha256.Sum256([]byte(text))
	return authz.ID(base64.RawURLEncoding.EncodeToString(sum[:]))
}

// findReplay finds out whether the operation was done before. The error is CodeConflict if another one was, under the same key.
func findReplay(ctx context.Context, p *plan) error {
	if p.by.Idempotency == nil {
		return nil
	}
	done := p.by.done()
	found, err := p.FindSome(ctx, authz.Filter{Type: idempotencyType, ID: done.Resource.ID}, 1)
	if err != nil || len(found) == 0 {
		return err
	}
	if found[0].Subject != done.Subject {
		return authz.Errorf(authz.CodeConflict, "the Idempotency-Key stands for another request already; a new request takes a new one")
	}
	p.by.Idempotency.Replayed = true
	return nil
}

// rememberKey plans that the operation is known to be done until a time, unless another has done it by then.
func rememberKey(p *plan, until time.Time) {
	if p.by.Idempotency == nil {
		return
	}
	done := p.by.done()
	p.Forbid(authz.Filter{Type: idempotencyType, ID: done.Resource.ID})
	done.ExpiresAt = until
	p.Update(authz.Touch, done)
}

// failures are the codes of errors that are about the server and not about what was asked for.
var failures = []authz.Code{authz.CodeInternal, authz.CodeUnavailable, authz.CodeDeadline, authz.CodeCanceled}

// answerReplay answers an operation that was done before with a token of now. That it cannot be planned any more, since what it
// rests on has changed, is no failure.
func answerReplay(ctx context.Context, p *plan, err error) (authz.Token, error) {
	if err != nil && slices.Contains(failures, authz.CodeOf(err)) {
		return "", err
	}
	return p.head(ctx)
}
