package authz

import (
	"context"
	"iter"
	"sync"
)

// Fresh wraps an engine so that callers read their own writes: a request with Default consistency sees at least every
// write that was made through the returned engine.
//
// A token covers the writes that finished before its write started. If writes overlap, no single token may cover all of
// them; on PostgreSQL it does not. After an overlap, reads are therefore fully consistent until one that started after
// the last overlapping write returns a token that covers them.
func Fresh(engine Engine) Engine { return &fresh{Engine: engine} }

type fresh struct {
	Engine

	mu      sync.Mutex
	writing int    // number of running writes
	overlap bool   // a running write overlaps another one, or has failed with an unknown result
	known   Token  // covers every finished write unless missing is set
	missing bool   // known does not cover every finished write
	epoch   uint64 // number of finished writes
}

func (f *fresh) Check(ctx context.Context, check Check, at Consistency) (Decision, Token, error) {
	at, epoch := f.resolve(at)
	decision, token, err := f.Engine.Check(ctx, check, at)
	f.observe(at, epoch, token, err)
	return decision, token, err
}

func (f *fresh) Explain(ctx context.Context, check Check, at Consistency) (Decision, *Trace, Token, error) {
	at, epoch := f.resolve(at)
	decision, trace, token, err := f.Engine.Explain(ctx, check, at)
	f.observe(at, epoch, token, err)
	return decision, trace, token, err
}

func (f *fresh) CheckBulk(ctx context.Context, checks []Check, at Consistency) ([]CheckResult, Token, error) {
	at, epoch := f.resolve(at)
	results, token, err := f.Engine.CheckBulk(ctx, checks, at)
	f.observe(at, epoch, token, err)
	return results, token, err
}

func (f *fresh) LookupResources(
	ctx context.Context, query ResourceQuery, at Consistency, page Page,
) iter.Seq2[FoundResource, error] {
	at, epoch := f.resolve(at)
	found := f.Engine.LookupResources(ctx, query, at, page)
	if page.Cursor != "" { // a cursor has its own revision
		return found
	}
	return observed(f, at, epoch, found, func(found FoundResource) Token { return found.Token })
}

func (f *fresh) LookupSubjects(ctx context.Context, query SubjectQuery, at Consistency) iter.Seq2[FoundSubject, error] {
	at, epoch := f.resolve(at)
	return observed(
		f, at, epoch, f.Engine.LookupSubjects(ctx, query, at), func(found FoundSubject) Token { return found.Token },
	)
}

func (f *fresh) Read(ctx context.Context, filter Filter, at Consistency, page Page) iter.Seq2[ReadItem, error] {
	at, epoch := f.resolve(at)
	items := f.Engine.Read(ctx, filter, at, page)
	if page.Cursor != "" { // a cursor has its own revision
		return items
	}
	return observed(f, at, epoch, items, func(item ReadItem) Token { return item.Token })
}

func (f *fresh) Write(ctx context.Context, write Write) (Token, error) {
	f.begin()
	token, err := f.Engine.Write(ctx, write)
	f.end(token, err)
	return token, err
}

func (f *fresh) DeleteAll(
	ctx context.Context, filter Filter, preconditions []Precondition, metadata map[string]any,
) (Token, error) {
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

// end records a finished write. The next read must be fully consistent if the write returned no token, overlapped
// another write, or failed and may still have been applied. Errors with CodeConflict or CodeInvalid mean that it was
// not applied.
func (f *fresh) end(token Token, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing--
	f.epoch++
	nothing := err != nil && (CodeOf(err) == CodeConflict || CodeOf(err) == CodeInvalid)
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

// resolve replaces Default by a consistency, and returns the number of finished writes.
func (f *fresh) resolve(at Consistency) (Consistency, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.Freshness == Default {
		switch {
		case f.missing:
			at = Fully()
		case f.known != "":
			at = AsFreshAs(f.known)
		default:
			at = Consistency{Freshness: MinimizeLatency}
		}
	}
	return at, f.epoch
}

// observed passes the token of the first item of a sequence to observe.
func observed[T any](
	f *fresh, at Consistency, epoch uint64, items iter.Seq2[T, error], token func(T) Token,
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

// observe stores the token of a fully consistent read that started after the last write finished.
func (f *fresh) observe(at Consistency, epoch uint64, token Token, err error) {
	if err != nil || token == "" || at.Freshness != FullyConsistent {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.missing && f.epoch == epoch {
		f.known, f.missing = token, false
	}
}
