package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Report is what became of a verification.
type Report struct {
	Entries int64  // how many there are
	Head    string // the hash of the last one; empty if there is none
	Kept    int64  // the number of the entry whose hash was kept elsewhere; zero if none was given or it is not there

	// Faults are what is wrong, the first maxFaults of them; none if nothing is.
	Faults []string
}

const (
	maxFaults  = 1000
	verifyPage = 500
)

// Verify goes through the whole chain: every entry must have the next number, the hash of its text, and the hash of the entry
// before it. With kept, a hash that was printed earlier, some entry must have that: else the log was cut off before it, or was
// written anew.
//
// What is derived from the texts is derived again and compared: the columns beside a text, the words by which entries are found, and the
// relationships after the last entry; and so is the schema of the database.
func (l *Log) Verify(ctx context.Context, kept string, place Place) (Report, error) {
	v := verification{kept: kept, prev: firstPrev}
	var options *sql.TxOptions
	if l.shared {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := l.db.BeginTx(ctx, options) // all of it at one moment, while a server may write
	if err != nil {
		return v.Report, failure(err)
	}
	defer func() { _ = tx.Rollback() }()
	d := newDerived(ctx, tx, place, &v)
	for after, more := int64(0), true; more; {
		rows, err := tx.QueryContext(ctx, "SELECT seq, body, hash, at, COALESCE(revision, ''), COALESCE(part, 0) FROM sluice_audit_entries WHERE seq > $1 ORDER BY seq LIMIT $2", after, verifyPage)
		if err != nil {
			return v.Report, failure(err)
		}
		before := after
		var entries []Entry
		if after, entries, err = v.rows(rows, after); err != nil {
			return v.Report, failure(err)
		}
		for _, e := range entries {
			if err := d.entry(e); err != nil {
				return v.Report, failure(err)
			}
		}
		more = after > before
	}
	var wrote int64 // not in a log that another version of Sluice made
	err = tx.QueryRowContext(ctx, "SELECT token FROM sluice_audit_state WHERE id = $1", stateLast).Scan(&wrote)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return v.Report, failure(err)
	case wrote > v.last:
		v.fault("the log ends with entry %d, and entry %d was written last: the end was cut off", v.last, wrote)
	case err == nil && wrote < v.last:
		v.fault("the log ends with entry %d, and entry %d is noted as the last one", v.last, wrote)
	}
	if err := errors.Join(d.compare(), l.compareSchema(ctx, tx, &v)); err != nil {
		return v.Report, failure(err)
	}
	if kept != "" && v.Kept == 0 {
		v.fault("no entry has the hash %s that was kept: the log was cut off before it, or written anew", kept)
	}
	return v.Report, nil
}

type verification struct {
	Report
	kept, prev string
	last       int64 // the number of the entry that was looked at last
}

func (v *verification) rows(rows *sql.Rows, last int64) (_ int64, entries []Entry, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var seq int64
		var body []byte
		var hash string
		var at int64
		var revision string
		var part int
		if err := rows.Scan(&seq, &body, &hash, &at, &revision, &part); err != nil {
			return last, nil, err
		}
		v.entry(last+1, seq, body, hash)
		last = seq
		if e, err := parse(body); err == nil {
			if at != e.Time.UnixMicro() || revision != e.Revision || revision != "" && part != e.Part {
				v.fault("entry %d: its columns say time %d, revision %q and part %d, and its text %d, %q and %d",
					seq, at, revision, part, e.Time.UnixMicro(), e.Revision, e.Part)
			}
			e.Seq = seq
			entries = append(entries, e)
		}
	}
	return last, entries, rows.Err()
}

func (v *verification) entry(expected, seq int64, body []byte, hash string) {
	v.Entries++
	switch e, err := parse(body); {
	case seq > expected && seq == expected+1:
		v.fault("entry %d is missing", expected)
	case seq > expected:
		v.fault("entries %d to %d are missing", expected, seq-1)
	case err != nil:
		v.fault("entry %d was changed: it is no longer JSON", seq)
	case hashOf(body) != hash:
		v.fault("entry %d was changed: its text does not have its hash", seq)
	case e.Seq != seq:
		v.fault("entry %d was moved: its text says %d", seq, e.Seq)
	case e.Prev != v.prev:
		v.fault("entry %d does not follow the one before it: it names another hash", seq)
	}
	if hash == v.kept {
		v.Kept = seq
	}
	v.prev, v.Head, v.last = hash, hash, seq
}

func (v *verification) fault(format string, args ...any) {
	if len(v.Faults) < maxFaults {
		v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
	}
}

// ReadFile opens the log in a data directory, to read alone: a server may have it open.
func ReadFile(directory string) (*Log, error) {
	path := filepath.Join(directory, FileName)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no audit log: %w", err)
	}
	mode := "?mode=ro"
	if _, err := os.Stat(path + "-wal"); errors.Is(err, os.ErrNotExist) {
		mode += "&immutable=1" // nobody has it open, and a directory that cannot be written to will do
	}
	db, err := sql.Open("sqlite", "file:"+escape(path)+mode+"&_pragma=busy_timeout(10000)&_pragma=trusted_schema(0)")
	if err != nil {
		return nil, err
	}
	return &Log{db: db, changed: make(chan struct{})}, nil
}

// ReadPostgres opens a log in PostgreSQL, to read alone.
func ReadPostgres(ctx context.Context, uri string) (*Log, error) {
	db, err := openPostgres(uri)
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Log{db: db, shared: true, changed: make(chan struct{})}, nil
}
