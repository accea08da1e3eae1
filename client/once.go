package client

import (
	"context"
	"crypto/rand"
)

const idempotencyHeader = "Idempotency-Key"

// WithIdempotencyKey has the operation that is performed with the returned context done once, however often it is asked
// for under that key within a day, by any process. Another operation under the same key is a Conflict. Of itself, a
// client gives every operation a key of its own, which covers the repetitions that it makes itself.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, idempotencyKey{}, key)
}

type idempotencyKey struct{}

// keyOf returns the key that the context gives an operation, or a new one.
func keyOf(ctx context.Context) string {
	if key, given := ctx.Value(idempotencyKey{}).(string); given {
		return key
	}
	return rand.Text()
}
