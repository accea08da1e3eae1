package sqlitestore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// children are what a process does that a test starts: this program, with the name in its environment.
var children = map[string]func(directory string) error{
	"write":     writeForEver,
	"hold":      holdForEver,
	"full":      fillDisk,
	"read-only": openReadOnly,
}

const childName, childDirectory = "SLUICE_TEST_CHILD", "SLUICE_TEST_DIRECTORY"

func TestMain(m *testing.M) {
	if child, ok := children[os.Getenv(childName)]; ok {
		if err := child(os.Getenv(childDirectory)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// startChild starts a process. It is killed at the end of the test, if it is still there.
func startChild(t *testing.T, name, directory string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childName+"="+name, childDirectory+"="+directory)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	return command, bufio.NewScanner(out)
}

// runInMount runs a child in namespaces of its own, in which it may mount a disk on the directory.
func runInMount(t *testing.T, name string) {
	t.Helper()
	directory := t.TempDir()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childName+"="+name, childDirectory+"="+directory)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Skipf("this system does not let a test mount a disk of its own: %v", err)
	}
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// mountDisk puts a small disk of memory on the directory, for this process alone.
func mountDisk(directory, size string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	return syscall.Mount("tmpfs", directory, "tmpfs", 0, "size="+size)
}

var background = context.Background() //nolint:usetesting // of processes without a test
