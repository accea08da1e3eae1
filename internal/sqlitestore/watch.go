package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
)

// watchTimeout is how long Watch waits for a slow watcher whose buffer is full.
const watchTimeout = time.Second

// Watch sends the changes that were committed after a revision, and then each new change, until ctx ends. It fails if
// the garbage collection has deleted changes after that revision.
func (s *Store) Watch(
	ctx context.Context, after datastore.Revision, o datastore.WatchOptions,
) (<-chan datastore.RevisionChanges, <-chan error) {
	if o.WatchBufferLength == 0 {
		o.WatchBufferLength = s.options.watchBuffer
	}
	if o.WatchBufferWriteTimeout <= 0 {
		o.WatchBufferWriteTimeout = watchTimeout
	}
	updates, errs := make(chan datastore.RevisionChanges, o.WatchBufferLength), make(chan error, 1)
	from, err := s.requireWatchable(after, o)
	if err != nil {
		close(updates)
		errs <- err
		return updates, errs
	}
	w := &watcher{store: s, options: o, last: from, updates: updates}
	go func() {
		defer close(updates)
		defer close(errs)
		errs <- w.follow(ctx)
	}()
	return updates, errs
}

func (s *Store) requireWatchable(after datastore.Revision, o datastore.WatchOptions) (revision, error) {
	if o.EmissionStrategy == datastore.EmitImmediatelyStrategy {
		return 0, errors.New("emit immediately strategy is unsupported in SQLite")
	}
	if err := s.open(); err != nil {
		return 0, err
	}
	from, ok := after.(revision)
	switch {
	case !ok || from > s.head.Load().revision:
		return 0, datastore.NewInvalidRevisionErr(after, datastore.CouldNotDetermineRevision)
	case int64(from) < s.collected.Load():
		return 0, datastore.NewInvalidRevisionErr(after, datastore.RevisionStale)
	}
	return from, nil
}

// watcher is one call of Watch.
type watcher struct {
	store   *Store
	options datastore.WatchOptions
	last    revision // the last revision sent
	updates chan<- datastore.RevisionChanges
}

// follow sends changes until it fails or ctx ends, and returns the error.
func (w *watcher) follow(ctx context.Context) error {
	for {
		head, next := w.store.next()
		if w.last < head.revision {
			if err := w.catchUp(ctx, head.revision); err != nil {
				return err
			}
		}
		select {
		case <-next:
		case <-ctx.Done():
			return datastore.NewWatchCanceledErr()
		case <-w.store.closed:
			return datastore.NewWatchTemporaryErr(errClosed)
		}
	}
}

// catchUp sends all revisions up to a published revision.
func (w *watcher) catchUp(ctx context.Context, upTo revision) error {
	var current *changes
	for from, more := int64(w.last)+1, true; more; {
		rows, err := w.read(from, upTo)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if current == nil || current.revision != row.revision {
				if err := w.sendChanges(ctx, current); err != nil {
					return err
				}
				current = newChanges(row.revision)
			}
			if err := current.add(row, w.options.Content); err != nil {
				return err
			}
			if limit := w.options.MaximumBufferedChangesByteSize; limit > 0 && current.size > limit {
				return datastore.NewMaximumChangesSizeExceededError(limit)
			}
			from = row.id + 1
		}
		more = len(rows) == logPage
	}
	if err := w.sendChanges(ctx, current); err != nil {
		return err
	}
	w.last = upTo
	if w.options.Content&datastore.WatchCheckpoints == 0 {
		return nil
	}
	return w.send(ctx, datastore.RevisionChanges{Revision: upTo, IsCheckpoint: true})
}

// logPage is the number of log rows per query.
const logPage = 64

// read returns the next rows of the log from an id on. It omits revisions that are already sent.
func (w *watcher) read(from int64, upTo revision) (rows []logRow, err error) {
	err = w.store.readers.use(func(c *conn) error {
		return c.query(
			"SELECT id, revision, metadata, updates FROM change WHERE id >= ? AND revision > ? AND revision <= ? ORDER BY id "+
				"LIMIT ?",
			[]any{from, int64(w.last), int64(upTo), int64(logPage)},
			func(values []driver.Value) bool {
				row := logRow{id: number(values[0]), revision: revision(number(values[1]))}
				row.metadata, _ = values[2].([]byte)
				row.entries, _ = values[3].([]byte)
				rows = append(rows, row)
				return true
			},
		)
	})
	if err == nil && int64(w.last) < w.store.collected.Load() {
		err = datastore.NewInvalidRevisionErr(w.last, datastore.RevisionStale)
	}
	return rows, err
}

// sendChanges sends the changes of one revision, unless the watcher has requested none of them.
func (w *watcher) sendChanges(ctx context.Context, c *changes) error {
	if c == nil {
		return nil
	}
	w.last = c.revision
	changes, empty := c.revisionChanges()
	if empty {
		return nil
	}
	return w.send(ctx, changes)
}

// send sends a change. It waits for a slow watcher, but not longer than the configured timeout.
func (w *watcher) send(ctx context.Context, change datastore.RevisionChanges) error {
	select {
	case w.updates <- change:
		return nil
	default:
	}
	timer := time.NewTimer(w.options.WatchBufferWriteTimeout)
	defer timer.Stop()
	select {
	case w.updates <- change:
		return nil
	case <-ctx.Done():
		return datastore.NewWatchCanceledErr()
	case <-timer.C:
		return datastore.NewWatchDisconnectedErr()
	}
}
