package spicedb

import (
	"context"
	"time"
)

// stalledAfter is how long a call may make no progress before it is canceled. In two cases, SpiceDB v1.56.0 waits for
// itself until the call ends: if the parts of an exclusion form a cycle, and if one of several parts of an all() fails.
const stalledAfter = 10 * time.Second

// watchStall calls cancel if the call makes no progress for the time after: it takes no step, reads nothing and sends
// nothing. The returned function stops the watch, and reports whether watchStall has canceled the call.
func (b *bounded) watchStall(after time.Duration, cancel context.CancelFunc) (ended func() bool) {
	done := make(chan struct{})
	stalled := make(chan bool, 1)
	go func() {
		ticker := time.NewTicker(after)
		defer ticker.Stop()
		for last := int64(-1); ; {
			select {
			case <-done:
				stalled <- false
				return
			case <-ticker.C:
			}
			if n := b.call.progress(); n != last || b.waiting.Load() > 0 {
				last = n
				continue
			}
			cancel()
			stalled <- true
			return
		}
	}()
	return func() bool {
		close(done)
		return <-stalled
	}
}

// progress returns a number that grows with each unit of work.
func (w *work) progress() int64 {
	return w.done[countSteps].Load() + w.done[countQueries].Load() + w.done[countRows].Load()
}
