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

// Errors that callers can distinguish with errors.Is.
var (
	// ErrCorrupt means that the content of the file is not what this package writes.
	ErrCorrupt = errors.New("the store is damaged")
	// ErrFull means that the disk is full.
	ErrFull = errors.New("no space is left on the disk of the store")
	// ErrInUse means that another process has the directory open.
	ErrInUse = errors.New("the data directory is in use")
	// ErrNone means that the directory has no store.
	ErrNone = errors.New("there is no store")
)

var (
	errBusy   = errors.New("the store is locked by another process")
	errClosed = errors.New("the store is closed")
	errDisk   = errors.New("reading or writing the disk of the store failed")
	// errForeign means that another program made the file, or changed its SQLite schema.
	errForeign = errors.New("this is not a store of Sluice")
	// errNewer means that a newer version wrote the file.
	errNewer = errors.New("the store was written by a newer version")
	// errNotWritable means that the directory or the file is read-only.
	errNotWritable = errors.New("the store cannot be written")
)

// classes maps result codes of SQLite to errors of this package.
var classes = map[int]error{
	sqlite3.SQLITE_BUSY:     errBusy,
	sqlite3.SQLITE_LOCKED:   errBusy,
	sqlite3.SQLITE_FULL:     ErrFull,
	sqlite3.SQLITE_READONLY: errNotWritable,
	sqlite3.SQLITE_PERM:     errNotWritable,
	sqlite3.SQLITE_CANTOPEN: errNotWritable,
	sqlite3.SQLITE_CORRUPT:  ErrCorrupt,
	sqlite3.SQLITE_NOTADB:   ErrCorrupt,
	sqlite3.SQLITE_IOERR:    errDisk,
}

// sqliteError is an error of SQLite, together with the error of this package for its class. SpiceDB reports it as
// "unavailable", since the request did not cause it.
type sqliteError struct {
	class error
	cause error
}

func (f *sqliteError) Error() string   { return fmt.Sprintf("%v: %v", f.class, f.cause) }
func (f *sqliteError) Unwrap() []error { return []error{f.class, f.cause} }

// GRPCStatus returns the status with which SpiceDB answers the failed call.
func (f *sqliteError) GRPCStatus() *status.Status { return status.New(codes.Unavailable, f.Error()) }

// classify adds the error of this package to an error of the driver. If the operating system reports a full disk,
// classify adds ErrFull. It returns other errors unchanged.
func classify(err error) error {
	var known *sqlite.Error
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &sqliteError{class: ErrFull, cause: err}
	}
	if !errors.As(err, &known) {
		return err
	}
	if class, ok := classes[known.Code()&0xff]; ok {
		return &sqliteError{class: class, cause: err}
	}
	return err
}
