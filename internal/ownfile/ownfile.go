// Package ownfile creates and opens files that no other user can have prepared. It creates a new file exclusively, with
// a random name. It opens an existing file only if it is not a link, this user owns it, and no other user may read or
// write it.
package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrForeign is the error for a file that another user may have prepared.
var ErrForeign = errors.New("not a file of this user alone")

// ErrExists is the error for a name that exists already.
var ErrExists = errors.New("exists already")

// Create creates a file beside path for this user alone. Its name consists of the name of path, a random part and the
// suffix. The caller renames it with Publish or removes it.
func Create(path, suffix string) (*os.File, error) {
	// CreateTemp opens with O_EXCL, which neither reuses a file nor follows a link.
	return os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+suffix)
}

// IsCreated reports whether Create may have created a file beside path with this name, which has no folder.
func IsCreated(name, path, suffix string) bool {
	rest, ok := strings.CutPrefix(name, filepath.Base(path)+".")
	random, ends := strings.CutSuffix(rest, suffix)
	return ok && ends && random != "" && strings.Trim(random, "0123456789") == ""
}

// RemoveLeftovers removes files that Create made beside path for processes that were killed. Meanwhile, no other
// process may create such files.
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

// Open opens an existing file without following a link. It returns ErrForeign unless the file is a regular one with a
// single name that this user owns and no other user may read or write.
func Open(path string, flag int) (*os.File, error) {
	before, err := os.Lstat(path) // Lstat comes before Open, since opening a pipe waits for its other end
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

// check returns ErrForeign unless the file belongs to this user alone.
func check(path string, info fs.FileInfo) error {
	switch owned, single := ownership(info); {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is %w: it is a link or not a regular file", path, ErrForeign)
	case !owned:
		return fmt.Errorf("%s is %w: another user owns it", path, ErrForeign)
	case !single:
		return fmt.Errorf("%s is %w: it has more than one hard link", path, ErrForeign)
	case info.Mode().Perm()&othersMay != 0:
		return fmt.Errorf("%s is %w: its mode %#o lets others read or write it", path, ErrForeign, info.Mode().Perm())
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

// Replace writes content under path atomically, for this user alone. It replaces an existing file or link.
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

// Publish gives a complete file its final name. It returns ErrExists if the name exists, and ErrForeign if another
// program has replaced the file. The caller must have synced the file.
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
	// Any other error means that the file system has no hard links.
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("the file %s %w", to, ErrExists)
	}
	return os.Rename(file.Name(), to)
}
