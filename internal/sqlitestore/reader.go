package sqlitestore

import (
	"context"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
)

// reader reads the state at a revision.
type reader struct {
	*definitions
	store *Store
	at    revision
	err   error // of opening the reader
}

// SnapshotReader reads the state at a revision.
func (s *Store) SnapshotReader(r datastore.Revision) datastore.Reader {
	if err := s.open(); err != nil {
		return &reader{err: err, definitions: &definitions{err: err}}
	}
	at, err := s.readable(r)
	out := &reader{store: s, at: at, err: err}
	out.definitions = &definitions{at: at, err: err, use: out.use, count: out.count}
	return out
}

// use calls do with a connection that sees everything up to the revision of the reader.
func (r *reader) use(do func(*conn) error) error {
	if err := r.store.readers.use(do); err != nil {
		return err
	}
	// The connection has seen the file at some moment until now, so that what has not been collected until now was there.
	if int64(r.at) < r.store.collected.Load() {
		return datastore.NewInvalidRevisionErr(r.at, datastore.RevisionStale)
	}
	return nil
}

func (r *reader) QueryRelationships(ctx context.Context, filter datastore.RelationshipsFilter, opts ...options.QueryOptionsOption) (datastore.RelationshipIterator, error) {
	if r.err != nil {
		return nil, r.err
	}
	q, err := forward(r.store.options.Now(), filter, opts)
	if err != nil {
		return nil, err
	}
	return run(ctx, r.rows, q), nil
}

func (r *reader) ReverseQueryRelationships(ctx context.Context, filter datastore.SubjectsFilter, opts ...options.ReverseQueryOptionsOption) (datastore.RelationshipIterator, error) {
	if r.err != nil {
		return nil, r.err
	}
	return run(ctx, r.rows, reverse(r.store.options.Now(), filter, opts)), nil
}

func (r *reader) count(ctx context.Context, filter datastore.RelationshipsFilter) (int, error) {
	return countMatches(run(ctx, r.rows, query{filter: filter, now: r.store.options.Now()}))
}

// rows is the source of a reader. Where nothing has ended since its revision, all that it may see is among what is there
// now; else some of it is in the history.
func (r *reader) rows(_ context.Context, s span, limit int) (rows []row, err error) {
	err = r.use(func(c *conn) error {
		if r.nothingEnded() {
			if rows, err = c.rows(statementNow(s, limit, int64(r.at))); err != nil || r.nothingEnded() {
				return err
			}
		}
		rows, err = c.rows(statementThen(s, limit, int64(r.at)))
		return err
	})
	return rows, err
}

func (r *reader) nothingEnded() bool { return r.store.ended.Load() <= int64(r.at) }
