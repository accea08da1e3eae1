package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// created counts the importers that the benchmarks have created. Those of the company are not included.
var created atomic.Int64

// createImporter returns a target whose requests create importers, each with a new id.
func (s server) createImporter(name string) target {
	header := s.header()
	header["Sluice-Actor"] = "ada"
	return target{name: name, url: s.URL + "/v1/importers", header: header, body: func(int) string {
		n := created.Add(1)
		return fmt.Sprintf(`{"id":"bench%d","account":"a%d"}`, n, n%accounts)
	}}
}

// caughtUp performs an operation, and returns the time until the audit log has it.
func (s server) caughtUp(b *testing.B) time.Duration {
	b.Helper()
	id := fmt.Sprintf("last%d", created.Add(1))
	request := target{
		name: "last", url: s.URL + "/v1/importers", header: s.header(),
		body: func(int) string { return fmt.Sprintf(`{"id":%q,"account":"a0"}`, id) },
	}
	request.header["Sluice-Actor"] = "ada"
	if err := ask(b, http.DefaultClient, request, 0); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	for {
		var found struct{ Entries []json.RawMessage }
		if err := json.Unmarshal(s.send(b, http.MethodGet, "/v1/audit?limit=1&object=importer:"+id, ""), &found); err != nil {
			b.Fatal(err)
		}
		if len(found.Entries) > 0 {
			return time.Since(begin)
		}
		time.Sleep(time.Millisecond)
	}
}

// secondLog is an additional audit log, which follows a server only while the method follow runs.
type secondLog struct{ follower *audit.Follower }

func (s server) startSecondLog(b *testing.B, store string) secondLog {
	b.Helper()
	open := func() (*audit.Log, error) { return audit.OpenMemory(b.Context()) }
	if store == "sqlite" {
		open = func() (*audit.Log, error) { return audit.OpenFile(b.Context(), b.TempDir()) }
	}
	log, err := open()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = log.Close() })
	engine, err := spicedb.Remote(
		b.Context(), spicedb.RemoteConfig{Endpoint: s.GRPCAddress, Token: s.GRPCKey, Insecure: true},
	)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = engine.Close() })
	l := secondLog{audit.NewFollower(audit.Config{Log: log, Source: engine, Reader: engine, Place: operation.Place})}
	l.follow(b, audit.Snapshot, 1, func() {})
	return l
}

// follow makes the second log follow the server while do runs. Afterwards, it waits until the log has the given
// number of further entries of a kind.
func (l secondLog) follow(b *testing.B, kind audit.Kind, entries int64, do func()) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	wanted := l.follower.Stats().Entries(kind) + entries
	go func() { ended <- l.follower.FollowOnce(ctx) }()
	do()
	for l.follower.Stats().Entries(kind) < wanted {
		select {
		case err := <-ended:
			b.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	stop()
	if err := <-ended; err != nil && ctx.Err() == nil {
		b.Fatal(err)
	}
}

// processor returns the processor time that this process uses while do runs. Other processes on the machine hardly
// influence it.
func processor(b *testing.B, do func()) time.Duration {
	b.Helper()
	used := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			b.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	runtime.GC()
	begin := used()
	do()
	return used() - begin
}

// BenchmarkAudit measures the creation of importers on a server with its audit log, and on the same server while a
// second audit log follows it. The difference is the cost of one audit log.
func BenchmarkAudit(b *testing.B) {
	const operations = 100
	for _, name := range []string{"memory", "sqlite"} {
		b.Run(name, func(b *testing.B) {
			store := app.StoreConfig{Datastore: name}
			if name == "sqlite" {
				store.DataDir = b.TempDir()
			}
			s := startOn(b, store)
			write(b, s.Server, company())
			s.settle(b, len(company()))
			second, create := s.startSecondLog(b, name), s.createImporter("create")
			var one, two, behind []time.Duration
			var ratios []float64
			operate := func() {
				for i := range operations - 1 {
					if err := ask(b, http.DefaultClient, create, i); err != nil {
						b.Fatal(err)
					}
				}
				behind = append(behind, s.caughtUp(b)) // performs the last operation
			}
			for i := range rounds {
				one = append(one, processor(b, operate)/operations)
				second.follow(b, audit.Changed, operations, func() {})
				two = append(two, processor(b, func() { second.follow(b, audit.Changed, operations, operate) })/operations)
				ratios = append(ratios, float64(two[i])/float64(one[i]))
			}
			for _, times := range [][]time.Duration{one, two, behind} {
				slices.Sort(times)
			}
			slices.Sort(ratios)
			b.ReportMetric(float64(one[rounds/2].Microseconds()), "one-log-µs/operation")
			b.ReportMetric(float64(two[rounds/2].Microseconds()), "two-logs-µs/operation")
			b.ReportMetric(ratios[rounds/2], "two-of-one")
			b.ReportMetric(float64(behind[len(behind)-1].Milliseconds()), "ms-behind")
			b.ReportMetric(0, "ns/op")
		})
	}
}
