package httpapi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestLazyTimeoutBehavesLikeWithTimeout compares the lazy timeout with context.WithTimeout, with and without a caller
// that waits for Done.
func TestLazyTimeoutBehavesLikeWithTimeout(t *testing.T) {
	type key struct{}
	for name, with := range map[string]func(context.Context, time.Duration) (context.Context, context.CancelFunc){
		"limit": withLimit, "context.WithTimeout": context.WithTimeout,
	} {
		for _, waits := range []bool{false, true} {
			begin := func(t *testing.T, parent context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
				t.Helper()
				ctx, cancel := with(context.WithValue(parent, key{}, "value"), timeout)
				if waits {
					_ = ctx.Done()
				}
				if value, _ := ctx.Value(key{}).(string); value != "value" || ctx.Err() != nil {
					t.Errorf("%s: %q, %v", name, value, ctx.Err())
				}
				return ctx, cancel
			}
			ends := func(t *testing.T, ctx context.Context, want error) {
				t.Helper()
				derived, cancel := context.WithCancel(ctx)
				defer cancel()
				for _, one := range []context.Context{ctx, derived} {
					if err := one.Err(); !errors.Is(err, want) {
						t.Errorf("%s: %v, want %v", name, err, want)
					}
					select {
					case <-one.Done():
					default:
						t.Errorf("%s is not done", name)
					}
				}
			}
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := begin(t, t.Context(), time.Minute)
				defer cancel()
				derived, stop := context.WithCancel(ctx)
				defer stop()
				if at, ok := derived.Deadline(); !ok || time.Until(at) != time.Minute {
					t.Errorf("%s ends at %v", name, at)
				}
				time.Sleep(time.Minute + 1)
				synctest.Wait()
				ends(t, ctx, context.DeadlineExceeded)
				ends(t, derived, context.DeadlineExceeded)
			})
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := begin(t, t.Context(), time.Minute)
				cancel()
				ends(t, ctx, context.Canceled)
				parent, end := context.WithCancel(t.Context())
				ctx, cancel = begin(t, parent, time.Minute)
				defer cancel()
				end()
				synctest.Wait()
				ends(t, ctx, context.Canceled)
				short, cut := context.WithTimeout(t.Context(), time.Second)
				defer cut()
				ctx, cancel = begin(t, short, time.Minute)
				defer cancel()
				if at, _ := ctx.Deadline(); time.Until(at) != time.Second {
					t.Errorf("%s ends at %v", name, at)
				}
				time.Sleep(time.Second + 1)
				synctest.Wait()
				ends(t, ctx, context.DeadlineExceeded)
			})
		}
	}
}
