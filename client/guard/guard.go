// Package guard has middleware for net/http that admits a request only if its user has a permission:
//
//	may := guard.New(sluice, userOfSession)
//	mux.Handle("POST /importers/{id}/run", may.Require("run", guard.Path("importer", "id"))(runImporter))
//
// A request without a known user gets 401. A user without the permission gets 403 or, with Hide, 404. If Sluice is
// unreachable or busy, the request gets 503. If Sluice rejects the application's key, it gets 500. Package ginguard
// has the same middleware for gin.
package guard

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/sluice-authz/sluice/client"
)

// Decider reports whether a person has a permission on a resource "type:id". *client.Client implements it.
type Decider interface {
	Can(ctx context.Context, user, permission, resource string) (bool, error)
}

// User returns the id of the person who makes a request, or "" if the person is not known. It must use the
// application's own authentication, and never trust an id that the client sends without proof.
type User func(*http.Request) string

// Resource returns the resource of a request as "type:id".
type Resource func(*http.Request) string

// Path returns a Resource whose type is typ and whose id is the wildcard {name} in the pattern of http.ServeMux.
func Path(typ, name string) Resource {
	return func(r *http.Request) string { return typ + ":" + r.PathValue(name) }
}

// Guard makes middleware.
type Guard struct {
	policy Policy
	user   User
}

// New returns a guard that asks the decider for the permission of each request's user.
func New(decider Decider, user User, options ...Option) *Guard {
	return &Guard{policy: NewPolicy(decider, options...), user: user}
}

// Require returns middleware that admits a request if its user has the permission on its resource.
func (g *Guard) Require(permission string, resource Resource) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if refusal := g.policy.Decide(r.Context(), g.user(r), permission, resource(r)); refusal != nil {
				refusal.Write(w)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Option configures a guard.
type Option func(*Policy)

// Hide answers denied requests with 404 instead of 403, as if the resource did not exist.
func Hide() Option { return func(p *Policy) { p.denied = http.StatusNotFound } }

// OnError sets a function that receives the error if the guard cannot decide about a request. By default, the guard
// logs the error with slog's default logger.
func OnError(tell func(context.Context, error)) Option { return func(p *Policy) { p.failed = tell } }

// Policy decides about requests. The guards for net/http and for gin use it.
type Policy struct {
	decider Decider
	denied  int
	failed  func(context.Context, error)
}

// NewPolicy returns a policy that asks the decider.
func NewPolicy(decider Decider, options ...Option) Policy {
	p := Policy{decider: decider, denied: http.StatusForbidden, failed: warn}
	for _, option := range options {
		option(&p)
	}
	return p
}

func warn(ctx context.Context, err error) {
	slog.WarnContext(ctx, "a guard rejected a request because it could not check the permission", "error", err)
}

// Decide returns nil if the request is allowed, and otherwise the answer to send.
func (p Policy) Decide(ctx context.Context, user, permission, resource string) *Refusal {
	if user == "" {
		return &Refusal{Status: http.StatusUnauthorized}
	}
	allowed, err := p.decider.Can(ctx, user, permission, resource)
	if err != nil {
		p.failed(ctx, err)
		return &Refusal{Status: p.status(err)}
	}
	if !allowed {
		return &Refusal{Status: p.denied}
	}
	return nil
}

// status returns the HTTP status for an error of the decider. If Sluice rejects the application's key, it is 500. If
// the check is invalid, for example because an id is too long, it is the status of a denial. For any other error, for
// example an unreachable server, it is 503.
func (p Policy) status(err error) int {
	switch {
	case errors.Is(err, client.Invalid):
		return p.denied
	case errors.Is(err, client.Unauthenticated), errors.Is(err, client.Forbidden):
		return http.StatusInternalServerError
	}
	return http.StatusServiceUnavailable
}

// Refusal is the answer to a request that is not allowed.
type Refusal struct{ Status int }

// Write writes a problem document (RFC 9457) that contains only the status.
func (r *Refusal) Write(w http.ResponseWriter) {
	body, err := json.Marshal(map[string]any{
		"type": "about:blank", "title": http.StatusText(r.Status), "status": r.Status,
	})
	if err != nil {
		w.WriteHeader(r.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(r.Status)
	_, _ = w.Write(body)
}
