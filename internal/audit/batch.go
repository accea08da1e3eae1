package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// batch is what is added to the log at once.
type batch struct {
	ctx   context.Context //nolint:containedctx // that of the transaction
	tx    *sql.Tx
	log   *Log
	place Place
	now   func() time.Time
	last  Entry
	next  authz.Token
	added map[Kind]int

	careful      bool // each entry is undone alone if the log refuses it, and has a placeholder
	placeholders []placeholder
	undecided    error    // that of the first entry that failed in a way that may pass
	offered      []string // the keys of what a careful batch stores, or stores a placeholder for
	endless      []string // the ends of relationships that the log's tables keep

	atOnce   int                  // how many rows of values a statement takes
	prepared map[string]*sql.Stmt // by their text, until the transaction ends; nil if the driver keeps them itself
}

func (b *batch) exec(statement string, args ...any) error {
	if b.prepared == nil {
		_, err := b.tx.ExecContext(b.ctx, statement, args...)
		return refuse(err)
	}
	prepared, err := b.prepare(statement)
	if err == nil {
		_, err = prepared.ExecContext(b.ctx, args...)
	}
	return refuse(err)
}

func (b *batch) query(query string, args ...any) (*sql.Rows, error) {
	if b.prepared == nil {
		rows, err := b.tx.QueryContext(b.ctx, query, args...)
		return rows, refuse(err)
	}
	prepared, err := b.prepare(query)
	if err != nil {
		return nil, refuse(err)
	}
	rows, err := prepared.QueryContext(b.ctx, args...)
	return rows, refuse(err)
}

func (b *batch) prepare(statement string) (*sql.Stmt, error) {
	if prepared, known := b.prepared[statement]; known {
		return prepared, nil
	}
	prepared, err := b.tx.PrepareContext(b.ctx, statement)
	if err == nil {
		b.prepared[statement] = prepared
	}
	return prepared, err
}

// one reads the one row of a query.
func (b *batch) one(query string, args []any, into ...any) error {
	if b.prepared == nil {
		return refuse(b.tx.QueryRowContext(b.ctx, query, args...).Scan(into...))
	}
	prepared, err := b.prepare(query)
	if err != nil {
		return refuse(err)
	}
	return refuse(prepared.QueryRowContext(b.ctx, args...).Scan(into...))
}

// knows reports whether a part of a transaction is in the log already.
func (b *batch) knows(revision string, part int) (known bool, err error) {
	var n int
	err = b.one("SELECT count(*) FROM sluice_audit_entries WHERE revision = $1 AND part = $2", []any{revision, part}, &n)
	return n > 0, err
}

// add appends an entry, whose Seq, Time and Prev follow from the one before, and notes what its updates leave behind.
func (b *batch) add(e Entry) error {
	e.Seq, e.Prev = b.last.Seq+1, b.last.Hash
	if e.Seq == 1 {
		e.Prev = firstPrev
	}
	e.Time.Time = e.Time.Truncate(time.Microsecond)
	if e.Time.Before(b.last.Time.Time) { // times never go back in the log, whatever the clocks say
		e.Time = b.last.Time
	}
	body, hash, err := seal(e)
	if err != nil {
		return refuse(err)
	}
	e.Hash = hash
	var revision, part any // none are not the same as others' none
	if e.Revision != "" {
		revision, part = e.Revision, e.Part
	}
	if err := b.exec("INSERT INTO sluice_audit_entries (seq, at, revision, part, body, hash) VALUES ($1, $2, $3, $4, $5, $6)",
		e.Seq, e.Time.UnixMicro(), revision, part, string(body), hash); err != nil {
		return err
	}
	marks, err := b.marksOf(e)
	if err != nil {
		return err
	}
	rows := make([][]any, 0, len(marks))
	for mark := range marks {
		rows = append(rows, []any{mark.kind, mark.value, e.Seq})
	}
	if err := b.each(rows, "INSERT INTO sluice_audit_marks (kind, value, seq) VALUES %s"); err != nil {
		return err
	}
	if err := b.applyEntry(e); err != nil {
		return err
	}
	if b.added == nil {
		b.added = make(map[Kind]int)
	}
	b.added[e.Kind]++
	b.last = e
	b.last.Updates, b.last.Objects, b.last.Schema = nil, nil, ""
	return nil
}

// each runs a statement with many rows of values at a time, which stand in place of its %s.
func (b *batch) each(rows [][]any, statement string) error {
	for some := range slices.Chunk(rows, b.atOnce) {
		values, args := tuples(some)
		if err := b.exec(fmt.Sprintf(statement, values), args...); err != nil {
			return err
		}
	}
	return nil
}

// tuples writes placeholders for rows of values.
func tuples(rows [][]any) (string, []any) {
	var text strings.Builder
	var args []any
	for i, row := range rows {
		text.WriteString([]string{"(", ", ("}[min(i, 1)])
		for j, value := range row {
			args = append(args, value)
			text.WriteString([]string{"$", ", $"}[min(j, 1)] + strconv.Itoa(len(args)))
		}
		text.WriteString(")")
	}
	return text.String(), args
}

// applyEntry brings the relationships that are there up to date. The end of a relationship that could not be stored
// ends those of the object that were due.
func (b *batch) applyEntry(e Entry) error {
	if e.Kind == Unstored && e.Revision == "" {
		for _, object := range e.Objects {
			if err := b.exec("DELETE FROM sluice_audit_present WHERE resource = $1 AND expires_at > 0 AND expires_at <= $2",
				keyOf(object), e.Time.UnixMicro()); err != nil {
				return err
			}
		}
	}
	return b.apply(e.Updates)
}

// apply brings the relationships that are there up to date.
func (b *batch) apply(updates []Update) error {
	var came []Update
	var went [][]any
	for _, u := range updates {
		if u.Action == gone {
			went = append(went, identity(u))
		} else {
			came = append(came, u)
		}
	}
	if err := b.each(went, "DELETE FROM sluice_audit_present WHERE (resource, relation, subject) IN (VALUES %s)"); err != nil {
		return err
	}
	return b.put("sluice_audit_present", came)
}

// identity is what tells a relationship from others.
func identity(u Update) []any { return []any{keyOf(u.Resource), u.Relation, keyOf(u.Subject)} }

// foundTable is the table of what a snapshot finds.
const foundTable = "sluice_audit_found"

// putInto adds relationships to a table, or changes them there.
const putInto = `INSERT INTO %s (resource, relation, subject, expires_at, caveat, context) VALUES %%s

	ON CONFLICT (resource, relation, subject) DO UPDATE SET expires_at = excluded.expires_at, caveat = excluded.caveat, context = excluded.context`

func (b *batch) put(table string, updates []Update) error {
	if table == foundTable && b.careful {
		return b.putEach(updates)
	}
	return b.putAll(table, updates)
}

func (b *batch) putAll(table string, updates []Update) error {
	rows := make([][]any, len(updates))
	for i, u := range updates {
		rows[i] = append(identity(u), microsOf(u.ExpiresAt), u.Caveat, string(u.CaveatContext))
	}
	return b.each(rows, fmt.Sprintf(putInto, table))
}

// due are those of the relationships that had ended by a time, as the log knows them.
func (b *batch) due(updates []Update, at time.Time) (ended []Update, err error) {
	var some bool
	err = b.one("SELECT EXISTS (SELECT 1 FROM sluice_audit_present WHERE expires_at > 0 AND expires_at <= $1)", []any{at.UnixMicro()}, &some)
	if err != nil || !some {
		return nil, err
	}
	rows := make([][]any, len(updates))
	for i, u := range updates {
		rows[i] = identity(u)
	}
	for some := range slices.Chunk(rows, b.atOnce) {
		values, args := tuples(some)
		found, err := b.rows(fmt.Sprintf(`SELECT resource, relation, subject, expires_at, caveat, context FROM sluice_audit_present
			WHERE expires_at > 0 AND expires_at <= $%d AND (resource, relation, subject) IN (VALUES %s)`, len(args)+1, values),
			append(args, at.UnixMicro())...)
		if err != nil {
			return nil, err
		}
		ended = append(ended, found...)
	}
	slices.SortStableFunc(ended, func(a, b Update) int { return a.ExpiresAt.Compare(b.ExpiresAt.Time) })
	return ended, nil
}

// rows reads relationships from the log's tables.
func (b *batch) rows(query string, args ...any) (found []Update, err error) {
	rows, err := b.query(query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var resource, subject, context string
		var micros int64
		u := Update{Action: touch}
		if err := rows.Scan(&resource, &u.Relation, &subject, &micros, &u.Caveat, &context); err != nil {
			return nil, err
		}
		u.Resource, u.Subject = referenceOf(resource), referenceOf(subject)
		if context != "" {
			u.CaveatContext = []byte(context)
		}
		if micros != 0 {
			u.ExpiresAt = &Time{time.UnixMicro(micros).UTC()}
		}
		found = append(found, u)
	}
	return found, rows.Err()
}

// firstMicro is the earliest expiration in the log's tables.
const firstMicro = 1

// microsOf is an expiration in microseconds since 1970, or 0 for none. An expiration of 1970 or earlier is the first
// microsecond.
func microsOf(t *Time) int64 {
	if t == nil {
		return 0
	}
	return max(t.UnixMicro(), firstMicro)
}
