package tests

import (
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/testsize"
)

// suites lists the tests that can run on every kind of SpiceDB.
var suites = []suite{
	{"role tables", roleTables},
	{"cases", cases},
	{"accounts apart", accountsApart},
	{"escalation", escalation},
	{"limited time", limitedTime},
	{"exactly once", exactlyOnce},
	{"invitations", invitations},
	{"history", history},
	{"history of reused ids", historyOfReusedIDs},
	{"events", events},
	{"past access", pastAccess},
	{"previews", previews},
	{"relationships", writesOfRelationships},
}

// remote lists the suites that `make test` runs with a SpiceDB in a container. There, only one request runs at a
// time, and each makes several calls over the network. `make test-long` runs all suites there.
var remote = []suite{
	{"role tables", roleTables},
	{"cases", cases},
	{"history", history},
	{"events", events},
	{"past access", pastAccess},
	{"relationships", writesOfRelationships},
}

// durable lists the suites that depend on the datastore.
var durable = []suite{
	{"role tables", roleTables},
	{"limited time", limitedTime},
	{"history", history},
	{"history of reused ids", historyOfReusedIDs},
	{"relationships", writesOfRelationships},
}

// races lists the tests with concurrent requests. They do not run in a container, because the memory datastore of
// SpiceDB v1.56.0 fails them (see backend.serial). Sluice's embedded SpiceDB prevents the error, and PostgreSQL does
// not have it.
var races = []suite{
	{"an id", raceOnAnID},
	{"deletion", raceWithDeletion},
	{"removal", nothingIsWrittenAfterRemoval},
	{"groups", raceOfGroups},
	{"sharing and removal", raceOfSharingAndRemoval},
	{"roles", raceOfRoles},
	{"the last owner", raceOnTheLastOwner},
	{"transfers", raceOfTransfers},
	{"replacements of an owner", raceOfReplacements},
	{"leaving", raceOfLeaving},
	{"erasing", raceOfErasing},
	{"repetitions", raceOfRepetitions},
	{"acceptances", raceOfAcceptances},
	{"weak grants", raceOfWeakGrants},
	{"relationships", raceOfRelationships},
}

type suite struct {
	name string
	run  func(t *testing.T, on *backend)
}

// TestEmbedded runs the suites with an embedded SpiceDB. The in-memory replica makes the decisions, and Sluice
// compares some of them with SpiceDB.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	on := memory.get(t)
	t.Run("replica", func(t *testing.T) { run(t, on, suites) })
	answersAsSpiceDB(t, on)
}

// TestEmbeddedRaces runs the races on the server of TestEmbedded. `make race` runs it under the race detector.
func TestEmbeddedRaces(t *testing.T) {
	t.Parallel()
	run(t, memory.get(t), races)
}

// answersAsSpiceDB checks the metrics of a server. The in-memory replica must have made decisions. Sluice must have
// compared some of them with SpiceDB, and none may differ.
func answersAsSpiceDB(t *testing.T, on *backend) {
	t.Helper()
	metrics := newCaller(t, on.url).call(http.MethodGet, "/metrics", nil).body
	value := func(name string) string {
		found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(metrics)
		if found == nil {
			t.Fatalf("there is no metric %s", name)
		}
		return string(found[1])
	}
	if answers := value(`sluice_replica_answers_total{method="Check",reason="",source="replica"}`); answers == "0" {
		t.Error("the in-memory replica has made no decision")
	}
	if verified, differences := value("sluice_replica_verifications_total"), value(
		"sluice_replica_differences_total",
	); verified == "0" || differences != "0" {
		t.Errorf("of %s decisions that were compared with SpiceDB, %s differed", verified, differences)
	}
}

// TestSQLite runs the durable suites and the races with an embedded SpiceDB that stores its data in SQLite, as a
// server does by default.
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
	run(t, on, slices.Concat(durable, races))
}

// TestPostgres runs the races with a SpiceDB on PostgreSQL. The in-memory replica is off, so SpiceDB makes every
// decision.
func TestPostgres(t *testing.T) {
	t.Parallel()
	config := configuration()
	config.Store = app.StoreConfig{Datastore: "postgres", DatastoreURI: enginetest.Postgres(t)}
	config.Replica.Mode = app.Off
	server := start(t, config)
	on, err := connect(server.URL, server.GRPCAddress, server.GRPCKey)
	if err != nil {
		t.Fatal(err)
	}
	on.few = true
	on.overlapping = true
	on.serial = true // concurrent writes to a small database often fail on PostgreSQL, and must be retried
	run(t, on, races)
}

// TestContainer runs the remote suites with a SpiceDB in a container. The in-memory replica is off, so SpiceDB makes
// every decision.
func TestContainer(t *testing.T) {
	t.Parallel()
	spicedb := enginetest.Container(t)
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: spicedb.Endpoint, Token: spicedb.Token, Insecure: true}
	config.Replica.Mode = app.Off
	server := start(t, config)
	on, err := connect(server.URL, spicedb.Endpoint, spicedb.Token)
	if err != nil {
		t.Fatal(err)
	}
	on.few = true
	on.serial = true
	on.remembers = true
	run(t, on, testsize.Of(remote, suites))
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
