package spicedb_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

const endlessSchema = `definition user {}

definition doc {
	relation allowed: user | doc#viewer
	relation direct: user | doc#allowed
	relation parent: doc
	relation other: doc
	permission viewer = direct & allowed
	permission above = direct + parent->above + other->above
}`

// endless are questions that SpiceDB answers in exponential time, and large ones that it answers.
var endless = []struct {
	name       string
	id         authz.ID
	permission authz.Permission
}{
	{"circle", "circle", "viewer"},
	{"circle of two ways", "ring0", "above"},
	{"ladder of two ways", "ladder0", "viewer"},
	{"short ladder of two ways", "ladder16", "viewer"},
	{"ladder of two parents", "steps0", "above"},
	{"deep chain", "chain0", "above"},
	{"wide set", "wide", "above"},
}

// endlessRelationships are those that the questions are about.
func endlessRelationships() authz.Write {
	var w authz.Write
	add := func(resource string, relation authz.Relation, subject authz.Subject) {
		w.Updates = append(w.Updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
			Resource: authz.Object{Type: "doc", ID: authz.ID(resource)}, Relation: relation, Subject: subject,
		}})
	}
	doc := func(id string, relation authz.Relation) authz.Subject {
		return authz.Subject{Object: authz.Object{Type: "doc", ID: authz.ID(id)}, Relation: relation}
	}
	add("circle", "allowed", doc("circle", "viewer"))
	add("circle", "direct", doc("circle", "allowed"))
	add("ring0", "parent", doc("ring1", ""))
	add("ring0", "other", doc("ring1", ""))
	add("ring1", "parent", doc("ring0", ""))
	add("ring1", "other", doc("ring0", ""))
	for i := range 24 {
		add(fmt.Sprint("ladder", i), "allowed", doc(fmt.Sprint("ladder", i+1), "viewer"))
		add(fmt.Sprint("ladder", i), "direct", doc(fmt.Sprint("ladder", i), "allowed"))
	}
	add("ladder24", "allowed", alice)
	add("ladder24", "direct", alice)
	for i := range 40 {
		add(fmt.Sprint("steps", i), "parent", doc(fmt.Sprint("steps", i+1), ""))
		add(fmt.Sprint("steps", i), "other", doc(fmt.Sprint("steps", i+1), ""))
	}
	add("steps40", "direct", alice)
	for i := range 60 {
		add(fmt.Sprint("chain", i), "parent", doc(fmt.Sprint("chain", i+1), ""))
	}
	add("chain60", "direct", alice)
	for i := range 500 {
		add("wide", "direct", authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(fmt.Sprint("u", i))}})
	}
	return w
}

// ask asks one question in one way, and returns the error of the answer.
var ask = map[string]func(ctx context.Context, engine authz.Engine, resource authz.Object, permission authz.Permission) error{
	"check": func(ctx context.Context, engine authz.Engine, resource authz.Object, permission authz.Permission) error {
		_, _, err := engine.Check(ctx, authz.Check{Subject: alice, Permission: permission, Resource: resource}, authz.Fully())
		return err
	},
	"explanation": func(ctx context.Context, engine authz.Engine, resource authz.Object, permission authz.Permission) error {
		_, _, _, err := engine.Explain(ctx, authz.Check{Subject: alice, Permission: permission, Resource: resource}, authz.Fully())
		return err
	},
	"bulk": func(ctx context.Context, engine authz.Engine, resource authz.Object, permission authz.Permission) error {
		_, _, err := engine.CheckBulk(ctx, []authz.Check{
			{Subject: alice, Permission: permission, Resource: resource},
			{Subject: alice, Permission: permission, Resource: authz.Object{Type: "doc", ID: "other"}},
		}, authz.Fully())
		return err
	},
	"resources": func(ctx context.Context, engine authz.Engine, _ authz.Object, permission authz.Permission) error {
		return last(engine.LookupResources(ctx, authz.ResourceQuery{Subject: alice, Permission: permission, Type: "doc"}, authz.Fully(), authz.Page{}))
	},
	"subjects": func(ctx context.Context, engine authz.Engine, resource authz.Object, permission authz.Permission) error {
		return last(engine.LookupSubjects(ctx, authz.SubjectQuery{Resource: resource, Permission: permission, Type: "user"}, authz.Fully()))
	},
}

func last[T any](sequence func(func(T, error) bool)) (last error) {
	for _, err := range sequence {
		last = err
	}
	return last
}

// TestQuestionsEnd holds that SpiceDB answers every question within bounds of time and memory, or refuses it as too
// large; that nothing of it goes on after the answer, also if the caller leaves; and that the engine ends at once.
func TestQuestionsEnd(t *testing.T) {
	for i, store := range []spicedb.EmbeddedConfig{{}, {Datastore: spicedb.SQLite, DataDir: t.TempDir()}} {
		engine := embedded(t, store)
		require.NoError(t, engine.ApplySchema(t.Context(), endlessSchema))
		_, err := engine.Write(t.Context(), endlessRelationships())
		require.NoError(t, err)
		idle := runtime.NumGoroutine()
		ends := func(question string) {
			t.Helper()
			deadline := time.Now().Add(10 * time.Minute) // under the race detector they end slowly
			for runtime.NumGoroutine() > idle+20 {
				require.True(t, time.Now().Before(deadline), "%s: %d goroutines go on", question, runtime.NumGoroutine()-idle)
				time.Sleep(10 * time.Millisecond) // until they have seen that the call has ended
			}
			runtime.GC() // garbage is not what is bounded
			var memory runtime.MemStats
			runtime.ReadMemStats(&memory)
			require.Less(t, memory.HeapAlloc, uint64(1<<30), question)
		}
		questions := endless
		if i > 0 || raceDetector { // which multiplies the time of each by ten
			questions = endless[:1]
		}
		for _, q := range questions {
			for kind, ask := range ask {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				_ = ask(ctx, engine, authz.Object{Type: "doc", ID: q.id}, q.permission)
				cancel()
				ends(kind + " of the " + q.name + ", left")
			}
		}
		subjects := ask["subjects"]
		for _, q := range questions {
			err := subjects(t.Context(), engine, authz.Object{Type: "doc", ID: q.id}, q.permission)
			if err != nil {
				require.ErrorIs(t, err, authz.CodeTooLarge, q.name)
			}
			ends("subjects of the " + q.name)
		}
		left := make(chan error)
		go func() {
			left <- subjects(context.WithoutCancel(t.Context()), engine, authz.Object{Type: "doc", ID: "circle"}, "viewer")
		}()
		start := time.Now()
		require.NoError(t, engine.Close())
		require.Less(t, time.Since(start), 10*time.Minute)
		require.Error(t, <-left)
	}
}
