package audit

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Writer is the one who may write to a log.
type Writer struct {
	log   *Log
	place Place
	conn  *sql.Conn // that holds the lock of a shared log, and writes: who loses it can write no more
	last  Entry     // the last entry; the zero value in an empty log
	wrote int64     // the number of the entry that was written last; after that of last if entries are gone
	next  authz.Token

	now      func() time.Time
	unstored func(Entry, error) // called for each placeholder that was written
	stored   func(authz.Token)  // called after each write with where the log goes on, once it has an entry; may be nil
}

// Lead waits until nobody else writes to the log, and becomes the one who does. Of several servers the others wait
// here, and are told so by a call of others.
func (l *Log) Lead(ctx context.Context, place Place, others func()) (_ *Writer, err error) {
	w := &Writer{log: l, place: place, now: time.Now}
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
			others()
			select {
			case <-time.After(poll):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	for id, into := range map[int]any{stateToken: &w.next, stateLast: &w.wrote} {
		if err := w.connection().QueryRowContext(ctx, "SELECT token FROM sluice_audit_state WHERE id = $1", id).Scan(into); err != nil {
			return nil, err
		}
	}
	w.last, err = l.end(ctx, w.connection())
	return w, err
}

// begun reports whether it is noted where the log begins.
func (l *Log) begun(ctx context.Context) (bool, error) {
	var next authz.Token
	err := l.db.QueryRowContext(ctx, "SELECT token FROM sluice_audit_state WHERE id = $1", stateToken).Scan(&next)
	return next != "", err
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

// write does everything that do adds as one, or nothing. If the log refuses something, do runs again with a placeholder for
// each entry that the log does not take.
func (w *Writer) write(ctx context.Context, do func(*batch) error) error {
	if !w.log.careful {
		err := w.attempt(ctx, false, do)
		if refused := (*refusal)(nil); err == nil || ctx.Err() != nil || !errors.As(err, &refused) {
			return err
		}
		w.log.careful = true // also for the next writer, if this one's connection is lost
	}
	last := w.last.Seq
	err := w.attempt(ctx, true, do)
	if err == nil && w.last.Seq > last { // other writes say nothing of the entry that failed
		w.log.careful = false
	}
	return err
}

func (w *Writer) attempt(ctx context.Context, careful bool, do func(*batch) error) (err error) {
	tx, err := w.connection().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	b := &batch{
		ctx: ctx, tx: tx, log: w.log, place: w.place, now: w.now, last: w.last, next: w.next, careful: careful, atOnce: 250,
	}
	if !w.log.shared {
		// The database is a call away: a statement that is there already costs less than one that says more.
		b.atOnce, b.prepared = 1, make(map[string]*sql.Stmt)
	}
	if careful && w.log.shared {
		// What a deferred constraint refuses would fail at the end, where no entry is at fault.
		if err := b.exec("SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
			return err
		}
	}
	if err := do(b); err != nil {
		return err
	}
	if b.undecided != nil {
		return b.undecided
	}
	if b.next != w.next {
		if err := b.exec("UPDATE sluice_audit_state SET token = $1 WHERE id = $2", b.next, stateToken); err != nil {
			return err
		}
	}
	if b.last.Seq != w.last.Seq {
		if err := b.exec("UPDATE sluice_audit_state SET token = $1 WHERE id = $2", strconv.FormatInt(b.last.Seq, 10), stateLast); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return refuse(err)
	}
	b.settled()
	w.log.endless = append(w.log.endless, b.endless...)
	if b.last.Seq > w.last.Seq || w.next == "" {
		w.log.announce()
	}
	w.last, w.next, w.wrote = b.last, b.next, b.last.Seq
	if w.stored != nil && w.last.Seq > 0 {
		w.stored(w.next)
	}
	for _, p := range b.placeholders {
		if w.unstored != nil {
			w.unstored(p.entry, p.cause)
		}
	}
	return nil
}
