package main

import (
	"bufio"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStuckProcessEnds stops a server that blocks because nothing reads its log. The process must end nevertheless.
func TestStuckProcessEnds(t *testing.T) {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = reader.Close() }()
	fill(t, writer)
	cmd := program(
		t.Context(), "serve", "--listen", "127.0.0.1:0", "--grpc-listen", "off", "--datastore", "memory",
		"--shutdown-delay", "0s", "--drain-timeout", "0s",
	)
	cmd.Env = append(cmd.Env, "SLUICE_TEST_STOP_GRACE=1ms")
	cmd.Stderr = writer
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, writer.Close())
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ready") {
		continue
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	for lines.Scan() {
		continue
	}
	_ = cmd.Wait()
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
}

// fill writes to a pipe until it is full.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	conn, err := pipe.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, conn.Write(func(fd uintptr) bool {
		for size := 1 << 12; size > 0; {
			if _, err = syscall.Write(int(fd), make([]byte, size)); err != nil {
				size /= 2
			}
		}
		return true
	}))
	require.ErrorIs(t, err, syscall.EAGAIN)
}
