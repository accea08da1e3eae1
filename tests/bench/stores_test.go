package bench_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/grpcutil"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// millionAccounts of the company's accounts are a million relationships.
const millionAccounts = 3300

// asServer in the environment makes this program a server with the store that it holds.
const asServer = "SLUICE_BENCH_SERVER"

func TestMain(m *testing.M) {
	if store := os.Getenv(asServer); store != "" {
		if err := serve(store); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve runs a server until it is told to end, and says where it is.
func serve(store string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", "127.0.0.1:0"
	config.GatewayListen = os.Getenv(asServer + "_GATEWAY")
	config.APIKeys = []string{"bench:check+operate+provision+inspect:" + key}
	if err := json.Unmarshal([]byte(store), &config.Store); err != nil {
		return err
	}
	s, err := app.Start(ctx, config)
	if err != nil {
		return err
	}
	fmt.Println(s.URL, s.GRPCAddress, s.GRPCKey)
	<-ctx.Done()
	return s.Close(context.WithoutCancel(ctx))
}

// apart is a server in a process of its own, so that the memory of one store is not the others' garbage.
type apart struct {
	server
	name    string
	process *os.Process
	started time.Duration // until it was ready
	end     func()
}

func startApart(b *testing.B, name string, store app.StoreConfig) *apart {
	b.Helper()
	encoded, err := json.Marshal(store)
	if err != nil {
		b.Fatal(err)
	}
	gateway := freeAddress(b)
	command := exec.Command(os.Args[0]) //nolint:noctx // end ends it
	command.Env = append(os.Environ(), asServer+"="+string(encoded), asServer+"_GATEWAY="+gateway)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) != 3 {
		b.Fatalf("the server with %s did not start: %v", name, err)
	}
	s := &apart{name: name, process: command.Process, started: time.Since(begin)}
	s.server = server{&app.Server{URL: fields[0], GRPCAddress: fields[1], GRPCKey: fields[2]}, "http://" + gateway}
	s.end = func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	}
	return s
}

// resident is how much memory the process has, in MiB.
func (s *apart) resident(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Pid))
	if err != nil {
		b.Skip("memory is measured on Linux alone")
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}

// loadMillion loads a million relationships through SpiceDB's bulk import, and returns how long that took.
func (s *apart) loadMillion(b *testing.B) time.Duration {
	b.Helper()
	conn, err := grpc.NewClient(s.GRPCAddress, grpc.WithTransportCredentials(insecure.NewCredentials()), grpcutil.WithInsecureBearerToken(s.GRPCKey))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	all := companyOf(millionAccounts)
	begin := time.Now()
	stream, err := v1.NewPermissionsServiceClient(conn).ImportBulkRelationships(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for first := 0; first < len(all); first += 1000 {
		request := &v1.ImportBulkRelationshipsRequest{Relationships: all[first:min(first+1000, len(all))]}
		if err := stream.Send(request); err != nil && err != io.EOF { //nolint:errorlint // gRPC returns it as it is
			b.Fatal(err)
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

func (s *apart) checks(consistency string) target {
	return target{name: s.name, url: s.URL + "/v1/check", header: s.header(), body: func(i int) string {
		subject, importer := questionOf(millionAccounts, i)
		return fmt.Sprintf(`{"subject":"user:%s","permission":"run","resource":"importer:%s","consistency":%q}`, subject, importer, consistency)
	}}
}

// writes are touches of as many relationships that are not there, through SpiceDB's own gateway.
func (s *apart) writes(updates int) target {
	return target{
		name: s.name, url: s.gateway + "/v1/relationships/write",
		header: map[string]string{"Authorization": "Bearer " + s.GRPCKey, "Content-Type": "application/json"},
		body: func(int) string {
			var all []string
			for range updates {
				all = append(all, fmt.Sprintf(`{"operation":"OPERATION_TOUCH","relationship":{"resource":{"objectType":"account","objectId":"w%d"},"relation":"user","subject":{"object":{"objectType":"user","objectId":"w%d"}}}}`,
					written.Add(1), written.Load()%1000))
			}
			return `{"updates":[` + strings.Join(all, ",") + `]}`
		},
	}
}

// written makes every relationship that is written a new one.
var written atomic.Int64

// BenchmarkStores is the same million relationships in each store of the embedded SpiceDB. PostgreSQL is as durable as
// SQLite: fsync and synchronous_commit are on.
func BenchmarkStores(b *testing.B) {
	uri := enginetest.Postgres(b, "fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=4GB")
	if setting(b, uri, "SHOW fsync") != "on" {
		b.Fatal("PostgreSQL runs without fsync")
	}
	directory := b.TempDir()
	durable := app.StoreConfig{Datastore: "sqlite", DataDir: directory}
	stores := map[string]*apart{}
	for name, store := range map[string]app.StoreConfig{
		"memory": {Datastore: "memory"}, "sqlite": durable, "postgres": {Datastore: "postgres", DatastoreURI: uri},
	} {
		stores[name] = startApart(b, name, store)
		defer func() { stores[name].end() }()
		took := stores[name].loadMillion(b)
		b.Run("load/"+name, func(b *testing.B) {
			b.ReportMetric(took.Seconds(), "s")
			b.ReportMetric(stores[name].resident(b), "MiB-resident")
			b.ReportMetric(0, "ns/op")
		})
	}
	b.Run("restart/sqlite", func(b *testing.B) {
		stores["sqlite"].end()
		stores["sqlite"] = startApart(b, "sqlite", durable)
		b.ReportMetric(float64(stores["sqlite"].started.Milliseconds()), "ms")
		b.ReportMetric(stores["sqlite"].resident(b), "MiB-resident")
		b.ReportMetric(0, "ns/op")
	})
	b.Run("size", func(b *testing.B) {
		b.ReportMetric(float64(sizeOf(b, directory))/(1<<20), "MiB-sqlite")
		var bytes int64
		if _, err := fmt.Sscan(setting(b, uri, "SELECT pg_database_size(current_database())::text"), &bytes); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(bytes)/(1<<20), "MiB-postgres")
		b.ReportMetric(0, "ns/op")
	})
	beside := func(name string, connections int, of func(*apart) target) {
		b.Run(fmt.Sprintf("%s/connections=%d", name, connections), func(b *testing.B) {
			results := sideBySide(b, connections, of(stores["memory"]), of(stores["sqlite"]), of(stores["postgres"]))
			report(b, results, "memory", "sqlite", "postgres")
			b.ReportMetric(results["memory"].perSecond/results["sqlite"].perSecond, "memory-of-sqlite")
			b.ReportMetric(results["sqlite"].perSecond/results["postgres"].perSecond, "sqlite-of-postgres")
		})
	}
	for _, connections := range []int{1, 16} {
		for _, consistency := range []string{"minimize_latency", "fully_consistent"} {
			beside("check/"+consistency, connections, func(s *apart) target { return s.checks(consistency) })
		}
		beside("write/updates=1", connections, func(s *apart) target { return s.writes(1) })
	}
	beside("write/updates=1000", 1, func(s *apart) target { return s.writes(1000) })
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

func sizeOf(b *testing.B, directory string) (bytes int64) {
	b.Helper()
	err := filepath.WalkDir(directory, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}
