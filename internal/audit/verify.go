package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Report is the result of Verify.
type Report struct {
	Entries int64  // number of entries
	Head    string // hash of the last entry; empty for an empty log
	Kept    int64  // number of the entry with the hash kept, see Verify; or zero

	// Faults describes at most maxFaults faults. It is empty for an intact log.
	Faults []string
}

const (
	maxFaults  = 1000
	verifyPage = 500
)

// Expected has rules that Verify needs to recompute derived values.
type Expected struct {
	Place Place

	// Position compares the position of the log with the revision of its last change. It returns an error if they do
	// not match. The revision is empty if no change follows the start or the last gap.
	Position func(token authz.Token, revision string) error
}

// Verify checks the whole log. Every entry must have the next number, the hash of its text, and the hash of the
// previous entry. kept may be a hash that an earlier run printed. If no entry has this hash, the log was rewritten,
// or cut off before that entry, and Verify reports a fault.
//
// Verify also compares all other stored data with values that it recomputes from the entries: columns, search terms,
// current relationships, the number of the last entry, and the position. It can do so only for values for which
// expected has rules. It compares the database's schema with the one that Sluice creates, every index with its table,
// and every value's type with the type of its column. Damage is a fault, and Verify continues with the parts that it
// can read.
func (l *Log) Verify(ctx context.Context, kept string, expected Expected) (Report, error) {
	v := verification{expected: expected, kept: kept, prev: firstPreviousHash}
	var options *sql.TxOptions
	if l.shared {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := l.db.BeginTx(ctx, options) // one consistent read, since a server may be writing
	if err != nil {
		return v.Report, unavailable(err)
	}
	defer func() { _ = tx.Rollback() }()
	d := newDerived(ctx, tx, expected.Place, l.shared, &v)
	tables := &tableCheck{ctx: ctx, log: l, tx: tx, v: &v}
	whole := true // all entries were read
	for _, step := range []struct {
		of string
		do func() error
	}{
		{"the schema of the database", func() error { return l.compareSchema(ctx, tx, &v) }},
		{"an index", tables.compareIndexes},
		{"a value", tables.compareTypes},
		{"an entry", func() error {
			whole = false
			err := v.entries(ctx, l, tx, d)
			whole = err == nil
			return err
		}},
		{"the database", tables.ignoreIndexes},
		{"the table sluice_audit_state", func() error { return v.state(ctx, tx) }},
		{"the table sluice_audit_marks", func() error { return d.compareIfComplete(whole, d.compareMarks) }},
		{"the table sluice_audit_present", func() error { return d.compareIfComplete(whole, d.comparePresent) }},
		{"the table sluice_audit_found", d.compareFound},
	} {
		if err := v.runStep(ctx, tx, step.of, step.do); err != nil {
			return v.Report, unavailable(err)
		}
	}
	if kept != "" && v.Kept == 0 {
		v.fault("no entry has the hash %s that was kept: the log was cut off before it, or rewritten", kept)
	}
	return v.Report, nil
}

// runStep runs one step of the verification in a savepoint. If the database is damaged or lacks a table, runStep
// records a fault and returns no error.
func (v *verification) runStep(ctx context.Context, tx *sql.Tx, of string, do func() error) error {
	const savepoint = "sluice_audit_verify"
	if _, err := tx.ExecContext(ctx, "SAVEPOINT "+savepoint); err != nil {
		return err
	}
	err := do()
	if err != nil {
		if !isDamage(err) {
			return err
		}
		v.fault("%s cannot be read: %v", of, err)
		if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT "+savepoint); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "RELEASE SAVEPOINT "+savepoint)
	return err
}

// isDamage reports whether an error comes from the content of the database.
func isDamage(err error) bool {
	if inFile := (*sqlite.Error)(nil); errors.As(err, &inFile) {
		switch inFile.Code() & 0xff {
		case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT,
			sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
			return true
		}
		return false
	}
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		switch refused.Code[:min(len(refused.Code), 2)] {
		case "22", "42", "XX": // classes: data exception, unknown name or wrong type, internal error
			return true
		}
	}
	return false
}

type verification struct {
	Report
	expected   Expected
	kept, prev string
	last       int64  // number of the entry read last
	revision   string // revision of the last change since the last gap
}

// entries checks the chain of hashes and applies each entry to the derived tables d.
func (v *verification) entries(ctx context.Context, l *Log, tx *sql.Tx, d *derived) error {
	for after, more := int64(math.MinInt64), true; more; {
		found, err := entryRows(ctx, tx, l.shared, after)
		if err != nil {
			return err
		}
		for _, row := range found {
			v.entry(row)
			after = row.seq
			if e, err := parseEntry(row.body); err == nil {
				e.Seq = row.seq
				if err := d.entry(e); err != nil {
					return err
				}
			}
		}
		more = len(found) > 0
	}
	return nil
}

// entryRow is a row of sluice_audit_entries. A field is zero if its stored value has the wrong type.
type entryRow struct {
	seq                int64
	body               []byte
	hash               string
	at, revision, part any
}

// entryRows reads the next entries, with values of any type.
func entryRows(ctx context.Context, tx *sql.Tx, shared bool, after int64) (found []entryRow, err error) {
	numbered := " AND typeof(seq) = 'integer'" // a SQLite column accepts values of any type
	if shared {
		numbered = ""
	}
	values, err := tableRows(ctx, tx, 6,
		"SELECT seq, body, hash, at, revision, part FROM sluice_audit_entries WHERE seq > $1"+
			numbered+" ORDER BY seq LIMIT $2", after, verifyPage)
	for _, value := range values {
		row := entryRow{at: value[3], revision: value[4], part: value[5]}
		var ok bool
		if row.seq, ok = value[0].(int64); !ok {
			continue
		}
		row.body, row.hash = []byte(textOf(value[1])), textOf(value[2])
		found = append(found, row)
	}
	return found, err
}

// tableRows reads all rows of a query without converting their values.
func tableRows(ctx context.Context, tx *sql.Tx, columns int, query string, args ...any) (found [][]any, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		values, into := make([]any, columns), make([]any, columns)
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		found = append(found, values)
	}
	return found, rows.Err()
}

// textOf returns a text value, or "" for a value of another type.
func textOf(value any) string {
	text, _ := value.(string)
	return text
}

func (v *verification) entry(row entryRow) {
	v.Entries++
	seq, expected := row.seq, v.last+1
	e, err := parseEntry(row.body)
	switch {
	case seq < 1:
		v.fault("entry %d is not an entry of Sluice: the first one has the number 1", seq)
		return
	case seq < expected:
		v.fault("entry %d exists twice", seq)
	case seq == expected+1:
		v.fault("entry %d is missing", expected)
	case seq > expected:
		v.fault("entries %d to %d are missing", expected, seq-1)
	case err != nil:
		v.fault("entry %d was changed: it is no longer JSON", seq)
	case hashOf(row.body) != row.hash:
		v.fault("entry %d was changed: its text does not have its hash", seq)
	case e.Seq != seq:
		v.fault("entry %d was moved: its text says %d", seq, e.Seq)
	case e.Prev != v.prev:
		v.fault("entry %d does not follow the one before it: its field prev has another hash", seq)
	}
	if err == nil {
		var revision, part any // the columns as appendEntry writes them
		if e.Revision != "" {
			revision, part = e.Revision, int64(e.Part)
		}
		if row.at != any(e.Time.UnixMicro()) || row.revision != revision || row.part != part {
			v.fault("entry %d: its columns say time %v, revision %v and part %v, and its text %d, %v and %v",
				seq, row.at, row.revision, row.part, e.Time.UnixMicro(), revision, part)
		}
		if e.Revision != "" || e.Kind == Gap {
			v.revision = e.Revision
		}
	}
	if row.hash == v.kept {
		v.Kept = seq
	}
	v.prev, v.Head, v.last = row.hash, row.hash, seq
}

func (v *verification) fault(format string, args ...any) {
	if len(v.Faults) < maxFaults {
		v.Faults = append(v.Faults, strings.ToValidUTF8(fmt.Sprintf(format, args...), "?"))
	}
}
