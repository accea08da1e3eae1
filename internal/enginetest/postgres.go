package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Main runs the tests of a package. The tests share one PostgreSQL server, which starts with the first test that
// needs it.
type Main struct{ *testing.M }

// Run runs the tests, then stops the PostgreSQL server, and returns the exit code of the tests.
func (m Main) Run() int {
	shared.on = true
	defer shared.end()
	return m.M.Run()
}

// shared is the PostgreSQL server that the tests of Main share.
var shared server

type server struct {
	on    bool
	mu    sync.Mutex
	uri   string
	atEnd []func()
}

// start returns the URI of the server. If the server does not run yet, start starts it. programs is the folder with
// the programs of PostgreSQL.
func (s *server) start(t testing.TB, programs string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uri == "" {
		s.uri = startPostgres(t, programs, nil, func(end func()) { s.atEnd = append(s.atEnd, end) })
	}
	return s.uri
}

func (s *server) end() {
	for _, end := range slices.Backward(s.atEnd) {
		end()
	}
}

// Postgres returns the URI of an empty PostgreSQL database. If SLUICE_TEST_POSTGRES_URI is set, the database is
// created on the server with this URI. Otherwise, Postgres starts a server, with durability off. The tests of Main
// share one such server, but a test with settings, for example "fsync=on", gets its own. If SLUICE_TEST_POSTGRES_URI
// is not set and PostgreSQL is not installed, the test is skipped, or fails if SLUICE_REQUIRE_CONTAINERS is 1.
func Postgres(t testing.TB, settings ...string) string {
	t.Helper()
	if server := os.Getenv("SLUICE_TEST_POSTGRES_URI"); server != "" {
		uri, name := createDatabase(t, server)
		t.Cleanup(func() { execute(context.WithoutCancel(t.Context()), t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
		return uri
	}
	programs := postgresPrograms()
	if programs == "" {
		Missing(t, "no PostgreSQL: neither SLUICE_TEST_POSTGRES_URI nor a postgres program")
	}
	var server string
	if shared.on && len(settings) == 0 {
		server = shared.start(t, programs)
	} else {
		server = startPostgres(t, programs, settings, t.Cleanup)
	}
	uri, _ := createDatabase(t, server) // the database is deleted together with the data of its server
	return uri
}

// postgresPrograms returns the folder that contains initdb and postgres, or "" if there is none.
func postgresPrograms() string {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Reverse(candidates)
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			candidates = slices.Insert(candidates, 0, filepath.Dir(path))
		}
	}
	for _, folder := range candidates {
		_, noServer := os.Stat(filepath.Join(folder, "postgres"))
		_, noInit := os.Stat(filepath.Join(folder, "initdb"))
		if noServer == nil && noInit == nil {
			return folder
		}
	}
	return ""
}

// startPostgres starts a PostgreSQL server whose data is in a new folder, and returns the URI of the server. It
// passes the functions that stop the server and delete the folder to atEnd.
func startPostgres(t testing.TB, programs string, settings []string, atEnd func(func())) string {
	t.Helper()
	// This cannot be t.TempDir: PostgreSQL runs as another user, who may have no access to the parent folders of
	// t.TempDir.
	folder, err := os.MkdirTemp("", "sluice-postgres") //nolint:usetesting // see above
	require.NoError(t, err)
	atEnd(func() { _ = os.RemoveAll(folder) })
	as := unprivileged(t, folder)
	data := filepath.Join(folder, "data")
	run(t, as, programs, "initdb", "--pgdata="+data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")

	port := freePort(t)
	var log bytes.Buffer
	server := exec.Command( //nolint:gosec,noctx // a program of this machine, which the cleanup below ends
		filepath.Join(programs, "postgres"), "-D", data, "-k", folder, "-h", "127.0.0.1", "-p", strconv.Itoa(port),
		"-c", "track_commit_timestamp=on", "-c", "fsync=off", "-c", "max_connections=300",
		// Without durability, the tests are faster. Their data is small, and is deleted after the test.
		"-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "autovacuum=off", "-c", "jit=off",
	)
	for _, setting := range settings {
		server.Args = append(server.Args, "-c", setting)
	}
	server.SysProcAttr = as
	server.Dir = folder
	server.Stdout, server.Stderr = &log, &log
	require.NoError(t, server.Start())
	atEnd(func() {
		_ = server.Process.Signal(syscall.SIGINT) // PostgreSQL closes its connections and stops
		_ = server.Wait()
	})

	uri := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	eventually(ctx, t, func() bool {
		connection, err := pgx.Connect(ctx, uri)
		if err != nil {
			return false
		}
		return connection.Close(ctx) == nil
	})
	return uri
}

// unprivileged returns attributes to run a program as the user nobody, and makes this user the owner of the folder.
// PostgreSQL refuses to run as root. If the test does not run as root, unprivileged returns nil.
func unprivileged(t testing.TB, folder string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	nobody, err := osuser.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	require.NoError(t, err)
	require.NoError(t, os.Chown(folder, int(uid), int(gid)))
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func run(t testing.TB, as *syscall.SysProcAttr, folder, program string, arguments ...string) {
	t.Helper()
	path := filepath.Join(folder, program)
	command := exec.CommandContext(t.Context(), path, arguments...) //nolint:gosec // a program of this machine
	command.SysProcAttr = as
	command.Dir = os.TempDir()
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s: %s", program, output)
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	return number
}

// createDatabase creates a database and returns its URI and name.
func createDatabase(t testing.TB, server string) (address, name string) {
	t.Helper()
	uri, err := url.Parse(server)
	require.NoError(t, err)
	name = "sluice_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	execute(t.Context(), t, server, "CREATE DATABASE "+name)
	uri.Path = "/" + name
	return uri.String(), name
}

func execute(ctx context.Context, t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	connection, err := pgx.Connect(ctx, server)
	require.NoError(t, err)
	defer func() { require.NoError(t, connection.Close(ctx)) }()
	_, err = connection.Exec(ctx, statement)
	require.NoError(t, err)
}
