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
)

// ErrExists is that there is something where a backup or a restored store would go.
var ErrExists = errors.New("exists already")

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
	half := file + ".part"
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		return Contents{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeStore(half))
		}
	}()
	c, err := connect(source, "ro")
	if err != nil {
		return Contents{}, err
	}
	_, err = c.execUntil(ctx, "VACUUM INTO ?", half)
	if err := errors.Join(err, c.Close()); err != nil {
		return Contents{}, err
	}
	contents, err := Verify(ctx, half)
	if err != nil {
		return Contents{}, fmt.Errorf("the copy of %s: %w", source, err)
	}
	if err := seal(ctx, half); err != nil {
		return Contents{}, failure(err)
	}
	contents.Bytes += sealLength
	return contents, replace(half, file)
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
	c, err := connect(file, "ro", "query_only(1)")
	if err != nil {
		return contents, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	var verdict string
	var at, forward, reverse int64
	if _, err := c.one("PRAGMA integrity_check(1)", nil, &verdict); err != nil {
		return contents, err
	}
	if verdict != "ok" {
		return contents, fmt.Errorf("%w: %s", ErrCorrupt, verdict)
	}
	if err := ctx.Err(); err != nil {
		return contents, err
	}
	for query, destination := range map[string]*int64{
		"SELECT revision FROM change ORDER BY id DESC LIMIT 1": &at,
		"SELECT count(*) FROM by_resource":                     &forward,
		"SELECT count(*) FROM by_subject":                      &reverse,
	} {
		if _, err := c.one(query, nil, destination); err != nil {
			return contents, err
		}
	}
	if at == 0 || forward != reverse {
		return contents, fmt.Errorf("%w: the last revision is %d, and there are %d relationships by resource and %d by subject", ErrCorrupt, at, forward, reverse)
	}
	return Contents{Committed: time.Unix(0, at), Relationships: forward, Bytes: info.Size()}, nil
}

// Restore checks a file that Backup made, and makes a copy of it the store of a directory that no server has open. With
// replaceStore, a store that is there is kept in the directory whose name it returns; without, ErrExists is returned. The
// restored store is another one for those who hold tokens: what was written after the backup is not in it.
func Restore(ctx context.Context, file, path string, replaceStore bool) (contents Contents, kept string, err error) {
	var pages int64
	if contents, err = Verify(ctx, file); err == nil {
		pages, err = checkSeal(ctx, file)
	}
	if err != nil {
		return contents, "", fmt.Errorf("%s: %w", file, err)
	}
	d, err := openDirectory(path)
	if err != nil {
		return contents, "", err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	exists := find(path) == nil
	if exists && !replaceStore {
		return contents, "", fmt.Errorf("the store %s %w", d.file(), ErrExists)
	}
	half := d.file() + ".new"
	if err := removeStore(half); err != nil {
		return contents, "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeStore(half))
		}
	}()
	if err := copyFile(file, half, pages); err != nil {
		return contents, "", err
	}
	c, err := connect(half, "rw", "journal_mode(off)", "synchronous(full)")
	if err != nil {
		return contents, "", err
	}
	_, err = c.exec("UPDATE store SET id = ?", uuid.NewString())
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

// copyFile copies the first bytes of a file into a new one.
func copyFile(from, to string, bytes int64) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(target, source, bytes)
	return failure(errors.Join(err, target.Close()))
}
