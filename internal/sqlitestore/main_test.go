package sqlitestore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// children are functions that tests run in a child process. The child is the test binary, started with the name of the
// function in an environment variable.
var children = map[string]func(directory string) error{
	"write": writeForever,
	"hold":  holdForever,
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

// startChild starts a child process, which is killed at the end of the test.
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

var background = context.Background() // child processes use it, since they have no test context
