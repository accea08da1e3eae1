package app

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestReadinessIsAskedOncePerSecond checks three things: simultaneous calls ask once, results are used for the intended
// time, and a draining server is immediately not ready.
func TestReadinessIsAskedOncePerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		failure := errors.New("SpiceDB is down")
		s := &Server{ready: newReadiness(func(context.Context) error {
			asked++
			time.Sleep(10 * time.Millisecond)
			return failure
		}).get}
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() { require.ErrorIs(t, s.Ready(t.Context()), failure) })
		}
		calls.Wait()
		require.Equal(t, 1, asked)
		failure = nil
		time.Sleep(maxFailureAge)
		require.NoError(t, s.Ready(t.Context()))
		require.Equal(t, 2, asked)
		time.Sleep(maxReadyAge - time.Millisecond)
		require.NoError(t, s.Ready(t.Context()))
		require.Equal(t, 2, asked)
		time.Sleep(time.Millisecond)
		require.NoError(t, s.Ready(t.Context()))
		require.Equal(t, 3, asked)
		s.Drain()
		require.ErrorIs(t, s.Ready(t.Context()), authz.CodeUnavailable)
		require.Equal(t, 3, asked)
	})
}
