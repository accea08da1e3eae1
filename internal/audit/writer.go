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

// writer writes to a log. A log has at most one writer at a time.
type writer struct {
	log   *Log
	place Place
	// conn holds the advisory lock of a shared log. It is nil for a log in SQLite. If the connection is lost, the
	// writer can no longer write.
	conn  *sql.Conn
	last  Entry // the last entry; zero in an empty log
	wrote int64 // number of the last written entry; larger than last.Seq if entries were deleted
	next  authz.Token

	now      func() time.Time
	unstored func(placeholder) // called after each stored placeholder
	stored   func(authz.Token) // called with the position after each write, once the log has an entry; may be nil
}

// acquireWriter waits until no other server writes to the log, and returns the writer. While another server writes,
// acquireWriter calls others before each wait.
func (l *Log) acquireWriter(ctx context.Context, place Place, others func()) (_ *writer, err error) {
	w := &writer{log: l, place: place, now: time.Now}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(ctx))
		}
	}()
	if l.shared {
		if w.conn, err = l.db.Conn(ctx); err != nil {
			return nil, err
		}
		for held := false; !held; {
			if err := w.conn.QueryRowContext(
				ctx, "SELECT pg_try_advisory_lock($1)", int64(writerLock),
			).Scan(&held); err != nil {
				return nil, err
			}
			if held {
				break
			}
			others()
			select {
			case <-time.After(pollInterval):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	for id, into := range map[int]any{stateToken: &w.next, stateLast: &w.wrote} {
		if err := w.connection().QueryRowContext(
			ctx, "SELECT token FROM sluice_audit_state WHERE id = $1", id,
		).Scan(into); err != nil {
			return nil, err
		}
	}
	if w.last, err = l.lastEntry(ctx, w.connection()); err != nil {
		return nil, err
	}
	var stored int
	if err = w.connection().QueryRowContext(
		ctx, "SELECT version FROM sluice_audit_state WHERE id = $1", stateToken,
	).Scan(&stored); err == nil && stored == versionWithoutStarts {
		err = w.storeStarts(ctx)
	}
	return w, err
}

// hasStarted reports whether the log has stored its starting position.
func (l *Log) hasStarted(ctx context.Context) (bool, error) {
	var next authz.Token
	err := l.db.QueryRowContext(ctx, "SELECT token FROM sluice_audit_state WHERE id = $1", stateToken).Scan(&next)
	return next != "", err
}

// close releases the log for another writer, even if ctx has ended.
func (w *writer) close(ctx context.Context) error {
	if w.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := w.conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(writerLock)); err != nil {
		// Discard the connection, so that the pool does not reuse it with the lock held. This closes w.conn too.
		_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
		return nil
	}
	return w.conn.Close()
}

// connection is the database, or the connection that holds the lock.
type connection interface {
	querier
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	BeginTx(ctx context.Context, options *sql.TxOptions) (*sql.Tx, error)
}

func (w *writer) connection() connection {
	if w.conn != nil {
		return w.conn
	}
	return w.log.db
}

// write calls do in one transaction. If the log's database rejects a part of it, write calls do again in a careful
// batch: each part has a savepoint, and a placeholder replaces each entry that the database rejects.
func (w *writer) write(ctx context.Context, do func(*batch) error) error {
	if !w.log.careful {
		err := w.tryWrite(ctx, false, do)
		if refused := (*logError)(nil); err == nil || ctx.Err() != nil || !errors.As(err, &refused) {
			return err
		}
		w.log.careful = true // the next writer is careful too, if this one loses its connection
	}
	last := w.last.Seq
	err := w.tryWrite(ctx, true, do)
	if err == nil && w.last.Seq > last { // only a write with entries shows that the failed entry can be stored
		w.log.careful = false
	}
	return err
}

func (w *writer) tryWrite(ctx context.Context, careful bool, do func(*batch) error) (err error) {
	tx, err := w.connection().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	b := &batch{
		ctx: ctx, tx: tx, log: w.log, place: w.place, now: w.now, last: w.last, next: w.next, careful: careful,
		rowsPerStatement: 250,
	}
	if !w.log.shared {
		// In SQLite, a call is cheap: repeating a prepared statement costs less than preparing a longer one.
		b.rowsPerStatement, b.prepared = 1, make(map[string]*sql.Stmt)
	}
	if careful && w.log.shared {
		// Without this, a deferred constraint would fail at the commit, where it is unknown which entry is rejected.
		if err := b.exec("SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
			return err
		}
	}
	if err := do(b); err != nil {
		return err
	}
	if b.pending != nil {
		return b.pending
	}
	if b.next != w.next {
		if err := b.exec("UPDATE sluice_audit_state SET token = $1 WHERE id = $2", b.next, stateToken); err != nil {
			return err
		}
	}
	if b.last.Seq != w.last.Seq {
		if err := b.exec(
			"UPDATE sluice_audit_state SET token = $1 WHERE id = $2", strconv.FormatInt(b.last.Seq, 10), stateLast,
		); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return asLogError(err)
	}
	b.forgetFailures()
	w.log.unstorableEnds = append(w.log.unstorableEnds, b.unstorableEnds...)
	if b.last.Seq > w.last.Seq || w.next == "" {
		w.log.notifyChanged()
	}
	w.last, w.next, w.wrote = b.last, b.next, b.last.Seq
	if w.stored != nil && w.last.Seq > 0 {
		w.stored(w.next)
	}
	for _, p := range b.placeholders {
		if w.unstored != nil {
			w.unstored(p)
		}
	}
	return nil
}
