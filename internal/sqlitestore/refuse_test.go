package sqlitestore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// newUsedStore creates a store with 200 batches and returns its file.
func newUsedStore(t *testing.T, directory string) string {
	t.Helper()
	s, err := Open(directory, Options{})
	require.NoError(t, err)
	for number := 1; number <= 200; number++ {
		require.NoError(t, writeBatch(t.Context(), s, 0, number))
	}
	require.NoError(t, s.Close())
	return filepath.Join(directory, storeFile)
}

// content returns the names and hashes of all files in a directory, except for the lock.
func content(t *testing.T, directory string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(directory)
	require.NoError(t, err)
	for _, entry := range entries {
		if entry.Name() == lockFile {
			continue
		}
		bytes, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		require.NoError(t, err)
		out[entry.Name()] = fmt.Sprintf("%x", sha256.Sum256(bytes))
	}
	return out
}

// TestRefuses checks that Open returns one clear error for an unusable file and leaves the file unchanged.
func TestRefuses(t *testing.T) {
	whole, err := os.ReadFile(newUsedStore(t, t.TempDir()))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		damage func(file []byte) []byte
		want   error
		says   string
	}{
		"not a SQLite file": {
			damage: func([]byte) []byte {
				return []byte(
					"these are somebody's notes, not a store, and they are longer than a hundred bytes, which is a header's length",
				)
			},
			want: errForeign, says: "is not a SQLite file",
		},
		"empty": {
			damage: func([]byte) []byte { return nil },
			want:   errForeign, says: "is not a SQLite file",
		},
		"another application": {
			damage: func(file []byte) []byte { binary.BigEndian.PutUint32(file[68:], 7); return file },
			want:   errForeign, says: "another application",
		},
		"newer": {
			damage: func(file []byte) []byte { binary.BigEndian.PutUint32(file[60:], fileVersion+1); return file },
			want:   errNewer, says: fmt.Sprintf("version %d", fileVersion+1),
		},
		"truncated": {
			damage: func(file []byte) []byte { return file[:len(file)-4096] },
			want:   ErrCorrupt, says: "has been truncated",
		},
		"a page of garbage": {
			damage: func(file []byte) []byte {
				for i := 4096; i < 8192; i++ {
					file[i] = 0xAA
				}
				return file
			},
			want: ErrCorrupt, says: "malformed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(directory, storeFile), c.damage(slices.Clone(whole)), 0o600))
			before := content(t, directory)
			for range 2 { // the second attempt shows that the first has unlocked the directory
				_, err := Open(directory, Options{})
				require.ErrorIs(t, err, c.want)
				require.ErrorContains(t, err, c.says)
			}
			require.Equal(t, before, content(t, directory))
		})
	}
}

func holdForever(directory string) error {
	if _, err := Open(directory, Options{}); err != nil {
		return err
	}
	fmt.Println("open")
	select {}
}

func TestRefusesASecondProcess(t *testing.T) {
	directory := t.TempDir()
	child, lines := startChild(t, "hold", directory)
	require.True(t, lines.Scan())
	_, err := Open(directory, Options{})
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, fmt.Sprintf("%s, by process %d", directory, child.Process.Pid))

	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	s := open(t, directory, Options{}) // the lock ended with the process
	_, err = Open(directory, Options{})
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, writeBatch(t.Context(), s, 0, 1))
}

func TestRefusesADirectoryWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere; TestReadOnlyDisk tests the same")
	}
	directory := t.TempDir()
	newUsedStore(t, directory)
	require.NoError(t, os.Chmod(filepath.Join(directory, lockFile), 0o400))
	_, err := Open(directory, Options{})
	require.ErrorIs(t, err, errNotWritable)
	_, err = Open(filepath.Join("/proc/nowhere"), Options{})
	require.ErrorIs(t, err, errNotWritable)
}
