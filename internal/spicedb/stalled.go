package spicedb

import (
	"context"
	"time"
)

// stalledAfter is how long a call may do nothing before it is given up. SpiceDB v1.56.0 waits for itself until the
// call ends where the parts of an exclusion lead in a circle to each other, and where one of several parts of an
// all() fails.
const stalledAfter = 10 * time.Second

// watchStall cancels the evaluation of a call, by the function that it is given, when nothing is counted, read or
// sent for a time. The function that it returns ends the watch, and reports whether it has canceled the
// evaluation.
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

// progress is a number that grows with everything that is counted.
func (w *work) progress() int64 {
	return w.done[countSteps].Load() + w.done[countQueries].Load() + w.done[countRows].Load()
}
