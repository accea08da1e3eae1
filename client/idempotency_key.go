package client

import (
	"context"
	"crypto/rand"
)

const idempotencyHeader = "Idempotency-Key"

// WithIdempotencyKey sets the idempotency key of the operation performed with the returned context. Within a day, the
// operation happens once under that key, also if several processes ask for it. Another operation under the same key is
// a Conflict. Without a key of the caller, the client gives each operation a new one, which covers the client's own
// retries.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, idempotencyKey{}, key)
}

type idempotencyKey struct{}

// keyOf returns the idempotency key in the context, or a new one.
func keyOf(ctx context.Context) string {
	if key, given := ctx.Value(idempotencyKey{}).(string); given {
		return key
	}
	return rand.Text()
}
