package tests

import (
	"slices"
	"testing"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// suites are what holds whatever SpiceDB is behind the server.
var suites = []suite{
	{"role tables", roleTables},
	{"cases", cases},
	{"limited time", limitedTime},
	{"exactly once", exactlyOnce},
	{"invitations", invitations},
	{"history", history},
	{"events", events},
	{"past access", pastAccess},
}

// refusals are many questions and attempts that only the schema and the operations decide. They are put to the SpiceDB in the
// server's process; one in a container is the same program, and the suites above hold it to the same schema and operations.
var refusals = []suite{
	{"accounts apart", accountsApart},
	{"escalation", escalation},
	{"previews", previews},
}

// races are what holds when requests overlap. The memory datastore of SpiceDB v1.56.0 in a container does not stand that
// (see backend.serial); an embedded one is guarded, and PostgreSQL needs no guard.
var races = []suite{
	{"an id", raceOnAnID},
	{"deletion", raceWithDeletion},
	{"removal", nothingIsWrittenAfterRemoval},
	{"sharing and removal", raceOfSharingAndRemoval},
	{"roles", raceOfRoles},
	{"the last owner", raceOnTheLastOwner},
	{"transfers", raceOfTransfers},
	{"leaving", raceOfLeaving},
	{"erasing", raceOfErasing},
	{"repetitions", raceOfRepetitions},
	{"acceptances", raceOfAcceptances},
}

type suite struct {
	name string
	run  func(t *testing.T, on *backend)
}

// TestEmbedded runs all suites and the races before a SpiceDB in the server's own process.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	run(t, memory.get(t), slices.Concat(suites, refusals, races))
}

// TestSQLite runs all suites and the races before a SpiceDB in the server's own process that keeps everything on disk: what a
// server does that is told nothing else.
func TestSQLite(t *testing.T) {
	t.Parallel()
	config := configuration()
	config.Store = app.StoreConfig{Datastore: "sqlite", DataDir: t.TempDir()}
	server := start(t, config)
	on, err := connect(server.URL, server.GRPCAddress, server.GRPCKey)
	if err != nil {
		t.Fatal(err)
	}
	on.few = true
	run(t, on, slices.Concat(suites, refusals, races))
}

// TestPostgres runs the races before a SpiceDB that stores in PostgreSQL.
func TestPostgres(t *testing.T) {
	t.Parallel()
	config := configuration()
	config.Store = app.StoreConfig{Datastore: "postgres", DatastoreURI: enginetest.Postgres(t)}
	server := start(t, config)
	on, err := connect(server.URL, server.GRPCAddress, server.GRPCKey)
	if err != nil {
		t.Fatal(err)
	}
	on.few = true
	on.overlapping = true
	on.serial = true // PostgreSQL refuses much of what overlaps in a small database, and all of it is tried again
	run(t, on, races)
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
	on.remembers = true
	run(t, on, suites)
}

func run(t *testing.T, on *backend, suites []suite) {
	t.Helper()
	for _, suite := range suites {
		t.Run(suite.name, func(t *testing.T) {
			on.parallel(t)
			suite.run(t, on)
		})
	}
}
