package client_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-authz/sluice/client/sluicetest"
)

// shared is the server of all tests. Each test uses its own ids.
var shared *sluicetest.Server

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	server, err := sluicetest.New(context.Background(),
		sluicetest.WithKey("checks:check:only-checks"), sluicetest.WithKey("inspects:inspect:only-inspects"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = server
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code != 0 {
		return code
	}
	if err := goleak.Find(
		// SpiceDB imports go.opencensus.io, which starts this goroutine
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
	); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
