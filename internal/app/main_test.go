package app_test

import (
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain holds that a closed server leaves no goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if err := goleak.Find(
			goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"), // started by an import of SpiceDB's
		); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}
