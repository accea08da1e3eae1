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

// The files of a data directory. While the store is open, SQLite adds the files -wal and -shm.
const (
	storeFile = "sluice.db"
	lockFile  = "sluice.lock"
)

// Values in the header of the file.
const (
	applicationID = 0x51_c1_ce_01
	fileVersion   = 1
)

// directory is a data directory that this process has locked.
type directory struct {
	path string
	lock *flock.Flock
}

// openDirectory locks the directory for this process. It creates the directory if it does not exist.
func openDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("%w: cannot make the data directory: %w", errNotWritable, err)
	}
	if err := refuseLinks(path); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(path, lockFile), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	d := &directory{path: path, lock: lock}
	locked, err := d.lock.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the data directory %s: %w", errNotWritable, path, err)
	case !locked:
		return nil, fmt.Errorf("%w: %s%s", ErrInUse, path, d.holder())
	}
	// The lock file names this process, so that another process can name it in its error. The lock ends with this
	// process.
	if err := os.WriteFile(d.lock.Path(), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: the data directory %s: %w", errNotWritable, path, err), d.lock.Close())
	}
	return d, nil
}

// holder names the process that has locked the directory, if the lock file says so.
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

// refuseLinks returns errForeign if a file of the data directory is a link.
func refuseLinks(directory string) error {
	for _, name := range []string{lockFile, storeFile, storeFile + "-wal", storeFile + "-shm", storeFile + "-journal"} {
		if err := ownfile.RefuseLink(filepath.Join(directory, name)); err != nil {
			return fmt.Errorf("%w: %w", errForeign, err)
		}
	}
	return nil
}

// requireStore returns ErrNone if the directory has no store.
func requireStore(path string) error {
	if _, err := os.Stat(filepath.Join(path, storeFile)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s", ErrNone, path)
	}
	return nil
}

// prepare creates the file of the store, or checks that this version can use it. If prepare rejects the file, it does
// not change it.
func (d *directory) prepare(now revision) error {
	switch err := checkHeader(d.file()); {
	case errors.Is(err, fs.ErrNotExist):
		return d.create(now)
	default:
		return err
	}
}

// newSuffix ends the name of a file that will become the store.
const newSuffix = ".new"

// newFile creates an empty file that will become the store, under a random name in the directory. It first deletes
// such files that killed processes have left.
func (d *directory) newFile() (*os.File, error) {
	if err := ownfile.RemoveLeftovers(d.file(), newSuffix); err != nil {
		return nil, err
	}
	file, err := ownfile.Create(d.file(), newSuffix)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotWritable, err)
	}
	return file, nil
}

// create creates the file of the store. It first writes it under another name, so that the store's name never belongs
// to an incomplete file.
func (d *directory) create(now revision) error {
	file, err := d.newFile()
	if err != nil {
		return err
	}
	half := file.Name()
	// Close the file before SQLite opens it. Closing it later would release SQLite's locks on the file.
	if err := file.Close(); err != nil {
		return errors.Join(err, removeStore(half))
	}
	c, err := connect(half, "rw", "journal_mode(off)", "synchronous(full)")
	if err != nil {
		return errors.Join(err, removeStore(half))
	}
	setUp := fmt.Sprintf(
		"PRAGMA application_id = %d; PRAGMA user_version = %d; BEGIN; %s COMMIT", applicationID, fileVersion, tables,
	)
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

// checkHeader reads the first bytes of the file without SQLite, which would start to recover the file.
func checkHeader(path string) error {
	file, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", errNotWritable, err)
	case err != nil:
		return err
	}
	defer file.Close()
	return checkHeaderOf(file, path)
}

// checkHeaderOf checks the first bytes of an open file. path is the name of the file.
func checkHeaderOf(file *os.File, path string) error {
	var header [100]byte
	if _, err := file.ReadAt(header[:], 0); err != nil {
		return fmt.Errorf("%w: %s is not a SQLite file", errForeign, path)
	}
	number := func(offset int) int64 { return int64(binary.BigEndian.Uint32(header[offset:])) }
	pageSize := int64(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 1 << 16
	}
	switch {
	case string(header[:16]) != "SQLite format 3\x00":
		return fmt.Errorf("%w: %s is not a SQLite file", errForeign, path)
	case number(68) != applicationID:
		return fmt.Errorf("%w: %s is a SQLite file of another application", errForeign, path)
	case number(60) > fileVersion:
		return fmt.Errorf(
			"%w: %s has version %d, but this program reads versions up to %d", errNewer, path, number(60), fileVersion,
		)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	// If there is a write-ahead log, the end of the file may be in it.
	if log, err := os.Stat(path + "-wal"); (err != nil || log.Size() == 0) && info.Size() < number(28)*pageSize {
		return fmt.Errorf(
			"%w: %s has been truncated: it has %d bytes of %d", ErrCorrupt, path, info.Size(), number(28)*pageSize,
		)
	}
	return nil
}

// replace renames a complete and closed file. It returns once the new name is on disk.
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

// syncDirectory returns once the name of a file is on disk.
func syncDirectory(path string) error {
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// removeStore deletes a file and the files that SQLite keeps beside it. Missing files are no error.
func removeStore(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
