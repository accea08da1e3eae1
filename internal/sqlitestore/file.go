package sqlitestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"github.com/sluice-authz/sluice/internal/ownfile"
)

// The files of a data directory. SQLite keeps two more beside the store while it is open.
const (
	storeFile = "sluice.db"
	lockFile  = "sluice.lock"
)

// What the file says about itself in its header.
const (
	applicationID = 0x51_c1_ce_01
	fileVersion   = 1
)

// directory is a data directory that this process has for itself.
type directory struct {
	path string
	lock *flock.Flock
}

// openDirectory takes the directory for this process, and makes it if there is none.
func openDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("%w: cannot make the data directory: %w", ErrNotWritable, err)
	}
	for _, name := range []string{lockFile, storeFile, storeFile + "-wal", storeFile + "-shm", storeFile + "-journal"} {
		if err := ownfile.RefuseLink(filepath.Join(path, name)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrForeign, err)
		}
	}
	lock := flock.New(filepath.Join(path, lockFile), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	d := &directory{path: path, lock: lock}
	locked, err := d.lock.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the data directory %s: %w", ErrNotWritable, path, err)
	case !locked:
		return nil, fmt.Errorf("%w: %s%s", ErrInUse, path, d.holder())
	}
	// For the error of the next one. The lock ends with the process, whatever the file says.
	if err := os.WriteFile(d.lock.Path(), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: the data directory %s: %w", ErrNotWritable, path, err), d.lock.Close())
	}
	return d, nil
}

// holder says which process has the directory, as far as it can be known.
func (d *directory) holder() string {
	text, err := os.ReadFile(d.lock.Path())
	id, wrong := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || wrong != nil {
		return ""
	}
	return fmt.Sprintf(", by process %d", id)
}

func (d *directory) file() string { return filepath.Join(d.path, storeFile) }

func (d *directory) close() error { return d.lock.Close() }

// find returns ErrNone where there is no store.
func find(path string) error {
	if _, err := os.Stat(filepath.Join(path, storeFile)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s", ErrNone, path)
	}
	return nil
}

// prepare brings the file into being, or sees that it is one that this version can use. It changes nothing in a file that
// it refuses.
func (d *directory) prepare(now revision) error {
	switch err := checkHeader(d.file()); {
	case errors.Is(err, fs.ErrNotExist):
		return d.create(now)
	default:
		return err
	}
}

// newSuffix ends the name of a file that is to become the store.
const newSuffix = ".new"

// newFile creates an empty file in the directory under a random name, which is to become the store. It removes what
// processes that were killed have left of such files.
func (d *directory) newFile() (*os.File, error) {
	if err := ownfile.RemoveLeftovers(d.file(), newSuffix); err != nil {
		return nil, err
	}
	file, err := ownfile.Create(d.file(), newSuffix)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotWritable, err)
	}
	return file, nil
}

// create makes the file under another name first, so that a store is either whole or not there.
func (d *directory) create(now revision) error {
	file, err := d.newFile()
	if err != nil {
		return err
	}
	half := file.Name()
	if err := file.Close(); err != nil { // before SQLite opens it, whose locks would end with a later Close
		return errors.Join(err, removeStore(half))
	}
	c, err := connect(half, "rw", "journal_mode(off)", "synchronous(full)")
	if err != nil {
		return errors.Join(err, removeStore(half))
	}
	setUp := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; BEGIN; %s COMMIT", applicationID, fileVersion, tables)
	_, err = c.exec(setUp)
	if err == nil {
		_, err = c.exec("INSERT INTO store VALUES (?, ?)", uuid.NewString(), int64(now))
	}
	if err == nil {
		_, err = c.exec("INSERT INTO change (id, revision, relationships) VALUES (?1, ?1, 0)", int64(now))
	}
	if err := errors.Join(err, c.Close()); err != nil {
		return errors.Join(err, removeStore(half))
	}
	return replace(half, d.file())
}

// checkHeader reads the first bytes of the file, without SQLite, which would begin to recover a file that it can read.
func checkHeader(path string) error {
	file, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrNotWritable, err)
	case err != nil:
		return err
	}
	defer file.Close()
	return checkHeaderOf(file, path)
}

// checkHeaderOf is checkHeader for an open file.
func checkHeaderOf(file *os.File, path string) error {
	var header [100]byte
	if _, err := file.ReadAt(header[:], 0); err != nil {
		return fmt.Errorf("%w: %s is no SQLite file", ErrForeign, path)
	}
	number := func(offset int) int64 { return int64(binary.BigEndian.Uint32(header[offset:])) }
	pageSize := int64(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 1 << 16
	}
	switch {
	case string(header[:16]) != "SQLite format 3\x00":
		return fmt.Errorf("%w: %s is no SQLite file", ErrForeign, path)
	case number(68) != applicationID:
		return fmt.Errorf("%w: %s is a SQLite file of another application", ErrForeign, path)
	case number(60) > fileVersion:
		return fmt.Errorf("%w: %s has version %d, and this program reads up to %d", ErrNewer, path, number(60), fileVersion)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	// With a log beside it, the end of the file may be in there.
	if log, err := os.Stat(path + "-wal"); (err != nil || log.Size() == 0) && info.Size() < number(28)*pageSize {
		return fmt.Errorf(
			"%w: %s has been cut: its size in bytes is %d and was %d", ErrCorrupt, path, info.Size(), number(28)*pageSize,
		)
	}
	return nil
}

// replace gives a whole and closed file its name, and returns when that has reached the disk.
func replace(from, to string) error {
	file, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDirectory(to)
}

// syncDirectory returns when the name of a file has reached the disk.
func syncDirectory(path string) error {
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// removeStore removes a file with what SQLite keeps beside it, where it is.
func removeStore(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
