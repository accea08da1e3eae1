package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCloseEndsThoughPartGoesOn holds that a server ends soon after its drain time-out, also if one of its parts does
// not.
func TestCloseEndsThoughPartGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &Server{}
		s.onClose(func(context.Context) error { <-release; return nil })
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorContains(t, s.Close(ctx), "goes on")
		require.Equal(t, time.Minute+closeGrace, time.Since(start)) // of a clock that waits for nothing
		close(release)
	})
}
