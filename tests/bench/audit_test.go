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
)

// startAudited starts a server with the company in a store, and with the audit log or without it.
func startAudited(b *testing.B, store string, without bool) server {
	b.Helper()
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", "127.0.0.1:0"
	config.Store = app.StoreConfig{Datastore: store}
	if store == "sqlite" {
		config.Store.DataDir = b.TempDir()
	}
	config.APIKeys = []string{"bench:check+operate+provision+inspect:" + key}
	config.NoAudit = without
	s, err := app.Start(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close(context.WithoutCancel(b.Context())) })
	write(b, s, company())
	return server{s, ""}
}

// created counts the importers that were created in addition to those of the company.
var created atomic.Int64

// createImporter returns a target that creates importers, each with a new id. It is the same on every server.
func (s server) createImporter(name string) target {
	header := s.header()
	header["Sluice-Actor"] = "ada"
	return target{name: name, url: s.URL + "/v1/importers", header: header, body: func(int) string {
		n := created.Add(1)
		return fmt.Sprintf(`{"id":"bench%d","account":"a%d"}`, n, n%accounts)
	}}
}

// caughtUp returns how long it takes until the log has an operation that was just performed.
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

// processor returns the processor time that this process spends on an operation until it is in the log. It includes the
// time of the client. Other processes on the machine hardly influence it.
func (s server) processor(b *testing.B, operations int, t target, logs bool) time.Duration {
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
	for i := range operations {
		if err := ask(b, http.DefaultClient, t, i); err != nil {
			b.Fatal(err)
		}
	}
	if logs {
		s.caughtUp(b)
	}
	return (used() - begin) / time.Duration(operations)
}

// BenchmarkAudit compares creating importers on a server with the audit log and on one without.
func BenchmarkAudit(b *testing.B) {
	for _, store := range []string{"memory", "sqlite"} {
		b.Run(store, func(b *testing.B) {
			with, without := startAudited(b, store, false), startAudited(b, store, true)
			with.caughtUp(b) // wait until the log has the company
			b.Run("processor", func(b *testing.B) {
				var took [2][]time.Duration
				for range rounds {
					took[0] = append(took[0], without.processor(b, 100, without.createImporter("without"), false))
					took[1] = append(took[1], with.processor(b, 100, with.createImporter("with"), true))
				}
				for i, name := range []string{"without", "with"} {
					slices.Sort(took[i])
					b.ReportMetric(float64(took[i][rounds/2].Microseconds()), name+"-µs/operation")
				}
				b.ReportMetric(float64(took[1][rounds/2])/float64(took[0][rounds/2]), "of-without")
				b.ReportMetric(0, "ns/op")
			})
			for _, connections := range []int{1, 16} {
				b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
					results := sideBySide(b, connections,
						// The server with the log is loaded last, so that its log has no time to catch up before
						// caughtUp measures.
						without.createImporter("without"), with.createImporter("with"))
					behind := with.caughtUp(b)
					report(b, results, "with", "without")
					b.ReportMetric(results["with"].perSecond/results["without"].perSecond, "of-without")
					b.ReportMetric(float64(behind.Milliseconds()), "ms-behind")
				})
			}
		})
	}
}
