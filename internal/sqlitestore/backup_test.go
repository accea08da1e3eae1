package sqlitestore

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBackupOfARunningStore makes backups while another process writes to the store, and checks that each is complete.
func TestBackupOfARunningStore(t *testing.T) {
	t.Parallel()
	directory, elsewhere := t.TempDir(), t.TempDir()
	child, lines := startChild(t, "write", directory)
	for range 20 {
		require.True(t, lines.Scan())
	}
	go func() {
		for lines.Scan() { // keeps the pipe of the child empty
			continue
		}
	}()
	for range 10 {
		file := filepath.Join(t.TempDir(), "backup.db")
		contents, err := Backup(t.Context(), directory, file)
		require.NoError(t, err)
		require.Positive(t, contents.Relationships)
		_, err = Backup(t.Context(), directory, file)
		require.ErrorIs(t, err, ErrExists)

		restored, kept, err := Restore(t.Context(), file, elsewhere, RestoreOptions{Replace: true})
		require.NoError(t, err)
		require.Equal(t, contents, restored)
		s, err := Open(elsewhere, Options{})
		require.NoError(t, err)
		var last []int
		for w := range writers {
			number, err := lastBatch(t.Context(), s, w)
			require.NoError(t, err)
			last = append(last, number)
		}
		requireBatches(t, s, last)
		require.EqualValues(t, contents.Relationships, s.head.Load().relationships)
		require.NoError(t, s.Close())
		if kept != "" {
			_, err := verify(t.Context(), filepath.Join(kept, storeFile))
			require.NoError(t, err)
		}
	}
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
}

func TestRestore(t *testing.T) {
	t.Parallel()
	directory, file := t.TempDir(), filepath.Join(t.TempDir(), "backup.db")
	s, err := Open(directory, Options{})
	require.NoError(t, err)
	require.NoError(t, writeBatch(t.Context(), s, 0, 1))
	first := s.head.Load().revision
	require.NoError(t, writeBatch(t.Context(), s, 0, 2))
	backedUp := s.head.Load().revision
	contents, err := Backup(t.Context(), directory, file)
	require.NoError(t, err)
	require.EqualValues(t, 2*batchSize+1, contents.Relationships)
	require.Equal(t, int64(backedUp), contents.Committed.UnixNano())
	require.NoError(t, writeBatch(t.Context(), s, 0, 3))
	before := s.id

	_, _, err = Restore(t.Context(), file, directory, RestoreOptions{Replace: true})
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, s.Close())
	_, _, err = Restore(t.Context(), file, directory, RestoreOptions{})
	require.ErrorIs(t, err, ErrExists)
	unchanged := open(t, directory, Options{})
	requireBatches(t, unchanged, []int{3, 0, 0, 0})
	require.NoError(t, unchanged.Close())

	_, kept, err := Restore(t.Context(), file, directory, RestoreOptions{Replace: true})
	require.NoError(t, err)
	restored := open(t, directory, Options{})
	requireBatches(t, restored, []int{2, 0, 0, 0})
	require.NotEqual(t, before, restored.id, "a token from after the backup must not be valid here")
	require.NoError(t, restored.CheckRevision(t.Context(), first), "the backup contains the history of the window")
	require.NoError(t, writeBatch(t.Context(), restored, 0, 3))
	replaced := open(t, kept, Options{})
	requireBatches(t, replaced, []int{3, 0, 0, 0})

	fresh := filepath.Join(t.TempDir(), "new", "directory")
	_, kept, err = Restore(t.Context(), file, fresh, RestoreOptions{})
	require.NoError(t, err)
	require.Empty(t, kept)
	requireBatches(t, open(t, fresh, Options{}), []int{2, 0, 0, 0})
}

// TestRestoreRefusesAPipe checks that Restore does not wait for a pipe.
func TestRestoreRefusesAPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, file := range []string{pipe, os.DevNull, t.TempDir()} {
		directory := filepath.Join(t.TempDir(), "store")
		_, _, err := Restore(t.Context(), file, directory, RestoreOptions{AllowUnsealed: true})
		require.ErrorContains(t, err, file+" is not a regular file")
		require.NoDirExists(t, directory)
	}
}

// TestRestoreRefuses checks that Restore rejects a backup with any damage and keeps the existing store.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	directory, file := t.TempDir(), filepath.Join(t.TempDir(), "backup.db")
	newUsedStore(t, directory)
	_, err := Backup(t.Context(), directory, file)
	require.NoError(t, err)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	before := content(t, directory)
	changed := func(file []byte, where int) []byte { file[where] ^= 1; return file }
	detail := bytes.Index(whole, []byte("batch 0-200")) // SQLite's own check accepts any text here
	require.Positive(t, detail)
	for name, c := range map[string]struct {
		damage func(file []byte) []byte
		want   error
	}{
		"truncated":           {func(file []byte) []byte { return file[:len(file)-1] }, ErrCorrupt},
		"truncated by a page": {func(file []byte) []byte { return file[:len(file)-int(sealLength)-4096] }, ErrCorrupt},
		"a wrong page": {
			func(file []byte) []byte { copy(file[len(file)-5000:], make([]byte, 4096)); return file }, ErrCorrupt,
		},
		"a letter of an id":   {func(file []byte) []byte { return changed(file, detail+len("batch 0-20")) }, ErrCorrupt},
		"a digit of the hash": {func(file []byte) []byte { return changed(file, len(file)-2) }, ErrCorrupt},
		"another format":      {func([]byte) []byte { return []byte("a text") }, errForeign},
		"empty":               {func([]byte) []byte { return nil }, errForeign},
		"another application": {func(file []byte) []byte { return changed(file, 68) }, errForeign},
		"newer version": {
			func(file []byte) []byte { binary.BigEndian.PutUint32(file[60:], fileVersion+1); return file }, errNewer,
		},
	} {
		damaged := filepath.Join(t.TempDir(), "damaged.db")
		require.NoError(t, os.WriteFile(damaged, c.damage(append([]byte{}, whole...)), 0o600))
		for _, to := range []string{directory, filepath.Join(t.TempDir(), "new")} {
			_, _, err := Restore(t.Context(), damaged, to, RestoreOptions{Replace: true})
			require.ErrorIs(t, err, c.want, name)
			if to != directory {
				require.NoDirExists(t, to)
			}
		}
	}
	require.Equal(t, before, content(t, directory))
	_, _, err = Restore(t.Context(), filepath.Join(t.TempDir(), "nothing"), directory, RestoreOptions{Replace: true})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Backup(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "backup.db"))
	require.ErrorIs(t, err, ErrNone)
}
