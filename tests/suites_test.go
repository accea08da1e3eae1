package tests

import (
	"testing"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// suites are what holds whatever SpiceDB is behind the server.
var suites = []suite{
	{"role tables", roleTables},
	{"cases", cases},
	{"accounts apart", accountsApart},
}

type suite struct {
	name string
	run  func(t *testing.T, on *backend)
}

// TestEmbedded runs the suites before a SpiceDB in the server's own process.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	runSuites(t, memory.get(t))
	t.Run("escalation", func(t *testing.T) {
		t.Parallel()
		escalation(t, memory.get(t))
	})
}

// TestContainer runs the suites before a SpiceDB in a container.
func TestContainer(t *testing.T) {
	t.Parallel()
	spicedb := enginetest.Container(t)
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: spicedb.Endpoint, Token: spicedb.Token, Insecure: true}
	server := start(t, config)
	on, err := connect(server.URL, spicedb.Endpoint, spicedb.Token)
	if err != nil {
		t.Fatal(err)
	}
	on.serial = true
	runSuites(t, on)
}

func runSuites(t *testing.T, on *backend) {
	for _, suite := range suites {
		t.Run(suite.name, func(t *testing.T) {
			on.parallel(t)
			suite.run(t, on)
		})
	}
}
