// Package tests holds Sluice to its promises from outside: over HTTP, and where an engineer would look with zed, over
// SpiceDB's API. Every answer is held against the contract.
package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// closing is what the whole run shares, and has to be closed at its end.
var closing struct {
	sync.Mutex
	steps []func(context.Context) error
}

// atEnd has f called after all tests, the last one first.
func atEnd(f func(context.Context) error) {
	closing.Lock()
	defer closing.Unlock()
	closing.steps = append(closing.steps, f)
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := closeAll(); err != nil {
		fmt.Fprintln(os.Stderr, "closing what the tests shared:", err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(foreignGoroutines...); err != nil {
			fmt.Fprintln(os.Stderr, "after everything was closed:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// foreignGoroutines are those that libraries start once in a process and never end.
var foreignGoroutines = []goleak.Option{
	goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
}

func closeAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var errs []error
	for _, step := range slices.Backward(closing.steps) {
		errs = append(errs, step(ctx))
	}
	wire.CloseIdleConnections()
	return errors.Join(errs...)
}
