package sqlitestore

import (
	"context"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
)

// reader implements datastore.Reader at a revision.
type reader struct {
	*definitions
	store *Store
	at    revision
	err   error // error of opening the reader
}

// SnapshotReader returns a reader of the state at a revision. The reader's methods return an error if the revision
// cannot be read.
func (s *Store) SnapshotReader(r datastore.Revision) datastore.Reader {
	if err := s.open(); err != nil {
		return &reader{err: err, definitions: &definitions{err: err}}
	}
	at, err := s.requireReadable(r)
	out := &reader{store: s, at: at, err: err}
	out.definitions = &definitions{at: at, err: err, use: out.use, count: out.count}
	return out
}

// use calls do with a connection that sees every write up to the reader's revision.
func (r *reader) use(do func(*conn) error) error {
	if err := r.store.readers.use(do); err != nil {
		return err
	}
	// A check after the read is enough. Garbage collection only advances, so if the history of the revision is still
	// stored now, it was also stored during the read.
	if int64(r.at) < r.store.collected.Load() {
		return datastore.NewInvalidRevisionErr(r.at, datastore.RevisionStale)
	}
	return nil
}

func (r *reader) QueryRelationships(
	ctx context.Context, filter datastore.RelationshipsFilter, opts ...options.QueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	if r.err != nil {
		return nil, r.err
	}
	filter, err := r.withTypesOfSets(ctx, filter)
	if err != nil {
		return nil, err
	}
	q, err := forward(r.store.options.now(), filter, opts)
	if err != nil {
		return nil, err
	}
	return iterate(ctx, r.rows, q), nil
}

func (r *reader) ReverseQueryRelationships(
	ctx context.Context, filter datastore.SubjectsFilter, opts ...options.ReverseQueryOptionsOption,
) (datastore.RelationshipIterator, error) {
	if r.err != nil {
		return nil, r.err
	}
	return iterate(ctx, r.rows, reverse(r.store.options.now(), filter, opts)), nil
}

func (r *reader) count(ctx context.Context, filter datastore.RelationshipsFilter) (int, error) {
	return countMatches(iterate(ctx, r.rows, query{filter: filter, now: r.store.options.now()}))
}

// rows returns the rows of a span at the reader's revision. If no relationship was replaced or deleted since this
// revision, the current rows are enough. Otherwise rows reads the history too.
func (r *reader) rows(_ context.Context, s span, limit int) (rows []row, err error) {
	err = r.use(func(c *conn) error {
		if r.isCurrent() {
			if rows, err = c.rows(statementNow(s, limit, int64(r.at))); err != nil || r.isCurrent() {
				return err
			}
		}
		rows, err = c.rows(statementAt(s, limit, int64(r.at)))
		return err
	})
	return rows, err
}

func (r *reader) isCurrent() bool { return r.store.ended.Load() <= int64(r.at) }
