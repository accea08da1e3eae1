package replica

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Reached waits until the replica answers from a state that includes the token's writes. It returns ctx's error when
// ctx ends, and an error with CodeInvalid for a token that the replica cannot parse.
func (r *Replica) Reached(ctx context.Context, token authz.Token) error {
	wanted, ok := parseRevision(token)
	if !ok {
		return authz.Errorf(authz.CodeInvalid, "%q is not a token that the in-memory replica can wait for", token)
	}
	for {
		r.mu.Lock()
		arrived := r.arrived
		r.mu.Unlock()
		if s := r.current.Load(); s != nil && s.revision.includes(wanted) && r.fresh.Load() != never {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
