package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
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

// TestCommandThatReadsAPipeEnds stops a command while it waits for somebody to write to a pipe.
func TestCommandThatReadsAPipeEnds(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for name, args := range map[string][]string{
		"import":       {"import", pipe, "--dry-run", "--data-dir", t.TempDir()},
		"schema print": {"schema", "print", "--schema", pipe},
	} {
		cmd := program(t.Context(), args...)
		cmd.Env = append(cmd.Env, "SLUICE_TEST_STOP_GRACE=1ms")
		stderr, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		// The open for writing waits until the command has opened the pipe. So the signal comes while the command reads.
		writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		said, err := io.ReadAll(stderr)
		require.NoError(t, err)
		_ = cmd.Wait()
		require.Equal(t, 2, cmd.ProcessState.ExitCode(), name)
		require.Contains(t, string(said), "the command still runs", name)
		require.NoError(t, writer.Close())
	}
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
