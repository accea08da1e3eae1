package replica_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestRepeatedPathsEnd asks the in-memory replica about folders with 2^20 paths, about a circle of folders, and about a
// thousand teams that share a large team. The answers must need a limited amount of memory, and no goroutine may
// outlive its request.
func TestRepeatedPathsEnd(t *testing.T) {
	var told answers
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), `definition user {}
definition team {
	relation member: user | team#member
}
definition folder {
	relation parent: folder
	relation viewer: user | team#member
	relation editor: user
	permission view = viewer + parent->view
	permission edit = editor & view
}`))
	var rows []authz.Relationship
	add := func(resource, relation, subject, of string) {
		object := func(id string) authz.Object { o, err := authz.ParseObject(id); require.NoError(t, err); return o }
		rows = append(rows, authz.Relationship{
			Resource: object(resource), Relation: authz.Relation(relation), Subject: authz.Subject{
				Object: object(subject), Relation: authz.Relation(of),
			},
		})
	}
	for level := range 20 {
		for _, from := range []string{"a", "b"} {
			for _, to := range []string{"a", "b"} {
				add(fmt.Sprint("folder:", from, level), "parent", fmt.Sprint("folder:", to, level+1), "")
			}
		}
	}
	add("folder:a20", "viewer", "user:alice", "")
	add("folder:a0", "editor", "user:alice", "")
	add("folder:round", "parent", "folder:round", "")
	add("folder:round", "parent", "folder:a0", "")
	for i := range 1000 {
		add("folder:shared", "viewer", fmt.Sprint("team:t", i), "member")
		add(fmt.Sprint("team:t", i), "member", "team:huge", "member")
	}
	for i := range 300 {
		add("team:huge", "member", fmt.Sprint("user:u", i), "")
	}
	r := followed(t, engine.Client, engine.Client, replica.Options{Observe: told.observe})
	var token authz.Token
	for len(rows) > 0 {
		n := min(len(rows), authz.MaxUpdates)
		token = write(t, engine, authz.Touch, rows[:n]...)
		rows = rows[n:]
	}
	reached(t, r, token)
	alice := authz.Subject{Object: authz.Object{Type: "user", ID: "alice"}}
	at := authz.AsFreshAs(token)
	questions := map[string]func(ctx context.Context, id authz.ID, permission authz.Permission) error{
		"check": func(ctx context.Context, id authz.ID, permission authz.Permission) error {
			_, _, err := r.Check(
				ctx, authz.Check{Subject: alice, Permission: permission, Resource: authz.Object{Type: "folder", ID: id}}, at,
			)
			return err
		},
		"resources": func(ctx context.Context, _ authz.ID, permission authz.Permission) (last error) {
			for _, err := range r.LookupResources(
				ctx, authz.ResourceQuery{Subject: alice, Permission: permission, Type: "folder"}, at, authz.Page{},
			) {
				last = err
			}
			return last
		},
		"subjects": func(ctx context.Context, id authz.ID, permission authz.Permission) (last error) {
			query := authz.SubjectQuery{Resource: authz.Object{Type: "folder", ID: id}, Permission: permission, Type: "user"}
			for _, err := range r.LookupSubjects(ctx, query, at) {
				last = err
			}
			return last
		},
	}
	for _, permission := range []authz.Permission{"view", "edit"} {
		for _, id := range []authz.ID{"a0", "round", "shared"} {
			for kind, ask := range questions {
				before := told.of(replica.FromReplica)
				if err := ask(t.Context(), id, permission); err != nil {
					require.ErrorIs(t, err, authz.CodeTooLarge, "%s of %s", kind, id)
				}
				if id != "shared" { // a check of shared reads too much for the replica
					require.Greater(t, told.of(replica.FromReplica), before, "%s of %s: the replica visits each object once", kind, id)
				}
			}
			// The test limits live memory, so garbage must not count.
			runtime.GC()
			var memory runtime.MemStats
			runtime.ReadMemStats(&memory)
			require.Less(t, memory.HeapAlloc, uint64(1<<30), id)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	require.Error(t, questions["subjects"](ended, "shared", "view"), "an answer must end with its request")
}
