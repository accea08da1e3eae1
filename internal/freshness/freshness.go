// Package freshness wraps an engine so that its callers read their own writes.
package freshness

import (
	"context"
	"iter"
	"sync"

	"github.com/sluice-authz/sluice/internal/authz"
)

// ReadYourWrites wraps an engine so that its callers read their own writes. A read with Default consistency includes
// every write that was made through the returned engine and has ended.
//
// The token of a write covers all writes that ended before this write started. If writes overlap, for example on
// PostgreSQL, there may be no token that covers all of them. So after overlapping writes, reads are fully consistent.
// When such a read, started after these writes have ended, returns a token, the next reads use this token.
func ReadYourWrites(engine authz.Engine) authz.Engine { return &fresh{Engine: engine} }

type fresh struct {
	authz.Engine

	mu      sync.Mutex
	writing int         // number of running writes
	overlap bool        // two writes have overlapped; reset when no write is running
	known   authz.Token // covers every finished write, if missing is false
	missing bool        // known does not cover every finished write
	epoch   uint64      // number of finished writes
}

func (f *fresh) Check(
	ctx context.Context, check authz.Check, at authz.Consistency,
) (authz.Decision, authz.Token, error) {
	at, epoch := f.resolve(at)
	decision, token, err := f.Engine.Check(ctx, check, at)
	f.observe(at, epoch, token, err)
	return decision, token, err
}

func (f *fresh) Explain(
	ctx context.Context, check authz.Check, at authz.Consistency,
) (authz.Decision, *authz.Trace, authz.Token, error) {
	at, epoch := f.resolve(at)
	decision, trace, token, err := f.Engine.Explain(ctx, check, at)
	f.observe(at, epoch, token, err)
	return decision, trace, token, err
}

func (f *fresh) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	at, epoch := f.resolve(at)
	results, token, err := f.Engine.CheckBulk(ctx, checks, at)
	f.observe(at, epoch, token, err)
	return results, token, err
}

func (f *fresh) LookupResources(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.FoundResource, error] {
	at, epoch := f.resolve(at)
	found := f.Engine.LookupResources(ctx, query, at, page)
	if page.Cursor != "" { // a cursor contains its revision
		return found
	}
	return observed(f, at, epoch, found, func(found authz.FoundResource) authz.Token { return found.Token })
}

func (f *fresh) LookupSubjects(
	ctx context.Context, query authz.SubjectQuery, at authz.Consistency,
) iter.Seq2[authz.FoundSubject, error] {
	at, epoch := f.resolve(at)
	return observed(
		f, at, epoch, f.Engine.LookupSubjects(ctx, query, at),
		func(found authz.FoundSubject) authz.Token { return found.Token },
	)
}

func (f *fresh) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	at, epoch := f.resolve(at)
	items := f.Engine.Read(ctx, filter, at, page)
	if page.Cursor != "" { // a cursor contains its revision
		return items
	}
	return observed(f, at, epoch, items, func(item authz.ReadItem) authz.Token { return item.Token })
}

func (f *fresh) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	f.begin()
	token, err := f.Engine.Write(ctx, write)
	f.end(token, err)
	return token, err
}

func (f *fresh) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
) (authz.Token, error) {
	f.begin()
	token, err := f.Engine.DeleteAll(ctx, filter, preconditions, metadata)
	f.end(token, err)
	return token, err
}

func (f *fresh) ApplySchema(ctx context.Context, schema string) error {
	f.begin()
	err := f.Engine.ApplySchema(ctx, schema)
	f.end("", err)
	return err
}

func (f *fresh) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing++
	if f.writing > 1 {
		f.overlap = true
	}
}

// end records that a write has ended. The next read must be fully consistent if the write returned no token,
// overlapped another write, or failed with an error after which the store may still have applied it. CodeConflict and
// CodeInvalid are not such errors: the store then has not applied the write.
func (f *fresh) end(token authz.Token, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing--
	f.epoch++
	nothing := err != nil && (authz.CodeOf(err) == authz.CodeConflict || authz.CodeOf(err) == authz.CodeInvalid)
	switch {
	case nothing && !f.overlap:
	case err != nil || token == "" || f.overlap:
		f.missing = true
	default:
		f.known, f.missing = token, false
	}
	if f.writing == 0 {
		f.overlap = false
	}
}

// resolve replaces Default by the consistency with which the engine must read. It also returns the number of finished
// writes.
func (f *fresh) resolve(at authz.Consistency) (authz.Consistency, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.Freshness == authz.Default {
		switch {
		case f.missing:
			at = authz.Fully()
		case f.known != "":
			at = authz.AsFreshAs(f.known)
		default:
			at = authz.Consistency{Freshness: authz.MinimizeLatency}
		}
	}
	return at, f.epoch
}

// observed returns the sequence, and calls observe with the token of its first item.
func observed[T any](
	f *fresh, at authz.Consistency, epoch uint64, items iter.Seq2[T, error], token func(T) authz.Token,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		seen := false
		for item, err := range items {
			if !seen {
				seen = true
				f.observe(at, epoch, token(item), err)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// observe stores the token of a fully consistent read, if no write has ended since the read started.
func (f *fresh) observe(at authz.Consistency, epoch uint64, token authz.Token, err error) {
	if err != nil || token == "" || at.Freshness != authz.FullyConsistent {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.missing && f.epoch == epoch {
		f.known, f.missing = token, false
	}
}
