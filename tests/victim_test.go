package tests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/app"
)

// victimOf is the variable of the environment that makes the test binary a server of its own before the SpiceDB at the address
// and key that it holds.
const victimOf = "SLUICE_TEST_VICTIM"

// beVictim serves until it is killed, or whoever started it is gone. It prints where.
func beVictim(spicedb string) int {
	address, key, _ := strings.Cut(spicedb, " ")
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: address, Token: key, Insecure: true}
	server, err := app.Start(context.Background(), config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// victim is a process of a server that is there to be killed.
type victim struct {
	t       testing.TB
	process *exec.Cmd
	listens chan string // its address, once it is ready
	ended   chan struct{}
}

// newVictim starts a server in a process of its own, and does not wait for it.
func newVictim(t testing.TB, on *backend) *victim {
	t.Helper()
	return newVictimIn(t, on, t.TempDir())
}

// newVictimIn starts one that keeps its audit log in ./data of a directory.
func newVictimIn(t testing.TB, on *backend, directory string) *victim {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, process: exec.CommandContext(t.Context(), self), listens: make(chan string, 1), ended: make(chan struct{})}
	v.process.Dir = directory
	v.process.Env = append(os.Environ(), victimOf+"="+on.address+" "+on.key)
	v.process.Stderr = os.Stderr
	if _, err := v.process.StdinPipe(); err != nil { // it ends with this process
		t.Fatal(err)
	}
	out, err := v.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(v.ended)
		if line, err := bufio.NewReader(out).ReadString('\n'); err == nil {
			v.listens <- strings.TrimSpace(line)
		}
		_ = v.process.Wait() // it is killed
	}()
	t.Cleanup(v.kill)
	return v
}

// url waits until the server is ready: what the one before it left undone is done then.
func (v *victim) url() string {
	v.t.Helper()
	select {
	case url := <-v.listens:
		return url
	case <-v.ended:
		v.t.Fatal("the server ended by itself")
	case <-time.After(time.Minute):
		v.t.Fatal("the server is not ready after a minute")
	}
	return ""
}

// kill is kill -9.
func (v *victim) kill() {
	if err := v.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		v.t.Error(err)
	}
	<-v.ended
}
