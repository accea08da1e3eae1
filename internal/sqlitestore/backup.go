package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-authz/sluice/internal/ownfile"
)

// ErrExists is returned if the backup file or the store exists already.
var ErrExists = ownfile.ErrExists

// ErrUnsealed is returned for a file without a seal. The seal is the last line of a backup, and has a hash of all
// bytes before it. Without the seal, later changes of the file cannot be detected.
var ErrUnsealed = errors.New("the file does not end with the hash that `sluice backup` writes")

// Contents describes a backup.
type Contents struct {
	Committed     time.Time // time of the last write
	Relationships int64
	Bytes         int64
}

// Backup copies the store of a directory into a new file and checks the copy. A server may write to the store
// meanwhile: the copy has the state of one moment. The file gets its name only when it is complete and on disk. The
// copy includes the history within the garbage-collection window.
func Backup(ctx context.Context, directory, file string) (_ Contents, err error) {
	if err := requireStore(directory); err != nil {
		return Contents{}, err
	}
	source := filepath.Join(directory, storeFile)
	if err := refuseLinks(directory); err != nil {
		return Contents{}, err
	}
	if err := checkHeader(source); err != nil {
		return Contents{}, err
	}
	if _, err := os.Lstat(file); err == nil {
		return Contents{}, fmt.Errorf("the file %s %w", file, ErrExists)
	}
	half, err := ownfile.Create(file, ".part")
	if err != nil {
		return Contents{}, err
	}
	defer func() {
		if err = errors.Join(err, half.Close()); err != nil {
			err = errors.Join(err, removeStore(half.Name()))
		}
	}()
	c, err := connectStore(source, "ro")
	if err != nil {
		return Contents{}, err
	}
	_, err = c.execUntil(ctx, "VACUUM INTO ?", half.Name())
	if err := errors.Join(err, c.Close()); err != nil {
		return Contents{}, err
	}
	contents, err := verify(ctx, half.Name())
	if err != nil {
		return Contents{}, fmt.Errorf("the copy of %s: %w", source, err)
	}
	if err := errors.Join(seal(ctx, half), half.Sync()); err != nil {
		return Contents{}, classify(err)
	}
	contents.Bytes += sealLength
	if err := ownfile.Publish(half, file); err != nil {
		return Contents{}, err
	}
	return contents, syncDirectory(file)
}

// verify checks a file that Backup made, or the file of a closed store. It reads the whole file and changes nothing.
func verify(ctx context.Context, file string) (contents Contents, err error) {
	if err := checkHeader(file); err != nil {
		return contents, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return contents, err
	}
	c, err := connectStore(file, "ro", "query_only(1)")
	if err != nil {
		return contents, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	var verdict string
	if _, err := c.queryRow("PRAGMA integrity_check(1)", nil, &verdict); err != nil {
		return contents, err
	}
	if verdict != "ok" {
		return contents, fmt.Errorf("%w: %s", ErrCorrupt, verdict)
	}
	if err := ctx.Err(); err != nil {
		return contents, err
	}
	stored, err := readStart(c) // without these rows no server could start on the copy
	if err != nil {
		return contents, err
	}
	if err := checkDefinitions(c, stored.head.revision); err != nil {
		return contents, err
	}
	count, err := compareOrders(ctx, c)
	if err != nil {
		return contents, err
	}
	return Contents{Committed: time.Unix(0, int64(stored.head.revision)), Relationships: count, Bytes: info.Size()}, nil
}

// RestoreOptions permit Restore to replace a store, or to accept a file without a seal. The zero value permits
// neither.
type RestoreOptions struct {
	// Replace moves an existing store into a directory beside the new one. Without it, Restore returns ErrExists.
	Replace bool

	// AllowUnsealed accepts a file without a seal, for example the file of a closed store. Without it, Restore returns
	// ErrUnsealed.
	AllowUnsealed bool
}

// openRegular opens a regular file for reading. It returns an error for a device or a named pipe: opening a pipe
// would wait for a writer.
func openRegular(file string) (*os.File, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: name the file that `sluice backup` wrote", file)
	}
	return os.Open(file)
}

// Restore checks a backup and copies it into a directory as its store. No server may have the directory open. Restore
// opens the file only once, so it copies the same bytes that it has checked. If it replaces a store, it moves the old
// store to the directory kept. The restored store gets a new id, since a token of the old store may name a write that
// the backup lacks.
func Restore(
	ctx context.Context, file, path string, options RestoreOptions,
) (contents Contents, kept string, err error) {
	source, err := openRegular(file)
	if err != nil {
		return contents, "", err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	line, length, err := checkBackup(ctx, source, options.AllowUnsealed)
	if err != nil {
		return contents, "", fmt.Errorf("%s: %w", file, err)
	}
	_, missing := os.Lstat(path)
	d, err := openDirectory(path)
	if err != nil {
		return contents, "", err
	}
	defer func() {
		err = errors.Join(err, d.close())
		if err != nil && errors.Is(missing, fs.ErrNotExist) { // openDirectory created the directory, which has no store
			err = errors.Join(err, os.Remove(d.lock.Path()), os.Remove(path))
		}
	}()
	exists := requireStore(path) == nil
	if exists && !options.Replace {
		return contents, "", fmt.Errorf("the store %s %w", d.file(), ErrExists)
	}
	half, err := d.copyOf(ctx, source, line, length)
	if err != nil {
		return contents, "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeStore(half))
		}
	}()
	if contents, err = verify(ctx, half); err != nil {
		return contents, "", fmt.Errorf("%s: %w", file, err)
	}
	contents.Bytes += int64(len(line))
	c, err := connectStore(half, "rw", "journal_mode(off)", "synchronous(full)")
	if err != nil {
		return contents, "", err
	}
	err = dropStatistics(c)
	if err == nil {
		_, err = c.exec("UPDATE store SET id = ?", uuid.NewString())
	}
	if err := errors.Join(err, c.Close()); err != nil {
		return contents, "", err
	}
	if exists {
		if kept, err = d.setAside(); err != nil {
			return contents, kept, err
		}
	}
	return contents, kept, replace(half, d.file())
}

// checkBackup checks the header and the seal of a file before anything is copied. It returns the line with the seal,
// and the length of the file without this line.
func checkBackup(ctx context.Context, file *os.File, allowUnsealed bool) (line string, length int64, err error) {
	if err := checkHeaderOf(file, file.Name()); err != nil {
		return "", 0, err
	}
	if line, length, err = readSeal(file); err != nil {
		return "", 0, err
	}
	if line == "" {
		log, err := os.Stat(file.Name() + "-wal")
		switch {
		case !allowUnsealed:
			return "", 0, fmt.Errorf("%w, so it may have been changed", ErrUnsealed)
		case err == nil && log.Size() > 0:
			return "", 0, fmt.Errorf(
				"%w, and a part of the store is still in %s-wal; start and stop a server on this store first",
				ErrUnsealed, file.Name(),
			)
		}
	}
	return line, length, checkSeal(ctx, line, io.NewSectionReader(file, 0, length))
}

// copyOf copies the bytes before the seal into a new file of the directory. It compares the copied bytes with the
// seal again, since the file may have changed after its first check.
func (d *directory) copyOf(ctx context.Context, source *os.File, line string, length int64) (path string, err error) {
	target, err := d.newFile()
	if err != nil {
		return "", err
	}
	err = checkSeal(ctx, line, io.TeeReader(io.NewSectionReader(source, 0, length), target))
	if err := errors.Join(err, target.Close()); err != nil {
		return "", errors.Join(classify(err), removeStore(target.Name()))
	}
	return target.Name(), nil
}

// setAside links the store into a new directory, whose name contains the current time, and returns this directory. The
// store also keeps its old name until the new store replaces it.
func (d *directory) setAside() (kept string, err error) {
	// If SQLite can still read the store, this moves the write-ahead log into the file.
	if c, err := connect(d.file(), "rw"); err == nil {
		_, _ = c.exec("PRAGMA wal_checkpoint(TRUNCATE)")
		_ = c.Close()
	}
	kept = filepath.Join(d.path, "replaced-"+time.Now().UTC().Format("20060102T150405.000Z"))
	if err := os.Mkdir(kept, 0o700); err != nil {
		return "", err
	}
	for _, suffix := range []string{"", "-wal"} {
		if err := os.Link(d.file()+suffix, filepath.Join(kept, storeFile)+suffix); err != nil && !errors.Is(
			err, fs.ErrNotExist,
		) {
			return kept, err
		}
	}
	for _, suffix := range []string{"-wal", "-shm"} { // SQLite must not apply these files to the new store
		if err := os.Remove(d.file() + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kept, err
		}
	}
	return kept, nil
}
