package bench_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluice-authz/sluice/internal/enginetest"
)

// millionAccounts is the number of accounts in a company that has a million relationships.
const millionAccounts = 3300

// checks returns a target that makes the checks of questionOf through SpiceDB's own gateway.
func (s *apart) checks(consistency string) target {
	body := func(i int) string {
		subject, importer := questionOf(millionAccounts, i)
		return fmt.Sprintf(
			`{"consistency":{%q:true},"resource":{"objectType":"importer","objectId":%q},"permission":"run","subject":{"object":{"objectType":"user","objectId":%q}}}`,
			consistency,
			importer,
			subject,
		)
	}
	return target{name: s.name, url: s.gateway + "/v1/permissions/check", header: gatewayHeader(), body: body}
}

// writes returns a target whose requests write new relationships. updates is the number of relationships in each
// request.
func (s *apart) writes(updates int) target {
	return target{
		name: s.name, url: s.gateway + "/v1/relationships/write", header: gatewayHeader(),
		body: func(int) string {
			var all []string
			for range updates {
				n := written.Add(1)
				all = append(
					all,
					fmt.Sprintf(
						`{"operation":"OPERATION_TOUCH","relationship":{"resource":{"objectType":"account","objectId":"w%d"},"relation":"user","subject":{"object":{"objectType":"user","objectId":"w%d"}}}}`,
						n,
						n%1000,
					),
				)
			}
			return `{"updates":[` + strings.Join(all, ",") + `]}`
		},
	}
}

func gatewayHeader() map[string]string {
	return map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json"}
}

// written counts the relationships that writes has written, so that each one is new.
var written atomic.Int64

var storeNames = []string{"memory", "sqlite", "postgres"}

// BenchmarkStores compares the stores of the embedded SpiceDB. Each holds the same million relationships. PostgreSQL
// is as durable as SQLite: fsync and synchronous_commit are on. At the end, the benchmark prints the results as the
// table in docs/performance.md.
func BenchmarkStores(b *testing.B) {
	uri := enginetest.Postgres(
		b, "fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=4GB",
	)
	if setting(b, uri, "SHOW fsync") != "on" {
		b.Fatal("PostgreSQL runs without fsync")
	}
	directory := b.TempDir()
	holds := map[string]held{
		"memory": {Datastore: "memory"}, "sqlite": {Datastore: "sqlite", Directory: directory}, "postgres": {
			Datastore: "postgres", URI: uri,
		},
	}
	s := &stores{running: map[string]*apart{}}
	defer s.end()
	loads, memory, files := map[string]string{}, map[string]string{}, map[string]string{"memory": "none"}
	whole := holds["sqlite"]
	whole.Sluice = true
	// The first start with an audit log writes a snapshot of the stored relationships. Later starts do not write
	// one.
	startApart(b, "sqlite", whole).end()
	for _, name := range storeNames {
		s.running[name] = startApart(b, name, holds[name])
		took := s.running[name].loadMillion(b)
		loads[name] = fmt.Sprintf("%.0f s", took.Seconds())
		b.Run("load/"+name, func(b *testing.B) {
			before, after := s.running[name].memory(b)
			memory[name] = fmt.Sprintf("%.0f MiB", after)
			b.ReportMetric(took.Seconds(), "s")
			b.ReportMetric(before, "MiB")
			b.ReportMetric(after, "MiB-after-gc")
			if name == "postgres" {
				itself := residentPostgres(b, uri)
				memory[name] += fmt.Sprintf(" and %.0f MiB in PostgreSQL", itself)
				b.ReportMetric(itself, "MiB-of-postgres-itself")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	var started string
	b.Run("start/sqlite", func(b *testing.B) { // the start of Sluice, with its SpiceDB and audit log
		s.running["sqlite"].end()
		size := sizeOf(b, filepath.Join(directory, "sluice.db*")) / (1 << 20)
		files["sqlite"] = fmt.Sprintf("%.0f MiB", size)
		all := startApart(b, "sqlite", whole)
		all.end()
		s.running["sqlite"] = startApart(b, "sqlite", holds["sqlite"])
		before, after := s.running["sqlite"].memory(b)
		started = fmt.Sprintf("%d ms", all.started.Milliseconds())
		b.ReportMetric(float64(all.started.Milliseconds()), "ms")
		b.ReportMetric(size, "MiB-file")
		b.ReportMetric(before, "MiB")
		b.ReportMetric(after, "MiB-after-gc")
		b.ReportMetric(0, "ns/op")
	})
	b.Run("size/postgres", func(b *testing.B) {
		var bytes float64
		if _, err := fmt.Sscan(setting(b, uri, "SELECT pg_database_size(current_database())::text"), &bytes); err != nil {
			b.Fatal(err)
		}
		files["postgres"] = fmt.Sprintf("%.0f MiB", bytes/(1<<20))
		b.ReportMetric(bytes/(1<<20), "MiB-file")
		b.ReportMetric(0, "ns/op")
	})
	s.row("load of the million", loads, "")
	s.row("memory with it, after a garbage collection", memory, "")
	s.row("size on the disk", files, "")
	s.row("start of all of Sluice with it", map[string]string{"sqlite": started}, "")
	for _, connections := range []int{1, 16} {
		s.beside(b, "check/minimize_latency", connections, func(a *apart) target { return a.checks("minimizeLatency") })
		s.beside(b, "check/fully_consistent", connections, func(a *apart) target { return a.checks("fullyConsistent") })
		s.beside(b, "write/updates=1", connections, func(a *apart) target { return a.writes(1) })
	}
	s.beside(b, "write/updates=1000", 1, func(a *apart) target { return a.writes(1000) })
	fmt.Println(
		"\n| | memory | sqlite | postgres | memory : sqlite | sqlite : postgres |\n|---|--:|--:|--:|--:|--:|\n" + s.table.String(),
	)
}

// stores has the compared servers, and the table of their results.
type stores struct {
	running map[string]*apart
	table   strings.Builder
}

func (s *stores) end() {
	for _, a := range s.running {
		a.end()
	}
}

func (s *stores) row(title string, cells map[string]string, ratios string) {
	s.table.WriteString("| " + title)
	for _, name := range storeNames {
		s.table.WriteString(" | " + cells[name])
	}
	s.table.WriteString(" | " + cmp.Or(ratios, " | ") + " |\n")
}

// beside puts the same load on all servers, one after the other.
func (s *stores) beside(b *testing.B, name string, connections int, of func(*apart) target) {
	b.Run(fmt.Sprintf("%s/connections=%d", name, connections), func(b *testing.B) {
		results := sideBySide(b, connections, of(s.running["memory"]), of(s.running["sqlite"]), of(s.running["postgres"]))
		report(b, results, storeNames...)
		slower, faster := ratio(results["memory"], results["sqlite"]), ratio(results["sqlite"], results["postgres"])
		b.ReportMetric(slower, "memory-of-sqlite")
		b.ReportMetric(faster, "sqlite-of-postgres")
		cells := map[string]string{}
		for name, r := range results {
			cells[name] = fmt.Sprintf(
				"%.0f/s, p50 %.1f ms, p99 %.1f ms", r.perSecond, float64(r.p50.Microseconds())/1000,
				float64(r.p99.Microseconds())/1000,
			)
		}
		s.row(fmt.Sprintf("%s, %d connections", name, connections), cells, fmt.Sprintf("%.2f | %.2f", slower, faster))
	})
}

func setting(b *testing.B, uri, query string) (value string) {
	b.Helper()
	connection, err := pgx.Connect(b.Context(), uri)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = connection.Close(b.Context()) }()
	if err := connection.QueryRow(b.Context(), query).Scan(&value); err != nil {
		b.Fatal(err)
	}
	return value
}

func sizeOf(b *testing.B, pattern string) (bytes float64) {
	b.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			b.Fatal(err)
		}
		bytes += float64(info.Size())
	}
	return bytes
}
