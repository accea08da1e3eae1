package spicedb_test

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
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
}

definition lad {
	relation aaa: user | lad#can
	relation bbb: user | lad#can
	permission can = aaa + bbb
	permission both = aaa & bbb
}`

// endless has questions: each is a permission on an object, about which the tests make every kind of call. For some
// of them, SpiceDB without limits would take exponential time. Others are large, but SpiceDB can answer them. In each
// question, the user with the question's name has the permission on most of the objects.
var endless = []struct {
	name       string
	resource   string
	permission authz.Permission
	object     authz.Type
	write      func(add func(resource string, relation authz.Relation, subjects ...string))
}{
	{"circle", "circle", "viewer", "doc", func(add func(string, authz.Relation, ...string)) {
		add("circle", "allowed", "circle#viewer", "@circle")
		add("circle", "direct", "circle#allowed", "@circle")
	}},
	{"ring", "ring0", "above", "doc", func(add func(string, authz.Relation, ...string)) {
		for i := range 2 {
			add(fmt.Sprint("ring", i), "parent", fmt.Sprint("ring", 1-i))
			add(fmt.Sprint("ring", i), "other", fmt.Sprint("ring", 1-i))
		}
		add("ring1", "direct", "@ring")
	}},
	{"self", "self0", "viewer", "doc", ladderOfSets("self", 24)},
	{"short", "short0", "viewer", "doc", ladderOfSets("short", 8)},
	{"steps", "steps0", "above", "doc", func(add func(string, authz.Relation, ...string)) {
		for i := range 40 {
			add(fmt.Sprint("steps", i), "parent", fmt.Sprint("steps", i+1))
			add(fmt.Sprint("steps", i), "other", fmt.Sprint("steps", i+1))
		}
		add("steps40", "direct", "@steps")
	}},
	{"chain", "chain0", "above", "doc", func(add func(string, authz.Relation, ...string)) {
		for i := range 60 {
			add(fmt.Sprint("chain", i), "parent", fmt.Sprint("chain", i+1))
		}
		add("chain60", "direct", "@chain")
	}},
	{"wide", "wide", "above", "doc", func(add func(string, authz.Relation, ...string)) {
		for i := range 500 {
			add("wide", "direct", fmt.Sprint("@u", i))
			add(fmt.Sprint("wide", i), "direct", "@wide")
			add(fmt.Sprint("wide", i), "parent", "wide")
		}
	}},
	{"mesh", "mesh0", "above", "doc", func(add func(string, authz.Relation, ...string)) {
		for i := range 12 {
			for j := range 12 {
				add(fmt.Sprint("mesh", i), "parent", fmt.Sprint("mesh", j))
			}
		}
		add("mesh0", "direct", "@mesh")
	}},
	{"ladder", "ladder0", "both", "lad", ladder("ladder", 26)},
	{"any", "any0", "can", "lad", ladder("any", 26)},
	{"shorter", "shorter0", "both", "lad", ladder("shorter", 14)},
	{"knot", "knot0", "both", "lad", func(add func(string, authz.Relation, ...string)) {
		for i := range 5 {
			for j := range 5 {
				add(fmt.Sprint("knot", i), "aaa", fmt.Sprintf("knot%d#can", j))
				add(fmt.Sprint("knot", i), "bbb", fmt.Sprintf("knot%d#can", j))
			}
		}
		add("knot0", "aaa", "@knot")
	}},
	{"layers", "layers0_0", "both", "lad", func(add func(string, authz.Relation, ...string)) {
		for i := range 36 {
			for _, relation := range []authz.Relation{"aaa", "bbb"} {
				for next := range 3 {
					add(fmt.Sprintf("layers%d_%d", i/3, i%3), relation, fmt.Sprintf("layers%d_%d#can", i/3+1, next))
				}
			}
		}
		add("layers12_0", "aaa", "@layers")
	}},
}

// ladderOfSets returns a chain of documents. The relation allowed of each document leads to viewer of the next one.
// Its relation direct leads to allowed of the same document, and so to the next one too.
func ladderOfSets(name string, length int) func(func(string, authz.Relation, ...string)) {
	return func(add func(string, authz.Relation, ...string)) {
		for i := range length {
			add(fmt.Sprint(name, i), "allowed", fmt.Sprintf("%s%d#viewer", name, i+1))
			add(fmt.Sprint(name, i), "direct", fmt.Sprintf("%s%d#allowed", name, i))
		}
		add(fmt.Sprint(name, length), "allowed", "@"+name)
		add(fmt.Sprint(name, length), "direct", "@"+name)
	}
}

// ladder returns a chain in which each object leads to the next one by two relations.
func ladder(name string, length int) func(func(string, authz.Relation, ...string)) {
	return func(add func(string, authz.Relation, ...string)) {
		for i := range length {
			add(fmt.Sprint(name, i), "aaa", fmt.Sprintf("%s%d#can", name, i+1))
			add(fmt.Sprint(name, i), "bbb", fmt.Sprintf("%s%d#can", name, i+1))
		}
		add(fmt.Sprint(name, length), "aaa", "@"+name)
	}
}

// writeEndless writes the schema, and the relationships of all questions in endless.
func writeEndless(t *testing.T, engine *spicedb.EmbeddedEngine) {
	t.Helper()
	require.NoError(t, engine.ApplySchema(t.Context(), endlessSchema))
	var updates []authz.Update
	for _, q := range endless {
		q.write(func(resource string, relation authz.Relation, subjects ...string) {
			for _, text := range subjects {
				updates = append(updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
					Resource: authz.Object{Type: q.object, ID: authz.ID(resource)}, Relation: relation,
					Subject: endlessSubject(q.object, text),
				}})
			}
		})
	}
	for batch := range slices.Chunk(updates, authz.MaxUpdates) {
		_, err := engine.Write(t.Context(), authz.Write{Updates: batch})
		require.NoError(t, err)
	}
}

// endlessSubject parses a subject in the form @user, object or object#relation.
func endlessSubject(typ authz.Type, text string) authz.Subject {
	if text[0] == '@' {
		return authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(text[1:])}}
	}
	id, relation, _ := strings.Cut(text, "#")
	return authz.Subject{Object: authz.Object{Type: typ, ID: authz.ID(id)}, Relation: authz.Relation(relation)}
}

// question is an entry of endless for one user.
type question struct {
	user       authz.Subject
	resource   authz.Object
	permission authz.Permission
}

func (q question) check() authz.Check {
	return authz.Check{Subject: q.user, Permission: q.permission, Resource: q.resource}
}

// ask maps each kind of call to a function that makes the call for a question and returns its error.
var ask = map[string]func(ctx context.Context, engine authz.Engine, q question) error{
	"check": func(ctx context.Context, engine authz.Engine, q question) error {
		_, _, err := engine.Check(ctx, q.check(), authz.Fully())
		return err
	},
	"explanation": func(ctx context.Context, engine authz.Engine, q question) error {
		_, _, _, err := engine.Explain(ctx, q.check(), authz.Fully())
		return err
	},
	"bulk": func(ctx context.Context, engine authz.Engine, q question) error {
		other := q.check()
		other.Resource.ID = "other"
		results, _, err := engine.CheckBulk(ctx, []authz.Check{q.check(), other}, authz.Fully())
		if err != nil {
			return err
		}
		return cmp.Or(results[0].Err, results[1].Err)
	},
	"resources": func(ctx context.Context, engine authz.Engine, q question) error {
		query := authz.ResourceQuery{Subject: q.user, Permission: q.permission, Type: q.resource.Type}
		return last(engine.LookupResources(ctx, query, authz.Fully(), authz.Page{}))
	},
	"subjects": func(ctx context.Context, engine authz.Engine, q question) error {
		query := authz.SubjectQuery{Resource: q.resource, Permission: q.permission, Type: "user"}
		return last(engine.LookupSubjects(ctx, query, authz.Fully()))
	},
}

func last[T any](sequence func(func(T, error) bool)) (last error) {
	for _, err := range sequence {
		last = err
	}
	return last
}

// everyQuestion calls each for all questions and all kinds of call: once for the question's own user, and once for a
// user without a permission. After each question, it calls ended.
func everyQuestion(
	t *testing.T, each func(name string, ask func(context.Context, authz.Engine) error), ended func(question string),
) {
	t.Helper()
	for _, q := range endless {
		for kind, ask := range ask {
			for _, user := range []string{q.name, "nobody"} {
				resource := authz.Object{Type: q.object, ID: authz.ID(q.resource)}
				asked := question{endlessSubject("", "@"+user), resource, q.permission}
				each(fmt.Sprintf("%s of %s for %s", kind, q.name, user), func(ctx context.Context, engine authz.Engine) error {
					return ask(ctx, engine, asked)
				})
			}
		}
		ended(q.name)
	}
}

// endedQuestions returns a function for the end of a question. It requires that no work continues, and that only
// little memory is in use.
func endedQuestions(t *testing.T) func(question string) {
	t.Helper()
	idle := runtime.NumGoroutine()
	return func(question string) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Minute) // the race detector is slow
		for runtime.NumGoroutine() > idle+10 {
			require.True(t, time.Now().Before(deadline), "%s: %d goroutines still run", question, runtime.NumGoroutine()-idle)
			time.Sleep(time.Millisecond) // the parts of a call end a little later than the call
		}
		runtime.GC() // unreachable memory must not count
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		require.Less(t, memory.HeapAlloc, uint64(1<<30), question)
	}
}

func endlessStores(t *testing.T) map[string]spicedb.EmbeddedConfig {
	t.Helper()
	stores := map[string]spicedb.EmbeddedConfig{"memory": {}}
	if !raceDetector { // the race detector is ten times as slow
		stores["sqlite"] = spicedb.EmbeddedConfig{Datastore: spicedb.SQLite, DataDir: t.TempDir()}
	}
	return stores
}

// TestLargeQuestionsEndWithinLimits checks that an embedded SpiceDB answers every question within its limits, or
// rejects it as too large. No work may continue after the answer. The limits are divided by 20 to make the test fast.
func TestLargeQuestionsEndWithinLimits(t *testing.T) {
	for name, store := range endlessStores(t) {
		t.Run(name, func(t *testing.T) {
			engine := embedded(t, store.WithLimitsDividedBy(20))
			writeEndless(t, engine)
			ended := endedQuestions(t)
			tooLarge := make(map[string]bool)
			everyQuestion(t, func(name string, ask func(context.Context, authz.Engine) error) {
				if err := ask(t.Context(), engine); err != nil {
					require.ErrorIs(t, err, authz.CodeTooLarge, name)
					tooLarge[name] = true
				}
			}, ended)
			require.True(t, tooLarge["resources of ladder for ladder"])
			require.True(t, tooLarge["subjects of circle for circle"])
			require.False(t, tooLarge["resources of wide for wide"])
			require.False(t, tooLarge["check of shorter for shorter"])
			require.NoError(t, engine.Close())
		})
	}
}

// TestQuestionsEndWithTheirCaller checks that no work continues after the context of the caller has ended, and that
// the engine can be closed during a call.
func TestQuestionsEndWithTheirCaller(t *testing.T) {
	for name, store := range endlessStores(t) {
		t.Run(name, func(t *testing.T) {
			engine := embedded(t, store)
			writeEndless(t, engine)
			ended := endedQuestions(t)
			everyQuestion(t, func(_ string, ask func(context.Context, authz.Engine) error) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				_ = ask(ctx, engine)
			}, ended)
			left := make(chan error)
			go func() {
				asked := question{alice, authz.Object{Type: "doc", ID: "circle"}, "viewer"}
				left <- ask["subjects"](context.WithoutCancel(t.Context()), engine, asked)
			}()
			require.NoError(t, engine.Close())
			require.Error(t, <-left)
		})
	}
}

// TestLookupOverLadderIsTooLarge checks that the default limits reject a look-up of resources that would take
// exponential memory.
func TestLookupOverLadderIsTooLarge(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{})
	writeEndless(t, engine)
	ended := endedQuestions(t)
	for user, permission := range map[string]authz.Permission{"@ladder": "both", "@shorter": "can"} {
		asked := question{endlessSubject("", user), authz.Object{Type: "lad"}, permission}
		err := ask["resources"](t.Context(), engine, asked)
		require.ErrorIs(t, err, authz.CodeTooLarge, user)
		ended(user)
	}
	require.NoError(t, engine.Close())
}
