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

// batch writes entries in one transaction of the log's database.
type batch struct {
	ctx   context.Context //nolint:containedctx // the transaction's context
	tx    *sql.Tx
	log   *Log
	place Place
	now   func() time.Time
	last  Entry
	next  authz.Token
	added map[Kind]int

	careful        bool // a placeholder replaces a rejected entry, see writer.write
	placeholders   []placeholder
	pending        error    // the first transient error of a part of this write
	attemptedKeys  []string // keys of the parts that this write has attempted, see attemptPart
	unstorableEnds []string // endKey of expired relationships that stay in sluice_audit_present

	rowsPerStatement int // rows of values per SQL statement
	// prepared has the statements of this transaction by their text. It is nil if the driver caches statements itself.
	prepared map[string]*sql.Stmt
}

func (b *batch) exec(statement string, args ...any) error {
	if b.prepared == nil {
		_, err := b.tx.ExecContext(b.ctx, statement, args...)
		return asLogError(err)
	}
	prepared, err := b.prepare(statement)
	if err == nil {
		_, err = prepared.ExecContext(b.ctx, args...)
	}
	return asLogError(err)
}

func (b *batch) query(query string, args ...any) (*sql.Rows, error) {
	if b.prepared == nil {
		rows, err := b.tx.QueryContext(b.ctx, query, args...)
		return rows, asLogError(err)
	}
	prepared, err := b.prepare(query)
	if err != nil {
		return nil, asLogError(err)
	}
	rows, err := prepared.QueryContext(b.ctx, args...)
	return rows, asLogError(err)
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

// queryOne reads the only row of a query.
func (b *batch) queryOne(query string, args []any, into ...any) error {
	if b.prepared == nil {
		return asLogError(b.tx.QueryRowContext(b.ctx, query, args...).Scan(into...))
	}
	prepared, err := b.prepare(query)
	if err != nil {
		return asLogError(err)
	}
	return asLogError(prepared.QueryRowContext(b.ctx, args...).Scan(into...))
}

// contains reports whether the log has an entry of a transaction. part is the number of the entry among those of the
// transaction, or 0 for a new schema.
func (b *batch) contains(revision string, part int) (known bool, err error) {
	var n int
	err = b.queryOne(
		"SELECT count(*) FROM sluice_audit_entries WHERE revision = $1 AND part = $2", []any{revision, part}, &n,
	)
	return n > 0, err
}

// appendEntry appends an entry and updates the tables that are derived from entries. It sets Seq, Prev and Hash. If
// Time is before the Time of the previous entry, appendEntry replaces it by that Time.
func (b *batch) appendEntry(e Entry) error {
	e.Seq, e.Prev = b.last.Seq+1, b.last.Hash
	if e.Seq == 1 {
		e.Prev = firstPreviousHash
	}
	e.Time.Time = e.Time.Truncate(time.Microsecond)
	if e.Time.Before(b.last.Time.Time) { // times never decrease in the log, even if the clock does
		e.Time = b.last.Time
	}
	body, hash, err := encode(e)
	if err != nil {
		return asLogError(err)
	}
	e.Hash = hash
	var revision, part any // NULL for entries without a revision, so that the UNIQUE constraint ignores them
	if e.Revision != "" {
		revision, part = e.Revision, e.Part
	}
	if err := b.exec(`INSERT INTO sluice_audit_entries (seq, at, revision, part, body, hash)
		VALUES ($1, $2, $3, $4, $5, $6)`,
		e.Seq, e.Time.UnixMicro(), revision, part, string(body), hash); err != nil {
		return err
	}
	terms, err := b.termsOf(e)
	if err != nil {
		return err
	}
	rows := make([][]any, 0, len(terms))
	for term := range terms {
		rows = append(rows, []any{term.kind, term.value, e.Seq})
	}
	if err := b.execRows(rows, "INSERT INTO sluice_audit_marks (kind, value, seq) VALUES %s"); err != nil {
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

// execRows executes a statement for many rows of values. The %s in the statement stands for the values.
func (b *batch) execRows(rows [][]any, statement string) error {
	for some := range slices.Chunk(rows, b.rowsPerStatement) {
		values, args := tuples(some)
		if err := b.exec(fmt.Sprintf(statement, values), args...); err != nil {
			return err
		}
	}
	return nil
}

// tuples returns the SQL text of rows of values, for example "($1, $2), ($3, $4)", and the arguments for its
// parameters.
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

// applyEntry applies the updates of an entry to sluice_audit_present, the table of the current relationships. A
// placeholder without a revision may replace the entry of an expiry. So for such a placeholder, applyEntry deletes
// the expired relationships of its objects.
func (b *batch) applyEntry(e Entry) error {
	if e.Kind == Unstored && e.Revision == "" {
		for _, object := range e.Objects {
			if err := b.exec(`DELETE FROM sluice_audit_present
				WHERE resource = $1 AND expires_at > 0 AND expires_at <= $2`,
				keyOf(object), e.Time.UnixMicro()); err != nil {
				return err
			}
		}
	}
	return b.apply(e.Updates)
}

// apply applies updates to sluice_audit_present.
func (b *batch) apply(updates []Update) error {
	var came []Update
	var went [][]any
	for _, u := range updates {
		if u.Action == actionDelete {
			went = append(went, identity(u))
		} else {
			came = append(came, u)
		}
	}
	if err := b.execRows(
		went, "DELETE FROM sluice_audit_present WHERE (resource, relation, subject) IN (VALUES %s)",
	); err != nil {
		return err
	}
	return b.put("sluice_audit_present", came)
}

// identity returns the values of the primary key of a relationship in the log's tables.
func identity(u Update) []any { return []any{keyOf(u.Resource), u.Relation, keyOf(u.Subject)} }

// foundTable holds the relationships that a snapshot has read from SpiceDB.
const foundTable = "sluice_audit_found"

// putInto inserts relationships into a table, and replaces their other columns if they exist.
const putInto = `INSERT INTO %s (resource, relation, subject, expires_at, caveat, context) VALUES %%s

	ON CONFLICT (resource, relation, subject)
		DO UPDATE SET expires_at = excluded.expires_at, caveat = excluded.caveat, context = excluded.context`

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
	return b.execRows(rows, fmt.Sprintf(putInto, table))
}

// due returns the relationships of the updates that are in sluice_audit_present and have expired at the given time,
// sorted by expiration.
func (b *batch) due(updates []Update, at time.Time) (ended []Update, err error) {
	var some bool
	err = b.queryOne(
		"SELECT EXISTS (SELECT 1 FROM sluice_audit_present WHERE expires_at > 0 AND expires_at <= $1)",
		[]any{at.UnixMicro()}, &some,
	)
	if err != nil || !some {
		return nil, err
	}
	rows := make([][]any, len(updates))
	for i, u := range updates {
		rows[i] = identity(u)
	}
	for some := range slices.Chunk(rows, b.rowsPerStatement) {
		values, args := tuples(some)
		found, err := b.rows(
			fmt.Sprintf(`SELECT resource, relation, subject, expires_at, caveat, context FROM sluice_audit_present
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
		u := Update{Action: actionTouch}
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

// firstMicro is the lowest expiration in the log's tables, in microseconds since 1970. It also stands for every earlier
// one.
const firstMicro = 1

// microsOf returns an expiration in microseconds since 1970: 0 for none, and firstMicro for every time before
// firstMicro.
func microsOf(t *Time) int64 {
	if t == nil {
		return 0
	}
	return max(t.UnixMicro(), firstMicro)
}
