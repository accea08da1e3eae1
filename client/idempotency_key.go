package client

import (
	"context"
	"crypto/rand"
)

const idempotencyHeader = "Idempotency-Key"

// WithIdempotencyKey sets the idempotency key of the operation performed with the returned context. Within a day, the
// server performs the operation once under this key, even if several processes send it. Another operation under the
// same key returns Conflict. Without WithIdempotencyKey, the client gives each operation a new key, so that its own
// retries are safe.
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
