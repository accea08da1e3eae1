// Package tests tests Sluice from outside: over HTTP, and over SpiceDB's API as an engineer uses it with zed. It
// validates every answer to an HTTP request against the contract, the OpenAPI document.
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

	"github.com/sluice-authz/sluice/internal/enginetest"
)

// closing lists functions that stop the servers which several tests share. They run after all tests.
var closing struct {
	sync.Mutex
	steps []func(context.Context) error
}

// atEnd registers a function that runs after all tests. The functions run in reverse order.
func atEnd(f func(context.Context) error) {
	closing.Lock()
	defer closing.Unlock()
	closing.steps = append(closing.steps, f)
}

func TestMain(m *testing.M) {
	code := enginetest.Main{M: m}.Run()
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

// foreignGoroutines are goroutines that libraries start once per process and never stop.
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
