package main

import (
	"bufio"
	"bytes"
	"context"
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
