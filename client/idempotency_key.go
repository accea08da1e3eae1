package client

import (
	"context"
	"crypto/rand"
)

const idempotencyHeader = "Idempotency-Key"

// WithIdempotencyKey sets the idempotency key of the operation that is performed with the returned context. The
// server remembers the key for a day. If it receives the same operation with the same key again, also from another
// process, it does not perform the operation again. If another operation has the same key, the error is Conflict.
// Without WithIdempotencyKey, the client makes a new key for each operation, so that its own retries are safe.
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
