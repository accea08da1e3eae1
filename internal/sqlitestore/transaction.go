package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
)

// A write that meets another process on the file is tried again, this often and after this pause.
const (
	attempts = 10
	pause    = 20 * time.Millisecond
)

// ReadWriteTx waits for its turn to write, or for ctx. do sees what is there now and what it has itself written; what it
// has written is there as a whole when ReadWriteTx returns without an error, and not at all when it returns one.
func (s *Store) ReadWriteTx(ctx context.Context, do datastore.TxUserFunc, opts ...options.RWTOptionsOption) (datastore.Revision, error) {
	o := options.NewRWTOptionsWithOptions(opts...)
	for attempt := 1; ; attempt++ {
		at, err := s.transact(ctx, do, o)
		switch {
		case err == nil:
			return at, nil
		case !errors.Is(err, errBusy) || o.DisableRetries || attempt == attempts:
			return datastore.NoRevision, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return datastore.NoRevision, err
		}
	}
}

// takeWriter returns when nobody else writes. giveWriter lets the next one.
func (s *Store) takeWriter(ctx context.Context) error {
	select {
	case <-s.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	case s.writing <- struct{}{}:
	}
	if s.writer == nil { // it was given up after a failure
		if err := s.connectWriter(); err != nil {
			s.giveWriter()
			return err
		}
	}
	return nil
}

func (s *Store) giveWriter() { <-s.writing }

func (s *Store) transact(ctx context.Context, do datastore.TxUserFunc, o *options.RWTOptions) (_ revision, err error) {
	if err := s.takeWriter(ctx); err != nil {
		return 0, err
	}
	defer s.giveWriter()
	h := *s.head.Load()
	if o.SchemaHashPrecondition != "" && o.SchemaHashPrecondition != h.schemaHash {
		return 0, datastore.ErrSchemaHashPreconditionFailed
	}
	if _, err := s.writer.exec("BEGIN IMMEDIATE"); err != nil {
		return 0, err
	}
	committed := false
	defer func() {
		if !committed { // also where do panics
			err = errors.Join(err, s.rollBack())
		}
	}()

	h.revision = s.nextRevision()
	t := newTransaction(s, h)
	if err := do(ctx, t); err != nil {
		return 0, err
	}
	t.mu.Lock() // and never unlocked: nothing is written after the end
	last, err := t.finish(o.Metadata)
	if err != nil {
		return 0, err
	}
	if t.ended {
		s.ended.Store(int64(h.revision)) // before anybody can see that something is gone
	}
	if _, err := s.writer.exec("COMMIT"); err != nil {
		return 0, fmt.Errorf("cannot commit: %w", err)
	}
	committed = true
	s.lastID = last
	s.publish(t.head)
	return t.head.revision, nil
}

// rollBack ends the transaction under way. After a failure of the disk, SQLite may have ended it already, and the
// connection is not to be trusted.
func (s *Store) rollBack() error {
	if _, err := s.writer.exec("ROLLBACK"); err == nil {
		return nil
	}
	closing := s.writer.Close()
	s.writer = nil
	return closing
}

// transaction is a write under way.
type transaction struct {
	*definitions
	store *Store
	head  head // as it will be
	log   *changeLog
	ended bool // some relationship has ended

	mu sync.Mutex // SpiceDB reads at the same time in several goroutines
}

func newTransaction(s *Store, h head) *transaction {
	t := &transaction{store: s, head: h, log: newChangeLog(s.writer, h.revision)}
	t.definitions = &definitions{at: h.revision, use: t.use, count: t.count}
	return t
}

// use calls do with the connection that writes.
func (t *transaction) use(do func(*conn) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return do(t.store.writer)
}

// rows is the source of a transaction: what is there now.
func (t *transaction) rows(_ context.Context, s span, limit int) (rows []row, err error) {
	err = t.use(func(c *conn) error {
		rows, err = c.rows(statementNow(s, limit, int64(t.head.revision)))
		return err
	})
	return rows, err
}

func (t *transaction) QueryRelationships(ctx context.Context, filter datastore.RelationshipsFilter, opts ...options.QueryOptionsOption) (datastore.RelationshipIterator, error) {
	q, err := forward(t.store.options.Now(), filter, opts)
	if err != nil {
		return nil, err
	}
	return run(ctx, t.rows, q), nil
}

func (t *transaction) ReverseQueryRelationships(ctx context.Context, filter datastore.SubjectsFilter, opts ...options.ReverseQueryOptionsOption) (datastore.RelationshipIterator, error) {
	return run(ctx, t.rows, reverse(t.store.options.Now(), filter, opts)), nil
}

func (t *transaction) count(ctx context.Context, filter datastore.RelationshipsFilter) (int, error) {
	return countMatches(run(ctx, t.rows, query{filter: filter, now: t.store.options.Now()}))
}
