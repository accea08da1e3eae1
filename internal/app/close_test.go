package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCloseReturnsIfPartDoesNotEnd checks that Close returns soon after the drain time-out even if a part of the server
// does not end.
func TestCloseReturnsIfPartDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &Server{}
		s.onClose(func(context.Context) error { <-release; return nil })
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorContains(t, s.Close(ctx), "still runs")
		require.Equal(t, time.Minute+closeGrace, time.Since(start)) // the fake clock of synctest
		close(release)
	})
}
