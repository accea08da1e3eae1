package audit

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Writer is the one who may write to a log.
type Writer struct {
	log   *Log
	place Place
	conn  *sql.Conn // that holds the lock of a shared log, and writes: who loses it can write no more
	last  Entry     // the last entry; the zero value in an empty log
	next  authz.Token
}

// Lead waits until nobody else writes to the log, and becomes the one who does. Of several servers the others wait here.
func (l *Log) Lead(ctx context.Context, place Place) (_ *Writer, err error) {
	w := &Writer{log: l, place: place}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close(ctx))
		}
	}()
	if l.shared {
		if w.conn, err = l.db.Conn(ctx); err != nil {
			return nil, err
		}
		for held := false; !held; {
			if err := w.conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(leadership)).Scan(&held); err != nil {
				return nil, err
			}
			if held {
				break
			}
			select {
			case <-time.After(poll):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	if err := w.connection().QueryRowContext(ctx, "SELECT token FROM sluice_audit_state WHERE id = 1").Scan(&w.next); err != nil {
		return nil, err
	}
	w.last, err = l.end(ctx, w.connection())
	return w, err
}

// Close lets another write, also when ctx has ended.
func (w *Writer) Close(ctx context.Context) error {
	if w.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := w.conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(leadership)); err != nil {
		// The connection ends, lest another one be given it while it holds the lock. That closes w.conn, too.
		_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
		return nil
	}
	return w.conn.Close()
}

// connection is what a Writer writes through.
type connection interface {
	querier
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	BeginTx(ctx context.Context, options *sql.TxOptions) (*sql.Tx, error)
}

func (w *Writer) connection() connection {
	if w.conn != nil {
		return w.conn
	}
	return w.log.db
}

// write does everything that do adds as one, or nothing.
func (w *Writer) write(ctx context.Context, do func(*batch) error) (err error) {
	tx, err := w.connection().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	b := &batch{ctx: ctx, tx: tx, place: w.place, last: w.last, next: w.next}
	if err := do(b); err != nil {
		return err
	}
	if b.next != w.next {
		if err := b.exec("UPDATE sluice_audit_state SET token = $1 WHERE id = 1", b.next); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if b.last.Seq > w.last.Seq {
		w.log.announce()
	}
	w.last, w.next = b.last, b.next
	return nil
}

// batch is what is added to the log at once.
type batch struct {
	ctx   context.Context //nolint:containedctx // that of the transaction
	tx    *sql.Tx
	place Place
	last  Entry
	next  authz.Token
	added map[Kind]int
}

func (b *batch) exec(statement string, args ...any) error {
	_, err := b.tx.ExecContext(b.ctx, statement, args...)
	return err
}

// one reads the one row of a query.
func (b *batch) one(query string, args []any, into ...any) error {
	return b.tx.QueryRowContext(b.ctx, query, args...).Scan(into...)
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
		return err
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
	for mark := range marks {
		if err := b.exec("INSERT INTO sluice_audit_marks (kind, value, seq) VALUES ($1, $2, $3)", mark.kind, mark.value, e.Seq); err != nil {
			return err
		}
	}
	for _, u := range e.Updates {
		if err := b.apply(u); err != nil {
			return err
		}
	}
	if b.added == nil {
		b.added = make(map[Kind]int)
	}
	b.added[e.Kind]++
	b.last = e
	b.last.Updates, b.last.Schema = nil, ""
	return nil
}

// apply brings the relationships that are there up to date.
func (b *batch) apply(u Update) error {
	if u.Action == gone {
		return b.exec("DELETE FROM sluice_audit_present WHERE resource = $1 AND relation = $2 AND subject = $3",
			keyOf(u.Resource), u.Relation, keyOf(u.Subject))
	}
	return b.put("sluice_audit_present", u)
}

func (b *batch) put(table string, u Update) error {
	return b.exec("INSERT INTO "+table+` (resource, relation, subject, expires_at, caveat, context) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (resource, relation, subject) DO UPDATE SET expires_at = excluded.expires_at, caveat = excluded.caveat, context = excluded.context`,
		keyOf(u.Resource), u.Relation, keyOf(u.Subject), microsOf(u.ExpiresAt), u.Caveat, string(u.CaveatContext))
}

// due is when a relationship that is there ends; zero if it does not, or is not there.
func (b *batch) due(u Update) (micros int64, err error) {
	err = b.one("SELECT expires_at FROM sluice_audit_present WHERE resource = $1 AND relation = $2 AND subject = $3",
		[]any{keyOf(u.Resource), u.Relation, keyOf(u.Subject)}, &micros)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return micros, err
}

// rows reads relationships from the log's tables.
func (b *batch) rows(query string, args ...any) (found []Update, err error) {
	rows, err := b.tx.QueryContext(b.ctx, query, args...)
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

func microsOf(t *Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixMicro()
}
