package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
)

// responder writes answers and errors in the form that all calls share.
type responder struct {
	definitions definitions // for errors about a name, which suggest similar names of the schema
	logger      *slog.Logger
}

// answer runs a handler and writes its result or its error.
func (r *responder) answer(c *gin.Context, status int, handle func(context.Context) (any, error)) {
	body, err := handle(pages.WithCaller(c.Request.Context(), callOf(c).key))
	if err == nil {
		if versioned, ok := body.(tagged); ok && versioned.etag() != "" {
			c.Header("ETag", versioned.etag())
		}
		body = callOf(c).sealNextCursor(body)
		err = writeJSON(c, status, "application/json", body)
	}
	if err != nil {
		r.problem(c, err)
	}
}

// detailOf returns the detail of an error for callers: never its cause, and at most maxDetail bytes.
func (r *responder) detailOf(ctx context.Context, err error) string {
	code := codeOf(err)
	var known *authz.Error
	if code == authz.CodeInternal || !errors.As(err, &known) {
		return genericDetails[code]
	}
	var name *authz.BadName
	if errors.As(err, &name) {
		return authz.Cut(known.Message+r.definitions.nearest(ctx, name), maxDetail)
	}
	return authz.Cut(known.Message, maxDetail)
}

// problem answers an error with a problem document.
func (r *responder) problem(c *gin.Context, err error) {
	c.Abort()
	k := callOf(c)
	k.err = err
	r.logFailure(c.Request.Context(), k, err)
	if c.Writer.Written() {
		return
	}
	if errors.Is(err, errBusy) {
		c.Header("Retry-After", strconv.Itoa(int(maxWait/time.Second)))
	}
	body := r.problemOf(c.Request.Context(), k, err)
	if err := writeJSON(c, body.Status, "application/problem+json", body); err != nil {
		c.Status(http.StatusInternalServerError)
	}
}

// problemOf returns the problem document of an error.
func (r *responder) problemOf(ctx context.Context, k *call, err error) Problem {
	code := codeOf(err)
	body := Problem{
		Type: "urn:sluice:problem:" + string(code), Title: kinds[code].title, Status: kinds[code].status,
		Detail: r.detailOf(ctx, err), Code: Code(code), RequestID: k.id,
	}
	var known *authz.Error
	if errors.As(err, &known) {
		if known.Permission != "" {
			body.Permission = new(string(known.Permission))
		}
		if len(known.Accounts) > 0 {
			body.Accounts = new(toStrings(known.Accounts))
		}
		if len(known.Subscriptions) > 0 {
			body.Subscriptions = new(toStrings(known.Subscriptions))
		}
		body.Holders, body.HolderCounts = showHeld(known)
	}
	return body
}

// showHeld shows the holders of a role that a conflict is about. It returns nil for any other error.
func showHeld(err *authz.Error) (*[]HeldRole, *map[string]int) {
	if err.HolderCounts == nil {
		return nil, nil
	}
	counts := make(map[string]int, len(err.HolderCounts))
	for typ, count := range err.HolderCounts {
		counts[string(typ)] = count
	}
	var failed error // an id that no reference can have is left out
	refer := referrer{&failed}
	held := make([]HeldRole, len(err.Holders))
	for i, h := range err.Holders {
		held[i] = HeldRole{Holder: refer.object(h.Holder.Object()), On: refer.object(h.On)}
	}
	if failed != nil {
		held = nil
	}
	return &held, &counts
}

// logFailure logs an error of the server itself, with the cause that no answer shows.
func (r *responder) logFailure(ctx context.Context, k *call, err error) {
	if code := codeOf(err); code != authz.CodeInternal && code != authz.CodeUnavailable {
		return
	}
	r.logger.LogAttrs(context.WithoutCancel(ctx), k.level(kinds[codeOf(err)].status), "request failed",
		slog.String("route", k.template()), slog.String("request_id", k.id), slog.Any("error", err))
}

// itemError converts the error of an item that could not be decided. It returns nil without an error.
func (r *responder) itemError(ctx context.Context, err error) *ItemError {
	if err == nil {
		return nil
	}
	return &ItemError{Code: Code(codeOf(err)), Detail: r.detailOf(ctx, err)}
}

func (r *responder) showSubject(ctx context.Context, found authz.FoundSubject) (FoundSubject, error) {
	subject, err := reference(found.Subject)
	if err != nil {
		return FoundSubject{}, err
	}
	shown := FoundSubject{
		Subject: subject, Allowed: found.Err == nil && found.Decision.Allowed(), MissingContext: missingContext(
			found.Decision,
		),
		Error: r.itemError(ctx, found.Err),
	}
	if len(found.Excluded) == 0 {
		return shown, nil
	}
	excluded := make(ExcludedSubjects, len(found.Excluded))
	for i, id := range found.Excluded {
		excluded[i], err = reference(authz.Subject{
			Object: authz.Object{Type: found.Subject.Type, ID: id}, Relation: found.Subject.Relation,
		})
		if err != nil {
			return FoundSubject{}, err
		}
	}
	shown.Excluded = &excluded
	return shown, nil
}
