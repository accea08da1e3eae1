//go:build unix

package ownfile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/ownfile"
)

// TestOpenRefusesFilesThatOthersPrepared checks that Open rejects symbolic links, files with a second hard link,
// directories, pipes, files of other users, and files that other users may read or write.
func TestOpenRefusesFilesThatOthersPrepared(t *testing.T) {
	directory := t.TempDir()
	path := func(name string) string { return filepath.Join(directory, name) }
	own := path("own")
	require.NoError(t, os.WriteFile(own, []byte("text"), 0o600))
	file, err := ownfile.Open(own, os.O_RDWR)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	require.NoError(t, os.Symlink(own, path("link")))
	require.NoError(t, os.Symlink(path("gone"), path("dangling")))
	require.NoError(t, os.Mkdir(path("directory"), 0o700))
	require.NoError(t, syscall.Mkfifo(path("pipe"), 0o600))
	for name, mode := range map[string]os.FileMode{"readable": 0o604, "writable": 0o620} {
		require.NoError(t, os.WriteFile(path(name), nil, 0o600))
		require.NoError(t, os.Chmod(path(name), mode))
	}
	require.NoError(t, os.WriteFile(path("one"), nil, 0o600))
	require.NoError(t, os.Link(path("one"), path("two")))
	names := []string{"link", "dangling", "directory", "pipe", "readable", "writable", "two"}
	if os.Getuid() == 0 {
		require.NoError(t, os.WriteFile(path("another's"), nil, 0o600))
		require.NoError(t, os.Chown(path("another's"), 4321, 4321))
		names = append(names, "another's")
	}
	for _, name := range names {
		_, err := ownfile.Open(path(name), os.O_RDWR)
		require.ErrorIs(t, err, ownfile.ErrForeign, name)
	}
	_, err = ownfile.Open(path("nothing"), os.O_RDWR|os.O_CREATE)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestPublish checks that Publish renames a file only if no file has the final name and nobody has replaced the file.
func TestPublish(t *testing.T) {
	directory := t.TempDir()
	target, outside := filepath.Join(directory, "target"), filepath.Join(directory, "outside")
	file, err := ownfile.Create(target, ".part")
	require.NoError(t, err)
	defer file.Close()
	require.True(t, ownfile.IsCreated(filepath.Base(file.Name()), target, ".part"))
	info, err := file.Stat()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, os.Symlink(outside, target))
	require.ErrorIs(t, ownfile.Publish(file, target), ownfile.ErrExists)
	require.NoFileExists(t, outside)
	require.NoError(t, os.Remove(target))
	require.NoError(t, ownfile.Publish(file, target))
	require.NoFileExists(t, file.Name())

	other, err := ownfile.Create(target, ".part")
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, os.Remove(other.Name()))
	require.NoError(t, os.WriteFile(other.Name(), []byte("something else"), 0o600))
	require.ErrorIs(t, ownfile.Publish(other, filepath.Join(directory, "new")), ownfile.ErrForeign)
	require.NoFileExists(t, filepath.Join(directory, "new"))
	require.NoError(t, ownfile.RemoveLeftovers(target, ".part"))
	require.NoFileExists(t, other.Name())
	require.FileExists(t, target)
}

// TestReplaceDoesNotFollowLinks checks that Replace replaces a link, and leaves the link's target unchanged.
func TestReplaceDoesNotFollowLinks(t *testing.T) {
	directory := t.TempDir()
	victim, note := filepath.Join(directory, "victim"), filepath.Join(directory, "note")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(victim, note))
	require.NoError(t, ownfile.Replace(note, []byte("new")))
	content, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
	content, err = os.ReadFile(note)
	require.NoError(t, err)
	require.Equal(t, "new", string(content))
}
