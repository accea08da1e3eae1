package sqlitestore

import (
	"errors"
	"fmt"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What can be wrong with a store. Errors of this package are one of these where they say more than their text.
var (
	// ErrCorrupt: the file, or what is in it, is not as this package has written it.
	ErrCorrupt = errors.New("the store is damaged")
	// ErrForeign: the file is none of this package.
	ErrForeign = errors.New("this is no store of Sluice")
	// ErrFull: there is no room on the disk.
	ErrFull = errors.New("no space is left on the disk of the store")
	// ErrInUse: another process has the directory open.
	ErrInUse = errors.New("the data directory is in use")
	// ErrNewer: the file was written by a newer version.
	ErrNewer = errors.New("the store was written by a newer version")
	// ErrNone: there is no store in the directory.
	ErrNone = errors.New("there is no store")
	// ErrNotWritable: the directory or the file is read-only.
	ErrNotWritable = errors.New("the store cannot be written")

	errBusy   = errors.New("the store is locked by another process")
	errClosed = errors.New("the store is closed")
	errDisk   = errors.New("the disk of the store fails")
)

// classes says what SQLite's result codes mean here.
var classes = map[int]error{
	sqlite3.SQLITE_BUSY:     errBusy,
	sqlite3.SQLITE_LOCKED:   errBusy,
	sqlite3.SQLITE_FULL:     ErrFull,
	sqlite3.SQLITE_READONLY: ErrNotWritable,
	sqlite3.SQLITE_PERM:     ErrNotWritable,
	sqlite3.SQLITE_CANTOPEN: ErrNotWritable,
	sqlite3.SQLITE_CORRUPT:  ErrCorrupt,
	sqlite3.SQLITE_NOTADB:   ErrCorrupt,
	sqlite3.SQLITE_IOERR:    errDisk,
}

// failed is an error of SQLite. To SpiceDB's callers it is "unavailable": nothing is wrong with what they asked.
type failed struct {
	class error
	cause error
}

func (f *failed) Error() string   { return fmt.Sprintf("%v: %v", f.class, f.cause) }
func (f *failed) Unwrap() []error { return []error{f.class, f.cause} }

// GRPCStatus is how SpiceDB answers a call that met the error.
func (f *failed) GRPCStatus() *status.Status { return status.New(codes.Unavailable, f.Error()) }

// failure gives an error of the driver its class, and one of the operating system, if it is that of a full disk.
func failure(err error) error {
	var known *sqlite.Error
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &failed{class: ErrFull, cause: err}
	}
	if !errors.As(err, &known) {
		return err
	}
	if class, ok := classes[known.Code()&0xff]; ok {
		return &failed{class: class, cause: err}
	}
	return err
}
