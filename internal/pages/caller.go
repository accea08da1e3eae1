package pages

import "context"

type callerKey struct{}

// WithCaller returns a context with the name of the caller: the name of the API key with which the request was made.
// The engine's caches give each caller an equal share.
func WithCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

// callerOf returns the name of the caller in the context, or "" if it has none.
func callerOf(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}
