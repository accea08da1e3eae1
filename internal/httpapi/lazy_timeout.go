package httpapi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// lazyTimeout is context.WithDeadline without a timer until Done is called. Requests that are answered from memory
// never need the timer.
type lazyTimeout struct {
	context.Context // the context of the request

	deadline   time.Time
	isCanceled atomic.Bool // the method cancel sets it

	mu        sync.Mutex
	timed     atomic.Pointer[context.Context] // context with the timer, after Done was called
	stopTimer context.CancelFunc
}

// withLimit returns a context that ends after the timeout or when it is canceled. Canceling releases its timer.
func withLimit(parent context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	l := &lazyTimeout{Context: parent, deadline: time.Now().Add(timeout)}
	return l, l.cancel
}

func (l *lazyTimeout) cancel() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCanceled.Store(true)
	if l.stopTimer != nil {
		l.stopTimer()
	}
}

// Deadline implements context.Context.
func (l *lazyTimeout) Deadline() (time.Time, bool) {
	if earlier, ok := l.Context.Deadline(); ok && earlier.Before(l.deadline) {
		return earlier, true
	}
	return l.deadline, true
}

// Done implements context.Context.
func (l *lazyTimeout) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	timed := l.timed.Load()
	if timed == nil {
		var ctx context.Context
		ctx, l.stopTimer = context.WithDeadline(l.Context, l.deadline)
		timed = &ctx
		l.timed.Store(timed)
		if l.isCanceled.Load() {
			l.stopTimer()
		}
	}
	return (*timed).Done()
}

// Err implements context.Context.
func (l *lazyTimeout) Err() error {
	timed := l.timed.Load()
	switch {
	case timed != nil:
		return (*timed).Err()
	case l.Context.Err() != nil:
		return l.Context.Err()
	case l.isCanceled.Load():
		return context.Canceled
	case !time.Now().Before(l.deadline):
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Value implements context.Context. A context derived from this one calls it to find the parent to follow.
func (l *lazyTimeout) Value(key any) any {
	if timed := l.timed.Load(); timed != nil {
		return (*timed).Value(key)
	}
	return l.Context.Value(key)
}
