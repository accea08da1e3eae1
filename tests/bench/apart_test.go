package bench_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/grpcutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/schema"
)

// asServer is the name of an environment variable. If it is set, this program runs as a server, on the store that
// the variable describes.
const asServer = "SLUICE_BENCH_SERVER"

// held describes a store and the server on it. If Sluice is false, the server is only SpiceDB, as Sluice embeds it.
// Such a server has no audit log, which would need minutes to record a million relationships.
type held struct {
	Datastore, Directory, URI, Gateway string
	Sluice                             bool
}

func TestMain(m *testing.M) {
	if text := os.Getenv(asServer); text != "" {
		if err := serve(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve runs a server until the process gets SIGTERM. It prints the addresses of SpiceDB's API and gateway.
func serve(text string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	collect := make(chan os.Signal, 1)
	signal.Notify(collect, syscall.SIGUSR1)
	var store held
	if err := json.Unmarshal([]byte(text), &store); err != nil {
		return err
	}
	address, end, err := store.start(ctx)
	if err != nil {
		return err
	}
	if err := startGateway(ctx, address, store.Gateway); err != nil {
		return errors.Join(err, end())
	}
	fmt.Println(address)
	for {
		select {
		case <-collect:
			debug.FreeOSMemory()
			fmt.Println("collected")
		case <-ctx.Done():
			return end()
		}
	}
}

func (h held) start(ctx context.Context) (address string, end func() error, err error) {
	if h.Sluice {
		config := app.DefaultConfig()
		config.Listen, config.GRPCListen, config.GRPCKey = "127.0.0.1:0", "127.0.0.1:0", key
		config.APIKeys = []string{"bench:check:" + key}
		config.Store = app.StoreConfig{Datastore: h.Datastore, DataDir: h.Directory, DatastoreURI: h.URI}
		config.Replica.Mode = app.Off
		s, err := app.Start(ctx, config)
		if err != nil {
			return "", nil, err
		}
		return s.GRPCAddress, func() error { return s.Close(context.WithoutCancel(ctx)) }, nil
	}
	engine, err := spicedb.Embedded(ctx, spicedb.EmbeddedConfig{
		Datastore: h.Datastore, DataDir: h.Directory, URI: h.URI, GRPCListen: "127.0.0.1:0", Key: key,
	})
	if err != nil {
		return "", nil, err
	}
	text, err := schema.Flatten()
	if err == nil {
		err = engine.ApplySchema(ctx, text)
	}
	if err != nil {
		return "", nil, errors.Join(err, engine.Close())
	}
	return engine.GRPCAddress, engine.Close, nil
}

// apart is a server in a process of its own. So the memory and the garbage collection of one store do not affect the
// measurements of another store.
type apart struct {
	name    string
	grpc    string // address of SpiceDB's API
	gateway string // URL of SpiceDB's HTTP gateway
	started time.Duration
	process *os.Process
	said    *bufio.Reader
	end     func()
}

func startApart(b *testing.B, name string, store held) *apart {
	b.Helper()
	store.Gateway = freeAddress(b)
	encoded, err := json.Marshal(store)
	if err != nil {
		b.Fatal(err)
	}
	command := exec.Command(os.Args[0]) //nolint:noctx // the method end ends the process
	command.Env = append(os.Environ(), asServer+"="+string(encoded))
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	s := &apart{name: name, gateway: "http://" + store.Gateway, process: command.Process, said: bufio.NewReader(out)}
	s.end = func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	}
	s.grpc = s.line(b)
	s.started = time.Since(begin)
	return s
}

func (s *apart) line(b *testing.B) string {
	b.Helper()
	line, err := s.said.ReadString('\n')
	if err != nil {
		b.Fatalf("the server with %s has ended: %v", s.name, err)
	}
	return strings.TrimSpace(line)
}

// memory returns how much memory the process uses before and after a garbage collection, in MiB.
func (s *apart) memory(b *testing.B) (before, after float64) {
	b.Helper()
	before = resident(b, s.process.Pid)
	if err := s.process.Signal(syscall.SIGUSR1); err != nil {
		b.Fatal(err)
	}
	s.line(b)
	return before, resident(b, s.process.Pid)
}

// resident returns how much memory a process uses, in MiB. Memory that several processes share counts only in part.
func resident(b *testing.B, id int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", id))
	if err != nil {
		b.Skipf("memory can be measured only on Linux: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "\nPss:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}

// residentPostgres returns how much memory all processes of a PostgreSQL on this machine use, in MiB.
func residentPostgres(b *testing.B, uri string) (sum float64) {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(setting(b, uri, "SHOW data_directory"), "postmaster.pid"))
	if err != nil {
		b.Skipf("PostgreSQL runs elsewhere: %v", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	processes, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range processes {
		stat, err := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields, id := strings.Fields(rest), strings.Split(path, "/")[2]
		if err != nil || len(fields) < 2 || id != first && fields[1] != first {
			continue // the process has ended, or does not belong to PostgreSQL
		}
		number, err := strconv.Atoi(id)
		if err != nil {
			b.Fatal(err)
		}
		sum += resident(b, number)
	}
	return sum
}

// loadPart is the number of relationships in one bulk import. With a million in one import, SpiceDB may wait for
// PostgreSQL longer than its time limit.
const loadPart = 100_000

// loadMillion loads a million relationships through SpiceDB's bulk import, and returns how long that took.
func (s *apart) loadMillion(b *testing.B) time.Duration {
	b.Helper()
	return bulkImport(b, s.grpc, key, companyOf(millionAccounts))
}

func bulkImport(b *testing.B, address, key string, all []*v1.Relationship) time.Duration {
	b.Helper()
	conn, err := grpc.NewClient(
		address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpcutil.WithInsecureBearerToken(key),
	)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := v1.NewPermissionsServiceClient(conn)
	begin := time.Now()
	for part := range slices.Chunk(all, loadPart) {
		stream, err := client.ImportBulkRelationships(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for batch := range slices.Chunk(part, 1000) {
			if err := stream.Send(&v1.ImportBulkRelationshipsRequest{Relationships: batch}); err != nil &&
				err != io.EOF { //nolint:errorlint // gRPC returns it as it is
				b.Fatal(err)
			}
		}
		if _, err := stream.CloseAndRecv(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begin)
}
