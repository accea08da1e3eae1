package main

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary act as the program, so that signals and exit codes are real.
func TestMain(m *testing.M) {
	if os.Getenv("SLUICE_TEST_PROGRAM") != "" {
		if grace := os.Getenv("SLUICE_TEST_STOP_GRACE"); grace != "" {
			stopGrace, _ = time.ParseDuration(grace)
			_ = os.Unsetenv("SLUICE_TEST_STOP_GRACE") // the program rejects a variable that no command reads
		}
		main()
	}
	os.Exit(m.Run())
}

func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), "SLUICE_TEST_PROGRAM=1")
	return cmd
}

// sluice runs the program to its end and returns its output and exit code.
func sluice(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return out.String(), errs.String(), code
}

// serving is a running server.
type serving struct {
	*exec.Cmd
	url, key, grpc, grpcKey string
	metrics                 string
	log                     *logBuffer
	printed                 *bytes.Buffer // output after the greeting; complete when the server has ended
	drained                 chan struct{}
}

// logBuffer collects a log that a test reads while the server writes it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
	read int // length of the text that await has passed
}

func (b *logBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// await waits for a line that contains all of the texts. It skips the line of the previous call and all lines before
// it.
func (b *logBuffer) await(t *testing.T, texts ...string) {
	t.Helper()
	eventually(t, strings.Join(texts, ", "), func() bool {
		log := b.String()
		for end := strings.IndexByte(log[b.read:], '\n'); end >= 0; end = strings.IndexByte(log[b.read:], '\n') {
			line := log[b.read : b.read+end]
			b.read += end + 1
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
				return true
			}
		}
		return false
	})
}

var (
	urlLine     = regexp.MustCompile(`Sluice listens on (\S+)`)
	keyLine     = regexp.MustCompile(`API key, made for this run:\s+(\S+)`)
	grpcLine    = regexp.MustCompile(`SpiceDB's own API, for zed:\s+(\S+)`)
	metricsLine = regexp.MustCompile(`Metrics, without a key:\s+(\S+)`)
	grpcKeyLine = regexp.MustCompile(`its key, made for this run:\s+(\S+)`)
)

// start runs the server and waits until it reports that it is ready.
func start(t *testing.T, args ...string) *serving {
	t.Helper()
	return startIn(t, t.TempDir(), args...)
}

// grpcOpen opens SpiceDB's own API, for which the server runs a second SpiceDB.
var grpcOpen = []string{"--grpc-listen", "127.0.0.1:0"}

// startIn runs the server in a directory.
func startIn(t *testing.T, directory string, args ...string) *serving {
	t.Helper()
	s := &serving{
		Cmd: program(
			t.Context(),
			append([]string{"serve", "--listen", "127.0.0.1:0", "--grpc-listen", "off", "--shutdown-delay", "0s"}, args...)...,
		),
		log: new(logBuffer), printed: new(bytes.Buffer), drained: make(chan struct{}),
	}
	s.Dir = directory
	s.Stderr = s.log
	out, err := s.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.Start())
	var greeting strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		greeting.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Ready") {
			break
		}
	}
	first := func(line *regexp.Regexp) string {
		if found := line.FindStringSubmatch(greeting.String()); found != nil {
			return found[1]
		}
		return ""
	}
	s.url, s.key, s.grpc, s.grpcKey = first(urlLine), first(keyLine), first(grpcLine), first(grpcKeyLine)
	s.metrics = first(metricsLine)
	require.NotEmpty(t, s.url, "%s\n%s", greeting.String(), s.log)
	go func() {
		defer close(s.drained)
		for lines.Scan() {
			s.printed.WriteString(lines.Text() + "\n")
		}
	}()
	return s
}

// remote returns the flags with which a command uses the server's SpiceDB.
func (s *serving) remote() []string {
	return []string{"--spicedb-endpoint", s.grpc, "--spicedb-token", s.grpcKey, "--spicedb-insecure"}
}

// stop stops the server and returns its exit code.
func (s *serving) stop(t *testing.T) int {
	t.Helper()
	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	<-s.drained
	_ = s.Wait()
	return s.ProcessState.ExitCode()
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		require.Contains(t, cmd.Example, "sluice ", cmd.CommandPath())
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	for _, name := range []string{
		"serve", "demo", "check", "explain", "get", "schema", "audit", "backup", "restore", "export", "import", "key",
		"health", "version",
	} {
		stdout, _, code := sluice(t, name, "--help")
		require.Zero(t, code)
		require.Contains(t, stdout, "Examples:")
	}
}

// TestWrongSettings checks that an invalid setting ends the program with one line that names it and contains no secret.
func TestWrongSettings(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	for _, c := range []struct {
		args []string
		env  [2]string
		says string
	}{
		{args: []string{"serve", "--listen", "nowhere"}, says: "--listen"},
		{args: []string{"serve", "--grpc-listen", "nowhere"}, says: "--grpc-listen"},
		{args: []string{"serve", "--api-key", "backend:everything:a-secret-of-mine"}, says: "--api-key"},
		{
			args: []string{"serve", "--api-key", "backend:check+write:account:a-secret-of-mine"},
			says: "--api-key: the key backend: the scope write:account names a type of the product",
		},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS", "backend:write:Dashboard:a-secret-of-mine"},
			says: "the text between write: and the next colon must be the name of a type",
		},
		{args: []string{"serve", "--api-keys-file", "no-such-file"}, says: "--api-keys-file"},
		{args: []string{"serve", "--datastore", "mysql"}, says: "--datastore"},
		{args: []string{"serve", "--datastore", "postgres"}, says: "--datastore-uri"},
		{
			args: []string{"serve", "--datastore-uri", "postgres://localhost"},
			says: "--datastore-uri: the datastore sqlite has no URI",
		},
		{
			args: []string{"serve", "--datastore", "memory", "--data-dir", "here"},
			says: "--data-dir: the datastore memory has no data directory",
		},
		{
			args: []string{
				"serve", "--spicedb-endpoint", "localhost:1", "--spicedb-token", "a-secret-of-mine", "--datastore-uri",
				"postgres://localhost",
			},
			says: "--datastore-uri: with --spicedb-endpoint",
		},
		{args: []string{"serve", "--data-dir", "main_test.go/here"}, says: "cannot make the data directory"},
		{args: []string{"serve", "--spicedb-endpoint", "localhost:1"}, says: "--spicedb-token"},
		{
			args: []string{"serve", "--spicedb-endpoint", "localhost", "--spicedb-token", "a-secret-of-mine"},
			says: "--spicedb-endpoint",
		},
		{
			args: []string{"serve", "--datastore", "memory", "--audit-uri", "postgres://u:a-secret-of-mine@127.0.0.1:1/d"},
			says: "--audit-uri",
		},
		{
			args: []string{
				"serve", "--spicedb-endpoint", "localhost:1", "--spicedb-token", "a-secret-of-mine", "--audit-uri",
				"postgres://u:a-secret-of-mine@127.0.0.1:1/d",
			},
			says: "--audit-uri",
		},
		{
			args: []string{
				"serve", "--spicedb-endpoint", "localhost:1", "--spicedb-token", "a-secret-of-mine", "--audit-uri",
				"mysql://u:a-secret-of-mine@127.0.0.1:1/d",
			},
			says: "--audit-uri",
		},
		{
			args: []string{
				"serve", "--spicedb-endpoint", "localhost:1", "--spicedb-token", "a-secret-of-mine", "--data-dir", "main.go/data",
			},
			says: "--data-dir",
		},
		{args: []string{"serve", "--public-url", "authz.example.com"}, says: "--public-url"},
		{args: []string{"serve", "--public-url", "https://authz.example.com/?tenant=1"}, says: "--public-url"},
		{args: []string{"serve", "--public-url", "https://u:a-secret-of-mine@authz.example.com"}, says: "--public-url"},
		{args: []string{"serve", "--tls-cert", "cert.pem"}, says: "--tls-key"},
		{args: []string{"serve", "--schema", "no-such-file.zed"}, says: "--schema"},
		{args: []string{"serve", "--log-level", "loud"}, says: "--log-level"},
		{args: []string{"serve", "--log-format", "xml"}, says: "--log-format"},
		{args: []string{"serve", "--request-timeout", "0s"}, says: "--request-timeout"},
		{args: []string{"serve", "--expensive-requests", "0"}, says: "--expensive-requests"},
		{args: []string{"serve"}, env: [2]string{"SLUICE_REQUEST_TIMEOUT", "soon"}, says: "SLUICE_REQUEST_TIMEOUT"},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS", "backend:everything:a-secret-of-mine"}, says: "--api-key",
		},
		{
			args: []string{"serve", "--datastore", "memory", "--grpc-listen", taken.Addr().String(), "--listen", "127.0.0.1:0"},
			says: "--grpc-listen",
		},
		{
			args: []string{"serve", "--datastore", "memory", "--listen", taken.Addr().String(), "--grpc-listen", "off"},
			says: "--listen",
		},
		{
			args: []string{"serve", "--datastore", "postgres", "--datastore-uri", "postgres://u:a-secret-of-mine@127.0.0.1:1/d"},
			says: "--datastore-uri",
		},
		{args: []string{"serve", "--tls-cert", "main.go", "--tls-key", "main.go"}, says: "--tls-cert"},
		{args: []string{"serve", "--demo", "--api-key", "app:check:a-secret-of-mine"}, says: "sluice demo"},
		{args: []string{"serve"}, env: [2]string{"OTEL_TRACES_EXPORTER", "pigeon"}, says: "OTEL_TRACES_EXPORTER"},
		{args: []string{"health", "--ca", "no-such-file"}, says: "--ca"},
		{args: []string{"health", "--ca", "main.go"}, says: "--ca"},
		{
			args: []string{"serve", "surplus"},
			says: `sluice serve takes no arguments, only flags; given: "surplus"; sluice serve --help lists the flags`,
		},
		{args: []string{"check", "user:a", "view"}, says: "subject, a permission and a resource"},
		{args: []string{"check", "user:a", "view", "account:b"}, says: "--key"},
		{args: []string{"get"}, says: "one object"},
		{args: []string{"get", "leads", "--actor", "uma"}, says: "type:id"},
		{args: []string{"get", "importer:leads"}, says: "--actor"},
		{args: []string{"get", "importer:leads", "--actor", "uma"}, says: "--key"},
		{args: []string{"explain", "user:a", "view"}, says: "sluice explain user:uma run importer:i1"},
		{args: []string{"explain", "user:a", "view", "account:b"}, says: "--key"},
		{args: []string{"demo"}, says: "--key"},
		{args: []string{"audit", "verify", "--data-dir", "nowhere"}, says: "there is no audit log"},
		{args: []string{"audit", "head", "--audit-uri", "postgres://u:a-secret-of-mine@127.0.0.1:1/d"}, says: "--audit-uri"},
		{
			args: []string{"serve", "--listen", "0.0.0.0:0"},
			says: "--api-key or --api-keys-file: required because other machines can reach",
		},
		{args: []string{"serve", "--listen", ":0"}, says: "--api-key or --api-keys-file: required"},
		{args: []string{"serve", "--grpc-listen", "0.0.0.0:0"}, says: "--grpc-key: required because other machines can reach"},
		{args: []string{"serve", "--metrics-listen", "nowhere"}, says: "--metrics-listen"},
		{
			args: []string{"serve", "--datastore", "memory", "--grpc-listen", "off", "--metrics-listen", taken.Addr().String()},
			says: "--metrics-listen",
		},
		{args: []string{"serve", "--shutdown-delay", "-1s"}, says: "--shutdown-delay"},
		{args: []string{"serve", "--api-keys-file", ""}, says: "--api-keys-file: the value is empty"},
		{args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS", ""}, says: "SLUICE_API_KEYS: the value is empty"},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS_FILE", " "},
			says: "SLUICE_API_KEYS_FILE: the value is empty",
		},
		{args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS", "app:check:a-secret-of-mine,"}, says: "--api-key"},
		{args: []string{"serve"}, env: [2]string{"SLUICE_GRPC_KEY", ""}, says: "SLUICE_GRPC_KEY: the value is empty"},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_API_KEY", "app:check:a-secret-of-mine"},
			says: "SLUICE_API_KEY: the environment has this variable, which Sluice does not know; the nearest is SLUICE_API_KEYS; unset it",
		},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_HTTP_PORT", "9090"},
			says: "SLUICE_HTTP_PORT: the environment has this variable",
		},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_PORT", "9090"},
			says: "SLUICE_PORT: the environment has this variable",
		},
		{args: []string{"serve"}, env: [2]string{"SLUICE_HELP", "1"}, says: "SLUICE_HELP: the environment has this variable"},
		{
			args: []string{"check", "user:a", "view", "account:b"}, env: [2]string{"SLUICE_DATADIR", "x"},
			says: "the nearest is SLUICE_DATA_DIR",
		},
		{args: []string{"serve"}, env: [2]string{"SLUICE_" + strings.Repeat("X", 10000), "x"}, says: "SLUICE_XXX"},
		{args: []string{"audit", "nope"}, says: "nope"},
		{args: []string{"audit", "verfy"}, says: "did you mean verify?"},
		{args: []string{"srve"}, says: "did you mean serve?"},
		{args: []string{"schema", "diff"}, says: "there is no store in ./data"},
		{args: []string{"schema", "diff", "--datastore", "memory"}, says: "--datastore"},
		{
			args: []string{"backup"},
			says: "give one file, for example: sluice backup sluice-2026-11-24.db; given: 0 arguments",
		},
		{args: []string{"backup", "b.db", "--data-dir", "nowhere"}, says: "there is no store in nowhere"},
		{args: []string{"restore", "main_test.go", "--data-dir", "nowhere"}, says: "is not a SQLite file"},
		{args: []string{"export", "main_test.go", "--data-dir", "nowhere"}, says: "there is no store in nowhere"},
		{args: []string{"export", "x.yaml", "--datastore", "memory"}, says: "the datastore memory is lost when its server ends"},
		{args: []string{"import", "no-such-file.yaml"}, says: "no-such-file.yaml"},
		{args: []string{"import", "main_test.go", "--data-dir", "nowhere"}, says: "sluice: line 1: "},
		{args: []string{"nope"}, says: "sluice --help lists them"},
		{args: []string{"schema", "aply"}, says: "did you mean apply?"},
		{args: []string{"srve", "--demo"}, says: "did you mean serve?"},
		{args: []string{"bakcup", "--data-dir", "x"}, says: "did you mean backup?"},
		{args: []string{"audit", "verfy", "--head", "x"}, says: "did you mean verify?"},
		{args: []string{"schema", "aply", "--allow-breaking"}, says: "did you mean apply?"},
		{args: []string{"--nope"}, says: "unknown flag: --nope"},
		{args: []string{"serve", "--nope"}, says: "unknown flag: --nope"},
		{args: []string{"key", "nwe"}, says: "did you mean new?"},
		{args: []string{"help", "serv"}, says: "did you mean serve?"},
		{args: []string{"help", "schema", "aply"}, says: "did you mean apply?"},
		{args: []string{"serv", "--help"}, says: "did you mean serve?"},
		{args: []string{"schema", "aply", "-h"}, says: "did you mean apply?"},
		{args: []string{"completion", "bsh"}, says: "did you mean bash or"},
		{args: []string{"key", "new"}, says: "name"},
		{args: []string{"key", "new", "--name", "a", "--scopes", "all"}, says: "--scopes"},
		{args: []string{"key", "new", "--name", "a", "--rate", "often"}, says: "--rate"},
		{args: []string{"key", "new", "--name", "a", "--expires-in", "soon"}, says: "--expires-in"},
		{args: []string{"key", "new", "--name", "a", "--expires-in", "0s"}, says: "--expires-in"},
		{
			args: []string{"key", "new", "--name", "a", "--expires-in", "10000000d"},
			says: `--expires-in: "10000000d" must be a duration between 1s and 290y`,
		},
	} {
		t.Run(strings.Join(c.args, " ")+c.env[0], func(t *testing.T) {
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			stdout, stderr, code := sluice(t, c.args...)
			require.Equal(t, 2, code)
			require.Empty(t, stdout)
			require.Contains(t, stderr, c.says)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.NotContains(t, stderr, "a-secret-of-mine")
			require.NoDirExists(t, "nowhere")
		})
	}
}

func TestVersion(t *testing.T) {
	stdout, _, code := sluice(t, "--version")
	require.Zero(t, code)
	require.Contains(t, stdout, "sluice version")
	stdout, _, code = sluice(t, "version")
	require.Zero(t, code)
	require.Regexp(t, `^sluice \S+\nspicedb \S+\ngo1\S+ \S+/\S+\n$`, stdout)
}

// eventually waits for a condition that another process fulfils after a signal.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 5*time.Minute, 5*time.Millisecond, what)
}
