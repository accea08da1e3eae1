package operation

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// With an idempotency key, the write that completes an operation also stores a relationship from the key to the
// request. So both are stored, or neither. The ids of the key and the request are digests.
const (
	idempotencyType authz.Type     = "idempotency_key"
	idempotencyDone authz.Relation = "done"
	requestType     authz.Type     = "request"
)

// Idempotency lets an operation be performed only once within a day, even if the request is sent again. If it is nil,
// the operation is performed for every request.
type Idempotency struct {
	// Key is the idempotency key that the caller sent. Each actor has separate keys with each API key.
	Key string

	// Request is a digest of everything in the request that identifies the operation.
	Request string

	// Secret is the input for ids that are the same in a retry and that nobody else can guess.
	Secret []byte
}

// done returns the relationship that records that the caller's operation was performed.
func (c Caller) done() authz.Relationship {
	return authz.Relationship{
		Resource: authz.Object{Type: idempotencyType, ID: digest(fmt.Sprintf("%q %q %q", c.Key, c.Actor, c.Idempotency.Key))},
		Relation: idempotencyDone,
		Subject:  only(authz.Object{Type: requestType, ID: authz.ID(c.Idempotency.Request)}),
	}
}

// digest returns an id that is derived from a text and does not reveal it.
func digest(text string) authz.ID {
	sum := sha256.Sum256([]byte(text))
	return authz.ID(base64.RawURLEncoding.EncodeToString(sum[:]))
}

// findReplay reports whether the operation was performed before. It returns an error with CodeConflict if the key was
// used for another request.
func findReplay(ctx context.Context, p *plan) (bool, error) {
	if p.by.Idempotency == nil {
		return false, nil
	}
	done := p.by.done()
	found, err := p.FindSome(ctx, authz.Filter{Type: idempotencyType, ID: done.Resource.ID}, 1)
	if err != nil || len(found) == 0 {
		return false, err
	}
	if found[0].Subject != done.Subject {
		return false, authz.Errorf(
			authz.CodeConflict, "the Idempotency-Key was used for another request; send a new key with a new request",
		)
	}
	return true, nil
}

// rememberKey adds the relationship of the idempotency key to the plan. It expires at the time until. It requires as a
// precondition that the key is not stored yet.
func rememberKey(p *plan, until time.Time) {
	if p.by.Idempotency == nil {
		return
	}
	done := p.by.done()
	p.Forbid(authz.Filter{Type: idempotencyType, ID: done.Resource.ID})
	done.ExpiresAt = until
	p.Update(authz.Touch, done)
}

// failures are the codes of errors that the server's state causes, not the request.
var failures = []authz.Code{authz.CodeInternal, authz.CodeUnavailable, authz.CodeDeadline, authz.CodeCanceled}

// isFailure reports whether an error of a replay comes from the server's state. Any other error can result from changes
// since the operation was performed.
func isFailure(err error) bool {
	var wait *underWayError
	return err != nil && !errors.As(err, &wait) && slices.Contains(failures, authz.CodeOf(err))
}

// answerReplay returns the token of the newest state for an operation that was performed before. err is the error of
// planning the operation again; answerReplay returns it only if it is a failure, see isFailure.
func answerReplay(ctx context.Context, p *plan, err error) (authz.Token, error) {
	if isFailure(err) {
		return "", err
	}
	return p.head(ctx)
}
