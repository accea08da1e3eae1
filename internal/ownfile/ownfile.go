// Package ownfile creates and opens files that no other user can have written or replaced. A new file has a random
// name, and must not exist before. An existing file is opened only if it is not a link, the current user owns it, and
// no other user may read or write it.
package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrForeign is returned for a file that another user may have written or put there.
var ErrForeign = errors.New("not a private file of the current user")

// ErrExists is returned if a file with the name exists already.
var ErrExists = errors.New("exists already")

// Create creates a file that only the current user may read and write, in the folder of path. Its name consists of
// the name of path, a random number and the suffix. The caller renames the file with Publish, or removes it.
func Create(path, suffix string) (*os.File, error) {
	// CreateTemp opens with O_EXCL, which neither reuses a file nor follows a link.
	return os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+suffix)
}

// IsCreated reports whether a file with this name may have been created by Create with the same path and suffix. name
// has no folder.
func IsCreated(name, path, suffix string) bool {
	rest, ok := strings.CutPrefix(name, filepath.Base(path)+".")
	random, ends := strings.CutSuffix(rest, suffix)
	return ok && ends && random != "" && strings.Trim(random, "0123456789") == ""
}

// RemoveLeftovers removes the files that Create made for path and suffix in processes that were killed. While it
// runs, no other process may create such files.
func RemoveLeftovers(path, suffix string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if IsCreated(entry.Name(), path, suffix) {
			if err := os.Remove(filepath.Join(filepath.Dir(path), entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Open opens an existing file, and does not follow a link. It returns ErrForeign unless the file is a regular file
// with a single name, the current user owns it, and no other user may read or write it.
func Open(path string, flag int) (*os.File, error) {
	before, err := os.Lstat(path) // check before opening, since opening a named pipe waits for another process
	if err != nil {
		return nil, err
	}
	if err := check(path, before); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, flag&^os.O_CREATE|noFollow, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = check(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// check returns ErrForeign unless info describes a file that Open accepts.
func check(path string, info fs.FileInfo) error {
	switch owned, single := ownership(info); {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is %w: it is a link or not a regular file", path, ErrForeign)
	case !owned:
		return fmt.Errorf("%s is %w: another user owns it", path, ErrForeign)
	case !single:
		return fmt.Errorf("%s is %w: it has more than one hard link", path, ErrForeign)
	case info.Mode().Perm()&othersMay != 0:
		return fmt.Errorf(
			"%s is %w: its mode %#o lets other users read or write it", path, ErrForeign, info.Mode().Perm(),
		)
	}
	return nil
}

// RefuseLink returns ErrForeign if path is a link or not a regular file. A path that does not exist is accepted.
func RefuseLink(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is %w: it is a link or not a regular file", path, ErrForeign)
	}
	return nil
}

// Replace writes content atomically to a new file at path, which only the current user may read and write. If path
// exists, Replace replaces it. If path is a link, Replace replaces the link, not its target.
func Replace(path string, content []byte) error {
	file, err := Create(path, ".new")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// Publish renames a complete file to its final name. It returns ErrExists if a file with this name exists, and
// ErrForeign if another program has replaced the complete file. The caller must have synced the file.
func Publish(file *os.File, to string) error {
	written, err := file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(file.Name())
	if err != nil {
		return err
	}
	if !os.SameFile(written, named) {
		return fmt.Errorf("%s is %w: another program replaced it", file.Name(), ErrForeign)
	}
	switch err := os.Link(file.Name(), to); { // unlike a rename, a link does not replace an existing file
	case err == nil:
		return os.Remove(file.Name())
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("the file %s %w", to, ErrExists)
	}
	// After any other error, assume that the file system has no hard links.
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("the file %s %w", to, ErrExists)
	}
	return os.Rename(file.Name(), to)
}
