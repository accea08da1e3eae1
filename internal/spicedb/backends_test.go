package spicedb_test

import (
	"os"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// backends open each kind of SpiceDB that the package supports, with an empty store.
var backends = map[string]func(t *testing.T) *spicedb.Client{
	"memory": func(t *testing.T) *spicedb.Client {
		return embedded(t, spicedb.EmbeddedConfig{}).Client
	},
	"sqlite": func(t *testing.T) *spicedb.Client {
		return embedded(t, spicedb.EmbeddedConfig{Datastore: spicedb.SQLite, DataDir: t.TempDir()}).Client
	},
	"postgres": func(t *testing.T) *spicedb.Client {
		return embedded(t, spicedb.EmbeddedConfig{Datastore: spicedb.Postgres, URI: enginetest.Postgres(t)}).Client
	},
	"container": func(t *testing.T) *spicedb.Client {
		server := enginetest.Container(t)
		return remote(t, spicedb.RemoteConfig{Endpoint: server.Endpoint, Token: server.Token, Insecure: true})
	},
}

func TestMain(m *testing.M) { os.Exit(enginetest.Main{M: m}.Run()) }

func embedded(t *testing.T, config spicedb.EmbeddedConfig) *spicedb.EmbeddedEngine {
	t.Helper()
	engine, err := spicedb.Embedded(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return engine
}

func remote(t *testing.T, config spicedb.RemoteConfig) *spicedb.Client {
	t.Helper()
	engine, err := spicedb.Remote(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return engine
}

func TestEngine(t *testing.T) {
	for name, open := range backends {
		t.Run(name, func(t *testing.T) {
			engine := open(t)
			var options []enginetest.Option
			if name == "container" {
				options = append(
					options, enginetest.OverlapUnseen("SpiceDB's own in-memory datastore can miss overlapping writes"),
				)
			}
			enginetest.Run(t, func(*testing.T) authz.Engine { return engine }, options...)
			t.Run("watch", func(t *testing.T) { testWatch(t, engine) })
			t.Run("caveats", func(t *testing.T) { testCaveats(t, engine) })
		})
	}
}

// testWatch checks that Watch delivers written relationships, together with the metadata of the write.
func testWatch(t *testing.T, engine *spicedb.Client) {
	alice := authz.Subject{Object: authz.Object{Type: "user", ID: "alice@example.com"}}
	viewer := authz.Relationship{
		Resource: authz.Object{Type: "document", ID: "watched"}, Relation: "viewer", Subject: alice,
	}
	before, err := engine.Write(
		t.Context(),
		authz.Write{Updates: []authz.Update{{Action: authz.Touch, Relationship: authz.Relationship{
			Resource: authz.Object{Type: "document", ID: "before"}, Relation: "viewer", Subject: alice,
		}}}},
	)
	require.NoError(t, err)
	stream, err := v1.NewWatchServiceClient(engine.Conn()).Watch(
		t.Context(), &v1.WatchRequest{OptionalStartCursor: &v1.ZedToken{Token: string(before)}},
	)
	require.NoError(t, err)

	_, err = engine.Write(t.Context(), authz.Write{
		Updates:  []authz.Update{{Action: authz.Create, Relationship: viewer}},
		Metadata: map[string]any{"actor": "alice", "operation": "share"},
	})
	require.NoError(t, err)
	_, err = engine.DeleteAll(t.Context(), authz.Exactly(viewer), nil, map[string]any{"operation": "unshare"})
	require.NoError(t, err)

	for _, want := range []struct {
		operation v1.RelationshipUpdate_Operation
		metadata  string
	}{
		{v1.RelationshipUpdate_OPERATION_TOUCH, "share"},
		{v1.RelationshipUpdate_OPERATION_DELETE, "unshare"},
	} {
		event, err := stream.Recv()
		for err == nil && len(event.GetUpdates()) == 0 {
			event, err = stream.Recv()
		}
		require.NoError(t, err)
		require.Len(t, event.GetUpdates(), 1)
		require.Equal(t, want.operation, event.GetUpdates()[0].GetOperation())
		require.Equal(t, "watched", event.GetUpdates()[0].GetRelationship().GetResource().GetObjectId())
		require.Equal(
			t, authz.EncodeID("alice@example.com"),
			event.GetUpdates()[0].GetRelationship().GetSubject().GetObject().GetObjectId(),
		)
		require.Equal(t, want.metadata, event.GetOptionalTransactionMetadata().GetFields()["operation"].GetStringValue())

		// A read with the token that Watch reports for a write sees that write.
		at := authz.AtSnapshot(authz.Token(event.GetChangesThrough().GetToken()))
		decision, _, err := engine.Check(
			t.Context(), authz.Check{Subject: alice, Permission: "view", Resource: viewer.Resource}, at,
		)
		require.NoError(t, err)
		require.Equal(t, want.metadata == "share", decision.Allowed())
	}
}

// testCaveats checks decisions on relationships with a caveat that another tool wrote.
func testCaveats(t *testing.T, engine *spicedb.Client) {
	allowed, err := structpb.NewStruct(map[string]any{"allowed": "monday"})
	require.NoError(t, err)
	_, err = v1.NewPermissionsServiceClient(engine.Conn()).WriteRelationships(t.Context(), &v1.WriteRelationshipsRequest{
		Updates: []*v1.RelationshipUpdate{{Operation: v1.RelationshipUpdate_OPERATION_TOUCH, Relationship: &v1.Relationship{
			Resource: &v1.ObjectReference{ObjectType: "document", ObjectId: "caveated"}, Relation: "viewer",
			Subject:        &v1.SubjectReference{Object: &v1.ObjectReference{ObjectType: "user", ObjectId: "weekly"}},
			OptionalCaveat: &v1.ContextualizedCaveat{CaveatName: "on_day", Context: allowed},
		}}},
	})
	require.NoError(t, err)

	check := authz.Check{
		Subject:    authz.Subject{Object: authz.Object{Type: "user", ID: "weekly"}},
		Permission: "view", Resource: authz.Object{Type: "document", ID: "caveated"},
	}
	conditional := authz.Decision{State: authz.Conditional, MissingContext: []string{"today"}}
	want := map[string]authz.Decision{"": conditional, "monday": {State: authz.Allowed}, "sunday": {State: authz.Denied}}
	var checks []authz.Check
	for today, decision := range want {
		check.Context = nil
		if today != "" {
			check.Context = map[string]any{"today": today}
		}
		checks = append(checks, check)
		got, _, err := engine.Check(t.Context(), check, authz.Fully())
		require.NoError(t, err)
		require.Equal(t, decision, got, today)
	}
	results, _, err := engine.CheckBulk(t.Context(), checks, authz.Fully())
	require.NoError(t, err)
	for i, result := range results {
		require.NoError(t, result.Err)
		today, _ := checks[i].Context["today"].(string)
		require.Equal(t, want[today], result.Decision)
	}

	for found, err := range engine.LookupResources(
		t.Context(), authz.ResourceQuery{Subject: check.Subject, Permission: "viewer", Type: "document"}, authz.Fully(),
		authz.Page{},
	) {
		require.NoError(t, err)
		if found.ID == "caveated" {
			require.Equal(t, conditional, found.Decision)
		} else {
			require.Equal(t, authz.Allowed, found.Decision.State) // the wildcard allows every user
		}
	}
	for found, err := range engine.LookupSubjects(
		t.Context(), authz.SubjectQuery{Resource: check.Resource, Permission: "view", Type: "user"}, authz.Fully(),
	) {
		require.NoError(t, err)
		require.Equal(t, check.Subject, found.Subject)
		require.Equal(t, conditional, found.Decision)
	}

	check.Context = map[string]any{"today": 5.0}
	_, _, err = engine.Check(t.Context(), check, authz.Fully())
	require.ErrorIs(t, err, authz.CodeInvalid)
}
