package replica

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/schema"
)

// company returns the relationships of accounts with a hundred members and a hundred importers each. Each member
// created one importer.
func company(accounts int) []*v1.Relationship {
	relationship := func(typ, id, relation, subjectType, subject string) *v1.Relationship {
		return &v1.Relationship{
			Resource: &v1.ObjectReference{ObjectType: typ, ObjectId: id}, Relation: relation,
			Subject: &v1.SubjectReference{Object: &v1.ObjectReference{ObjectType: subjectType, ObjectId: subject}},
		}
	}
	all := []*v1.Relationship{
		relationship("subscription", "acme", "multi_owner", "user", "*"),
		relationship("subscription", "acme", "owner", "user", "ada"),
	}
	for a := range accounts {
		account := fmt.Sprint("a", a)
		all = append(
			all, relationship("account", account, "subscription", "subscription", "acme"),
			relationship("account", account, "team", "user", "*"),
		)
		for i := range 100 {
			member, importer := fmt.Sprintf("u%d-%d", a, i), fmt.Sprintf("i%d-%d", a, i)
			all = append(
				all,
				relationship("account", account, "user", "user", member),
				relationship(
					"importer", importer, "account", "account", account,
				),
				relationship("importer", importer, "creator", "user", member),
			)
		}
	}
	return all
}

// million is the number of accounts with which the company has a million relationships.
const million = 3312

func filled(b *testing.B, relationships []*v1.Relationship) *spicedb.EmbeddedEngine {
	b.Helper()
	engine, err := spicedb.Embedded(b.Context(), spicedb.EmbeddedConfig{Datastore: spicedb.SQLite, DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = engine.Close() })
	text, err := schema.Flatten()
	if err == nil {
		err = engine.ApplySchema(b.Context(), text)
	}
	if err != nil {
		b.Fatal(err)
	}
	stream, err := v1.NewPermissionsServiceClient(engine.Conn()).ImportBulkRelationships(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for part := range slices.Chunk(relationships, 1000) {
		if err := stream.Send(&v1.ImportBulkRelationshipsRequest{Relationships: part}); err != nil &&
			err != io.EOF { //nolint:errorlint // gRPC returns it as it is
			b.Fatal(err)
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		b.Fatal(err)
	}
	return engine
}

// filledWithMillion returns an engine with a million relationships. It keeps no reference to the list of relationships,
// so that the benchmark can measure the heap.
func filledWithMillion(b *testing.B) (engine *spicedb.EmbeddedEngine, count float64) {
	b.Helper()
	all := company(million)
	return filled(b, all), float64(len(all))
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkMillion loads a million relationships from the durable store and then follows 500 writes per second.
func BenchmarkMillion(b *testing.B) {
	engine, count := filledWithMillion(b)
	var r *Replica
	b.Run("load", func(b *testing.B) {
		var took time.Duration
		var bytes float64
		for b.Loop() {
			r = New(engine.Client, engine.Client, Options{})
			before, begun := heap(), time.Now()
			if _, err := r.load(b.Context()); err != nil {
				b.Fatal(err)
			}
			took = time.Since(begun)
			bytes = heap() - before
		}
		_, told := r.pin().store.size()
		b.ReportMetric(took.Seconds(), "s")
		b.ReportMetric(bytes/count, "B/relationship")
		b.ReportMetric(float64(told)/count, "told-B/relationship")
		b.ReportMetric(0, "ns/op")
	})
	b.Run("follow", func(b *testing.B) {
		ctx, stop := context.WithCancel(b.Context())
		var running sync.WaitGroup
		r = New(engine.Client, engine.Client, Options{})
		running.Go(func() { r.Run(ctx) })
		defer running.Wait()
		defer stop()
		for range b.N {
			lags := follow(b, r, 500, 10*time.Second)
			b.ReportMetric(float64(lags[len(lags)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(len(lags))/10, "writes/s")
			b.ReportMetric(0, "ns/op")
		}
	})
}

// follow writes at a rate. For each write, it measures the delay until the write reaches the replica, and returns the
// sorted delays.
func follow(b *testing.B, r *Replica, perSecond int, span time.Duration) []time.Duration {
	b.Helper()
	_, head, err := r.source.Head(b.Context())
	if err == nil {
		err = r.Reached(b.Context(), head) // returns after the first load
	}
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	var lags []time.Duration
	var writing sync.WaitGroup
	ticks := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticks.Stop()
	for i := range perSecond * int(span/time.Second) {
		<-ticks.C
		writing.Go(func() {
			token, err := r.Write(
				b.Context(),
				authz.Write{Updates: []authz.Update{{Action: authz.Touch, Relationship: authz.Relationship{
					Resource: authz.Object{Type: "importer", ID: authz.ID(fmt.Sprint("new", i))}, Relation: "account",
					Subject: authz.Subject{Object: authz.Object{Type: "account", ID: "a0"}},
				}}}},
			)
			begun := time.Now()
			if err == nil {
				err = r.Reached(b.Context(), token)
			}
			if err != nil {
				b.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			lags = append(lags, time.Since(begun))
		})
	}
	writing.Wait()
	slices.Sort(lags)
	return lags
}

// BenchmarkWriterTurn measures how long the writer blocks readers: the time to apply one chunk of changes.
func BenchmarkWriterTurn(b *testing.B) {
	s := newStore()
	s.touch(company(330), 1)
	v := version(1)
	updates := make([]*v1.RelationshipUpdate, writeChunk)
	for i := range updates {
		updates[i] = &v1.RelationshipUpdate{Operation: v1.RelationshipUpdate_OPERATION_TOUCH, Relationship: &v1.Relationship{
			Resource: &v1.ObjectReference{ObjectType: "importer", ObjectId: fmt.Sprint("new", i)}, Relation: "account",
			Subject: &v1.SubjectReference{Object: &v1.ObjectReference{ObjectType: "account", ObjectId: "a0"}},
		}}
	}
	turns := make([]time.Duration, 0, 1<<16)
	for b.Loop() {
		v++
		begun := time.Now()
		s.apply(updates, v)
		turns = append(turns, time.Since(begun))
		for _, u := range updates {
			if u.GetOperation() == v1.RelationshipUpdate_OPERATION_TOUCH {
				u.Operation = v1.RelationshipUpdate_OPERATION_DELETE
			} else {
				u.Operation = v1.RelationshipUpdate_OPERATION_TOUCH
			}
		}
		s.sweep(v)
	}
	slices.Sort(turns)
	b.ReportMetric(float64(turns[len(turns)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkCheck measures one check without HTTP.
func BenchmarkCheck(b *testing.B) {
	engine := filled(b, company(100))
	r := New(engine.Client, engine.Client, Options{})
	if _, err := r.load(b.Context()); err != nil {
		b.Fatal(err)
	}
	s := r.pin()
	check := authz.Check{
		Subject: authz.Subject{Object: authz.Object{Type: "user", ID: "u7-7"}}, Permission: "run", Resource: authz.Object{
			Type: "importer", ID: "i7-8",
		},
	}
	b.ReportAllocs()
	for b.Loop() {
		if decision, why := s.check(b.Context(), check, time.Now()); why != "" || !decision.Allowed() {
			b.Fatal(why, decision)
		}
	}
}
