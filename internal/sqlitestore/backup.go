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

// ErrExists is that there is something where a backup or a restored store would go.
var ErrExists = ownfile.ErrExists

// ErrUnsealed is the error for a file without the line that Backup writes with its hash. Changes of such a file since the
// backup cannot be detected.
var ErrUnsealed = errors.New("the backup has no seal")

// Contents is what a backup holds.
type Contents struct {
	Committed     time.Time // the last write
	Relationships int64
	Bytes         int64
}

// Backup copies the store of a directory as it is at one moment into a new file, while a server may be writing to it, and
// checks the copy. The file is there when it is whole and has reached the disk. The revisions of the garbage-collection
// window are in it as well.
func Backup(ctx context.Context, directory, file string) (_ Contents, err error) {
	if err := find(directory); err != nil {
		return Contents{}, err
	}
	source := filepath.Join(directory, storeFile)
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
	contents, err := Verify(ctx, half.Name())
	if err != nil {
		return Contents{}, fmt.Errorf("the copy of %s: %w", source, err)
	}
	if err := errors.Join(seal(ctx, half), half.Sync()); err != nil {
		return Contents{}, failure(err)
	}
	contents.Bytes += sealLength
	if err := ownfile.Publish(half, file); err != nil {
		return Contents{}, err
	}
	return contents, syncDirectory(file)
}

// Verify reads the whole of a file that Backup made, or of one whose store is closed, and changes nothing.
func Verify(ctx context.Context, file string) (contents Contents, err error) {
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
	if _, err := c.one("PRAGMA integrity_check(1)", nil, &verdict); err != nil {
		return contents, err
	}
	if verdict != "ok" {
		return contents, fmt.Errorf("%w: %s", ErrCorrupt, verdict)
	}
	if err := ctx.Err(); err != nil {
		return contents, err
	}
	stored, err := readStart(c) // a server could not start on it otherwise
	if err != nil {
		return contents, err
	}
	count, err := compareOrders(ctx, c)
	if err != nil {
		return contents, err
	}
	return Contents{Committed: time.Unix(0, int64(stored.head.revision)), Relationships: count, Bytes: info.Size()}, nil
}

// RestoreOptions say what Restore may do. The zero value permits the least.
type RestoreOptions struct {
	// Replace keeps a store that exists in a directory beside it. Without it, such a store makes Restore return ErrExists.
	Replace bool

	// AllowUnsealed accepts a file without a seal, such as that of a store that was closed. Without it, Restore returns
	// ErrUnsealed.
	AllowUnsealed bool
}

// openRegular opens a file to read it. It refuses a pipe, whose opening would wait for its other end, and a device.
func openRegular(file string) (*os.File, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file: name the file that `sluice backup` wrote", file)
	}
	return os.Open(file)
}

// Restore checks a file that Backup made, and makes a copy of it the store of a directory that no server has open. It opens
// the file once: the bytes that it has checked are those that it copies. kept is the directory of a replaced store. The
// restored store is another one for those who hold tokens: what was written after the backup is not in it.
func Restore(ctx context.Context, file, path string, options RestoreOptions) (contents Contents, kept string, err error) {
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
		if err != nil && errors.Is(missing, fs.ErrNotExist) { // it was made for a store that there is not
			err = errors.Join(err, os.Remove(d.lock.Path()), os.Remove(path))
		}
	}()
	exists := find(path) == nil
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
	if contents, err = Verify(ctx, half); err != nil {
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
		if kept, err = d.keep(); err != nil {
			return contents, kept, err
		}
	}
	return contents, kept, replace(half, d.file())
}

// checkBackup checks what can be checked before anything is copied: the header and the seal, which it returns, and the
// length of the file without it.
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
			return "", 0, fmt.Errorf("%w, the line with its hash at its end: anybody may have changed it", ErrUnsealed)
		case err == nil && log.Size() > 0:
			return "", 0, fmt.Errorf("%w: a part of it is still in %s-wal; start and stop a server on it first", ErrUnsealed, file.Name())
		}
	}
	return line, length, checkSeal(ctx, line, io.NewSectionReader(file, 0, length))
}

// copyOf copies the first bytes of a file into a new file of the directory, while it compares them with the seal: the file
// may have changed since it was checked.
func (d *directory) copyOf(ctx context.Context, source *os.File, line string, length int64) (path string, err error) {
	target, err := d.newFile()
	if err != nil {
		return "", err
	}
	err = checkSeal(ctx, line, io.TeeReader(io.NewSectionReader(source, 0, length), target))
	if err := errors.Join(err, target.Close()); err != nil {
		return "", errors.Join(failure(err), removeStore(target.Name()))
	}
	return target.Name(), nil
}

// keep puts the store aside, as a whole, under a name that tells the time. It stays in its place until another takes it.
func (d *directory) keep() (kept string, err error) {
	// Where SQLite can still read it, everything is in the one file then.
	if c, err := connect(d.file(), "rw"); err == nil {
		_, _ = c.exec("PRAGMA wal_checkpoint(TRUNCATE)")
		_ = c.Close()
	}
	kept = filepath.Join(d.path, "replaced-"+time.Now().UTC().Format("20060102T150405.000Z"))
	if err := os.Mkdir(kept, 0o700); err != nil {
		return "", err
	}
	for _, suffix := range []string{"", "-wal"} {
		if err := os.Link(d.file()+suffix, filepath.Join(kept, storeFile)+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kept, err
		}
	}
	for _, suffix := range []string{"-wal", "-shm"} { // they must not be taken for those of the new file
		if err := os.Remove(d.file() + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kept, err
		}
	}
	return kept, nil
}
