// Package guard lets a request of net/http through to its handler only if the person who makes it may:
//
//	may := guard.New(sluice, userOfSession)
//	mux.Handle("POST /importers/{id}/run", may.Require("run", guard.Path("importer", "id"))(runImporter))
//
// It denies by default. Who is not known is answered 401, who may not 403 or, with Hide, 404, and where Sluice cannot
// decide nobody comes in: 503. Package ginguard is the same for gin.
package guard

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/sluice-authz/sluice/client"
)

// Decider answers whether a person may do something to a resource "type:id"; *client.Client does.
type Decider interface {
	Can(ctx context.Context, user, permission, resource string) (bool, error)
}

// User tells who makes a request, by the application's own id; empty if nobody known does. It must rest on the
// application's own authentication, never on what a stranger can send.
type User func(*http.Request) string

// Resource tells what a request is about, "type:id".
type Resource func(*http.Request) string

// Path is the resource of a type whose id stands in the path, as a wildcard {name} of http.ServeMux.
func Path(typ, name string) Resource {
	return func(r *http.Request) string { return typ + ":" + r.PathValue(name) }
}

// Guard makes middleware.
type Guard struct {
	policy Policy
	user   User
}

// New returns a guard that asks the decider, about the person that user tells.
func New(decider Decider, user User, options ...Option) *Guard {
	return &Guard{policy: NewPolicy(decider, options...), user: user}
}

// Require lets a request through if its user has the permission on its resource.
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

// Option changes what is optional about a guard.
type Option func(*Policy)

// Hide answers a person who may not with 404 in place of 403, as if there were nothing there.
func Hide() Option { return func(p *Policy) { p.denied = http.StatusNotFound } }

// OnError is told why a question could not be decided. Without it slog's default logger is.
func OnError(tell func(context.Context, error)) Option { return func(p *Policy) { p.failed = tell } }

// Policy decides about requests; it is what guards for any router share.
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
	slog.WarnContext(ctx, "a guard could not decide about a request, and refused it", "error", err)
}

// Decide returns nil if the request may go on, and else how to answer it.
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

// status is 503 where Sluice is away or busy, which passes, and 500 where it does not take the application's key, which
// does not. A question that means nothing, such as one about an id that is too long, is not allowed.
func (p Policy) status(err error) int {
	switch {
	case errors.Is(err, client.Invalid):
		return p.denied
	case errors.Is(err, client.Unauthenticated), errors.Is(err, client.Forbidden):
		return http.StatusInternalServerError
	}
	return http.StatusServiceUnavailable
}

// Refusal is an answer to a request that may not go on.
type Refusal struct{ Status int }

// Write answers with a problem document (RFC 9457) that says no more than the status.
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
