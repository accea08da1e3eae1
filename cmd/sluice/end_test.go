package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestProcessEndsAfterSignal checks that the process is ended a fixed time after the signal, unless it has stopped
// before that.
func TestProcessEndsAfterSignal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signal, stops time.Duration // times after the start; zero: there is no signal, or no stop
		want          time.Duration // time after the start; zero: the process is not ended
	}{
		"goes on after the signal":       {signal: time.Hour, want: time.Hour + time.Minute},
		"stops after the signal":         {signal: time.Hour, stops: time.Hour + 59*time.Second},
		"stops after the end":            {signal: time.Hour, stops: 2 * time.Hour, want: time.Hour + time.Minute},
		"stops without a signal":         {stops: time.Second},
		"stops, then there is a signal":  {signal: time.Hour, stops: time.Minute},
		"signal as soon as it has begun": {signal: time.Nanosecond, want: time.Minute + time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now() // the fake clock of synctest
				var ended time.Duration
				ctx, signal := context.WithCancel(t.Context())
				defer signal()
				stop := endAfter(ctx, time.Minute, func() { ended = time.Since(start) })
				defer stop()
				if c.signal > 0 {
					time.AfterFunc(c.signal, signal)
				}
				if c.stops > 0 {
					time.AfterFunc(c.stops, stop)
				}
				time.Sleep(3 * time.Hour)
				synctest.Wait()
				require.Equal(t, c.want, ended)
			})
		})
	}
}
