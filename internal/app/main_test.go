package app_test

import (
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-authz/sluice/internal/enginetest"
)

// TestMain checks that closed servers leave no goroutine behind.
func TestMain(m *testing.M) {
	code := enginetest.Main{M: m}.Run()
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if err := goleak.Find(
			// SpiceDB imports go.opencensus.io, which starts this goroutine
			goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}
