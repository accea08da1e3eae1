package httpapi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// limit is context.WithDeadline, without the timer until somebody waits for it: a request that is answered from memory
// needs none.
type limit struct {
	context.Context // that of the request

	deadline time.Time
	ended    atomic.Bool // by cancel

	mu     sync.Mutex
	armed  atomic.Pointer[context.Context] // what ends at the deadline, since somebody waited for it
	disarm context.CancelFunc
}

// withLimit returns a context that ends after a time, or when it is canceled. Canceling it frees what it holds.
func withLimit(parent context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	l := &limit{Context: parent, deadline: time.Now().Add(timeout)}
	return l, l.cancel
}

func (l *limit) cancel() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended.Store(true)
	if l.disarm != nil {
		l.disarm()
	}
}

// Deadline implements context.Context.
func (l *limit) Deadline() (time.Time, bool) {
	if earlier, ok := l.Context.Deadline(); ok && earlier.Before(l.deadline) {
		return earlier, true
	}
	return l.deadline, true
}

// Done implements context.Context.
func (l *limit) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	armed := l.armed.Load()
	if armed == nil {
		var ctx context.Context
		ctx, l.disarm = context.WithDeadline(l.Context, l.deadline)
		armed = &ctx
		l.armed.Store(armed)
		if l.ended.Load() {
			l.disarm()
		}
	}
	return (*armed).Done()
}

// Err implements context.Context.
func (l *limit) Err() error {
	armed := l.armed.Load()
	switch {
	case armed != nil:
		return (*armed).Err()
	case l.Context.Err() != nil:
		return l.Context.Err()
	case l.ended.Load():
		return context.Canceled
	case !time.Now().Before(l.deadline):
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Value implements context.Context. Package context finds by it what a context that is derived from this one hangs on.
func (l *limit) Value(key any) any {
	if armed := l.armed.Load(); armed != nil {
		return (*armed).Value(key)
	}
	return l.Context.Value(key)
}
