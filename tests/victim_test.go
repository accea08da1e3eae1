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

// program runs `make build` once, and returns the path of the program. If the program is current, for example
// because `make image` has built it before, it is not linked again.
var program = sync.OnceValues(func() (string, error) {
	build := exec.CommandContext(context.Background(), "make", "--silent", "--directory=..", "build")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling the program: %w\n%s", err, out)
	}
	return filepath.Abs("../bin/sluice")
})

// victim is a process of the program sluice that a test kills or stops.
type victim struct {
	t       testing.TB
	process *exec.Cmd
	ready   chan addresses // receives the addresses when the server is ready
	ended   chan struct{}
}

// addresses are the address of the server, and that of its embedded SpiceDB if SpiceDB's API is open.
type addresses struct{ url, spicedb string }

// newHost starts a server with a SpiceDB in memory, which other servers use too. It waits until the server is ready.
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

// newVictim starts a server that uses the SpiceDB of another server. It does not wait until the server is ready. The
// server stores its audit log in the directory.
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
		_ = v.process.Wait() // the process was killed
	}()
	t.Cleanup(v.kill)
	return v
}

// read parses the output of the program: the addresses, and the line that says that the server is ready.
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

// addresses waits until the server is ready and has finished the interrupted work of an earlier server.
func (v *victim) addresses() addresses {
	v.t.Helper()
	select {
	case found := <-v.ready:
		return found
	case <-v.ended:
		v.t.Fatal("the server has ended, but the test did not stop it")
	case <-time.After(5 * time.Minute):
		v.t.Fatal("the server is not ready after five minutes")
	}
	return addresses{}
}

func (v *victim) url() string {
	v.t.Helper()
	return v.addresses().url
}

// kill sends SIGKILL.
func (v *victim) kill() {
	if err := v.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		v.t.Error(err)
	}
	<-v.ended
}

// stop sends SIGTERM, as an operator does, and waits until the server has ended.
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
