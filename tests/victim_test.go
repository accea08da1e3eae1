package tests

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program compiles the program as `make build` does, once, and returns where it is.
var program = sync.OnceValues(func() (string, error) {
	directory, err := os.MkdirTemp("", "sluice-tests-")
	if err != nil {
		return "", err
	}
	atEnd(func(context.Context) error { return os.RemoveAll(directory) })
	path := filepath.Join(directory, "sluice")
	build := exec.CommandContext(
		context.Background(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "../cmd/sluice",
	)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling the program: %w\n%s", err, out)
	}
	return path, nil
})

// victim is a process of the program, which is there to be killed or stopped.
type victim struct {
	t       testing.TB
	process *exec.Cmd
	ready   chan addresses // once it is ready
	ended   chan struct{}
}

// addresses are those of the server, and of the SpiceDB in it if that is open.
type addresses struct{ url, spicedb string }

// newHost starts a server with a SpiceDB in its memory, for others, and waits for it.
func newHost(t testing.TB) *backend {
	t.Helper()
	key := rand.Text()
	found := newProcess(t, "--datastore", "memory", "--grpc-listen", "127.0.0.1:0", "--grpc-key", key).addresses()
	on, err := connect(found.url, found.spicedb, key)
	if err != nil {
		t.Fatal(err)
	}
	return on
}

// newVictim starts a server before the SpiceDB of another, and does not wait for it. It keeps its audit log in a
// directory.
func newVictim(t testing.TB, on *backend, directory string) *victim {
	t.Helper()
	return newProcess(
		t, "--data-dir", directory, "--spicedb-endpoint", on.address, "--spicedb-token", on.key, "--spicedb-insecure",
	)
}

func newProcess(t testing.TB, flags ...string) *victim {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	config := configuration()
	flags = append(
		[]string{
			"serve", "--listen", config.Listen, "--log-level", "error", "--shutdown-delay", "0s",
			"--request-timeout", config.RequestTimeout.String(), "--drain-timeout", config.DrainTimeout.String(),
			"--replica-verify", fmt.Sprint(config.Replica.Verify),
		}, flags...)
	for _, key := range apiKeys {
		flags = append(flags, "--api-key", key)
	}
	v := &victim{
		t: t, process: exec.CommandContext(t.Context(), path, flags...), ready: make(chan addresses, 1),
		ended: make(chan struct{}),
	}
	v.process.Stderr = os.Stderr
	out, err := v.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(v.ended)
		v.read(out)
		_ = v.process.Wait() // it is killed
	}()
	t.Cleanup(v.kill)
	return v
}

// read follows what the program prints: where it listens, and in the end that it is ready.
func (v *victim) read(out io.Reader) {
	var found addresses
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if url, ok := strings.CutPrefix(line, "Sluice listens on "); ok {
			found.url = url
		}
		if address, ok := strings.CutPrefix(line, "SpiceDB's own API, for zed:"); ok {
			found.spicedb = strings.TrimSpace(address)
		}
		if strings.HasPrefix(line, "Ready after ") {
			v.ready <- found
		}
	}
}

// addresses waits until the server is ready: what the one before it left undone is done then.
func (v *victim) addresses() addresses {
	v.t.Helper()
	select {
	case found := <-v.ready:
		return found
	case <-v.ended:
		v.t.Fatal("the server ended by itself")
	case <-time.After(5 * time.Minute):
		v.t.Fatal("the server is not ready after five minutes")
	}
	return addresses{}
}

func (v *victim) url() string {
	v.t.Helper()
	return v.addresses().url
}

// kill is kill -9.
func (v *victim) kill() {
	if err := v.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		v.t.Error(err)
	}
	<-v.ended
}

// stop is what an operator does: SIGTERM, and a wait until the server has ended by itself.
func (v *victim) stop() {
	v.t.Helper()
	if err := v.process.Process.Signal(syscall.SIGTERM); err != nil {
		v.t.Fatal(err)
	}
	select {
	case <-v.ended:
	case <-time.After(5 * time.Minute):
		v.t.Fatal("the server has not ended five minutes after SIGTERM")
	}
}
