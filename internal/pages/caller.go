package pages

import "context"

type callerKey struct{}

// WithCaller returns a context that names the caller, which is the API key of the request. Caches of the engine are
// shared fairly among callers.
func WithCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

// callerOf returns the name of the caller, or "" if the context names none.
func callerOf(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}
