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
	context.Context // of the request

	deadline time.Time
	ended    atomic.Bool // set by cancel

	mu     sync.Mutex
	armed  atomic.Pointer[context.Context] // context with the timer, after Done was called
	disarm context.CancelFunc
}

// withLimit returns a context that ends after the timeout or when it is canceled. Canceling releases its timer.
func withLimit(parent context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	l := &lazyTimeout{Context: parent, deadline: time.Now().Add(timeout)}
	return l, l.cancel
}

func (l *lazyTimeout) cancel() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended.Store(true)
	if l.disarm != nil {
		l.disarm()
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
func (l *lazyTimeout) Err() error {
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

// Value implements context.Context. A context derived from this one calls it to find the parent to follow.
func (l *lazyTimeout) Value(key any) any {
	if armed := l.armed.Load(); armed != nil {
		return (*armed).Value(key)
	}
	return l.Context.Value(key)
}
