package sqlitestore

import (
	"context"
	"errors"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
)

// gcTimeout limits the time of one garbage collection. The next one continues where it stopped.
const gcTimeout = 10 * time.Minute

// gcStep and gcLogStep are the numbers of rows that a garbage collection deletes in one write. gcLogStep is for the
// change log, whose rows can be large.
const (
	gcStep    = 500
	gcLogStep = 50
)

var (
	_ datastore.GarbageCollectableDatastore = (*Store)(nil)
	_ datastore.GarbageCollector            = collector{}
)

// BuildGarbageCollector returns the collector that SpiceDB's loop calls.
func (s *Store) BuildGarbageCollector(context.Context) (datastore.GarbageCollector, error) {
	return collector{store: s}, nil
}

// HasGCRun reports whether a garbage collection has finished since the start or since ResetGCCompleted.
func (s *Store) HasGCRun() bool { return s.gcHasRun.Load() }

// MarkGCCompleted makes HasGCRun return true. SpiceDB's loop calls it.
func (s *Store) MarkGCCompleted() { s.gcHasRun.Store(true) }

// ResetGCCompleted makes HasGCRun return false. Tests call it.
func (s *Store) ResetGCCompleted() { s.gcHasRun.Store(false) }

// collector runs garbage collections. It needs no lock, since two collections at the same time do no harm.
type collector struct{ store *Store }

func (collector) LockForGCRun(context.Context) (bool, error) { return true, nil }

func (collector) UnlockAfterGCRun() error { return nil }

func (collector) Close() {}

func (c collector) Now(context.Context) (time.Time, error) { return c.store.options.now(), nil }

// TxIDBefore returns the newest revision before a time, or 0 if there is none.
func (c collector) TxIDBefore(_ context.Context, at time.Time) (datastore.Revision, error) {
	var newest int64
	err := c.store.readers.use(func(c *conn) error {
		_, err := c.queryRow(
			"SELECT revision FROM change WHERE id < ? ORDER BY id DESC LIMIT 1", []any{at.UnixNano()}, &newest,
		)
		return err
	})
	return revision(newest), err
}

// DeleteBeforeTx deletes the history and the log entries that no read at the revision or at a later revision needs.
func (c collector) DeleteBeforeTx(
	ctx context.Context, r datastore.Revision,
) (counts datastore.DeletionCounts, err error) {
	before, ok := r.(revision)
	if !ok {
		return counts, datastore.NewInvalidRevisionErr(r, datastore.CouldNotDetermineRevision)
	}
	s := c.store
	if int64(before) <= s.collected.Load() {
		return counts, nil
	}
	// Before history is deleted, prevent new reads that would need it.
	s.collected.Store(int64(before))
	if _, err := s.step(ctx, "UPDATE store SET collected = ?1", int64(before)); err != nil {
		return counts, err
	}
	next, err := c.logAfter(before)
	if err != nil {
		return counts, err
	}
	for _, removal := range []struct {
		count     *int64
		statement string
		before    int64
		rows      int64
	}{
		{&counts.Relationships, removeHistory, int64(before), gcStep},
		{&counts.Namespaces, removeDefinitions, int64(before), gcStep},
		{&counts.Transactions, removeLog, next, gcLogStep},
	} {
		for more := true; more; {
			count, err := s.step(ctx, removal.statement, removal.before, removal.rows)
			if err != nil {
				return counts, err
			}
			*removal.count += count
			more = count == removal.rows
		}
	}
	_, err = s.step(ctx, emptyLast, int64(before))
	return counts, err
}

// The statements of a garbage collection. None of them scans more rows than it changes.
const (
	removeHistory = "DELETE FROM history WHERE (ended, key) IN " +
		"(SELECT ended, key FROM history WHERE ended <= ?1 ORDER BY ended, key LIMIT ?2)"
	removeDefinitions = "DELETE FROM definition WHERE (kind, name, created) IN " +
		"(SELECT kind, name, created FROM definition WHERE ended > 0 AND ended <= ?1 LIMIT ?2)"
	removeLog = "DELETE FROM change WHERE id IN (SELECT id FROM change WHERE id < ?1 ORDER BY id LIMIT ?2)"
	emptyLast = "UPDATE change SET metadata = NULL, updates = NULL " +
		"WHERE id = (SELECT max(id) FROM change) AND revision <= ?1"
	selectExpired = "SELECT key, details FROM by_resource WHERE expires < ? LIMIT ?"
)

// logAfter returns the first row of the log that belongs to a later revision, or the last row if there is none.
func (c collector) logAfter(r revision) (id int64, err error) {
	err = c.store.readers.use(func(c *conn) error {
		found, err := c.queryRow(
			"SELECT id FROM change WHERE id > ?1 AND revision > ?1 ORDER BY id LIMIT 1", []any{int64(r)}, &id,
		)
		if err == nil && !found {
			_, err = c.queryRow("SELECT max(id) FROM change", nil, &id)
		}
		return err
	})
	return id, err
}

// DeleteExpiredRels deletes relationships that expired before the garbage-collection window. Reads at every readable
// revision ignore them.
func (c collector) DeleteExpiredRels(ctx context.Context) (total int64, err error) {
	s := c.store
	limit := s.options.now().Add(-s.options.GCWindow).Unix()
	for more := true; more; {
		count, err := s.removeExpired(ctx, limit)
		if err != nil {
			return total, err
		}
		total += count
		more = count == gcStep
	}
	return total, nil
}

// removeExpired deletes some of the relationships that expired before a time. The time is in whole seconds.
func (s *Store) removeExpired(ctx context.Context, before int64) (count int64, err error) {
	err = s.maintain(ctx, func(c *conn) error {
		expired, err := c.rows(selectExpired, []any{before, int64(gcStep)})
		if err != nil {
			return err
		}
		for _, found := range expired {
			k, err := decodeKey(found.key)
			if err != nil {
				return err
			}
			if _, err := c.exec(deleteResource, found.key); err != nil {
				return err
			}
			if _, err := c.exec(deleteSubject, encodeKey(k.Swapped())); err != nil {
				return err
			}
		}
		count = int64(len(expired))
		if _, err := c.exec("UPDATE change SET relationships = relationships - ? WHERE id = ?", count, s.lastID); err != nil {
			return err
		}
		h := *s.head.Load() // only the writer changes the head, and this goroutine is the writer
		h.relationships -= count
		s.head.Store(&h)
		return nil
	})
	return count, err
}

// step runs one statement as the writer.
func (s *Store) step(ctx context.Context, statement string, args ...any) (count int64, err error) {
	err = s.maintain(ctx, func(c *conn) error {
		count, err = c.exec(statement, args...)
		return err
	})
	return count, err
}

// maintain runs writes that do not change the result of any read. Such writes get no revision.
func (s *Store) maintain(ctx context.Context, do func(*conn) error) (err error) {
	if err := s.acquireWriter(ctx); err != nil {
		return err
	}
	defer s.releaseWriter()
	if _, err := s.writer.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := do(s.writer); err != nil {
		return errors.Join(err, s.rollBack())
	}
	if _, err := s.writer.exec("COMMIT"); err != nil {
		return errors.Join(err, s.rollBack())
	}
	return nil
}
