package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/cenkalti/backoff/v5"
)

// attempts is the largest number of attempts at a write while another process has locked the file. pause is the time
// between two attempts.
const (
	attempts = 10
	pause    = 20 * time.Millisecond
)

// ReadWriteTx waits until it may write, or until ctx ends. Then it calls do in a transaction. do sees the committed
// state and its own writes. If ReadWriteTx returns an error, nothing of the transaction is stored.
func (s *Store) ReadWriteTx(
	ctx context.Context, do datastore.TxUserFunc, opts ...options.RWTOptionsOption,
) (datastore.Revision, error) {
	o := options.NewRWTOptionsWithOptions(opts...)
	var at revision
	var err error
	_, _ = backoff.Retry(ctx, func() (struct{}, error) {
		if at, err = s.transact(ctx, do, o); !errors.Is(err, errBusy) || o.DisableRetries {
			return struct{}{}, nil
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pause)), backoff.WithMaxTries(attempts))
	if err != nil {
		return datastore.NoRevision, err
	}
	return at, nil
}

// acquireWriter waits until no other write runs. releaseWriter admits the next write.
func (s *Store) acquireWriter(ctx context.Context) error {
	select {
	case <-s.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	case s.writing <- struct{}{}:
	}
	if s.writer == nil { // rollBack closed the connection
		if err := s.connectWriter(); err != nil {
			s.releaseWriter()
			return err
		}
	}
	return nil
}

func (s *Store) releaseWriter() { <-s.writing }

func (s *Store) transact(ctx context.Context, do datastore.TxUserFunc, o *options.RWTOptions) (_ revision, err error) {
	if err := s.acquireWriter(ctx); err != nil {
		return 0, err
	}
	defer s.releaseWriter()
	h := *s.head.Load()
	if o.SchemaHashPrecondition != "" && o.SchemaHashPrecondition != h.schemaHash {
		return 0, datastore.ErrSchemaHashPreconditionFailed
	}
	if _, err := s.writer.exec("BEGIN IMMEDIATE"); err != nil {
		return 0, err
	}
	committed := false
	defer func() {
		if !committed { // this also runs if do panics
			err = errors.Join(err, s.rollBack())
		}
	}()

	h.revision = s.nextRevision()
	t := newTransaction(s, h)
	if err := do(ctx, t); err != nil {
		return 0, err
	}
	t.mu.Lock() // never unlocked: SpiceDB must not write after the end
	last, err := t.finish(o.Metadata)
	if err != nil {
		return 0, err
	}
	if t.ended {
		s.ended.Store(int64(h.revision)) // before the commit, so that readers then also read the history
	}
	if t.redefined {
		s.redefined.Store(int64(h.revision))
	}
	if _, err := s.writer.exec("COMMIT"); err != nil {
		return 0, fmt.Errorf("cannot commit: %w", err)
	}
	committed = true
	s.lastID = last
	s.publish(t.head)
	return t.head.revision, nil
}

// rollBack ends the transaction. If the rollback fails, for example after a disk failure, the state of the connection
// is unknown, so rollBack closes it.
func (s *Store) rollBack() error {
	if _, err := s.writer.exec("ROLLBACK"); err == nil {
		return nil
	}
	closing := s.writer.Close()
	s.writer = nil
	return closing
}

// transaction is a running write.
type transaction struct {
	*definitions
	store *Store
	head  head // the head after the commit
	log   *changeLog
	ended bool // the write has replaced or deleted a relationship

	redefined bool // the write has written or deleted a definition

	mu sync.Mutex // SpiceDB reads from several goroutines
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

// rows returns the current rows of a span.
func (t *transaction) rows(_ context.Context, s span, limit int) (rows []row, err error) {
	err = t.use(func(c *conn) error {
		rows, err = c.rows(statementNow(s, limit, int64(t.head.revision)))
		return err
	})
	return rows, err
}

func (t *transaction) QueryRelationships(
	ctx context.Context, filter datastore.RelationshipsFilter, opts ...options.QueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	q, err := forward(t.store.options.now(), filter, opts)
	if err != nil {
		return nil, err
	}
	return iterate(ctx, t.rows, q), nil
}

func (t *transaction) ReverseQueryRelationships(
	ctx context.Context, filter datastore.SubjectsFilter, opts ...options.ReverseQueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	return iterate(ctx, t.rows, reverse(t.store.options.now(), filter, opts)), nil
}

func (t *transaction) count(ctx context.Context, filter datastore.RelationshipsFilter) (int, error) {
	return countMatches(iterate(ctx, t.rows, query{filter: filter, now: t.store.options.now()}))
}
