package sqlitestore

import (
	"context"

	"github.com/authzed/spicedb/pkg/datastore"
)

// HeadRevision is the revision of the last write that has been committed.
func (s *Store) HeadRevision(context.Context) (datastore.RevisionWithSchemaHash, error) {
	if err := s.open(); err != nil {
		return datastore.RevisionWithSchemaHash{}, err
	}
	return s.head.Load().told(), nil
}

// OptimizedRevision is the newest revision of the time when one was last chosen, which is at most Quantization ago.
func (s *Store) OptimizedRevision(ctx context.Context) (datastore.RevisionWithSchemaHash, error) {
	if s.options.Quantization == 0 {
		return s.HeadRevision(ctx)
	}
	if err := s.open(); err != nil {
		return datastore.RevisionWithSchemaHash{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.options.Now(); !now.Before(s.until) {
		s.optimized, s.until = *s.head.Load(), now.Add(s.options.Quantization)
	}
	return s.optimized.told(), nil
}

func (h *head) told() datastore.RevisionWithSchemaHash {
	return datastore.RevisionWithSchemaHash{Revision: h.revision, SchemaHash: h.schemaHash}
}

// CheckRevision returns a datastore.InvalidRevisionError for a revision that cannot be read, or soon cannot: one older than
// the garbage-collection window, unless it is the newest.
func (s *Store) CheckRevision(_ context.Context, r datastore.Revision) error {
	if err := s.open(); err != nil {
		return err
	}
	_, err := s.readable(r)
	return err
}

func (s *Store) readable(r datastore.Revision) (revision, error) {
	at, ok := r.(revision)
	newest := s.head.Load().revision
	switch {
	case !ok || at > newest:
		return 0, datastore.NewInvalidRevisionErr(r, datastore.CouldNotDetermineRevision)
	case at < newest && at < s.windowStart() || int64(at) < s.collected.Load():
		return 0, datastore.NewInvalidRevisionErr(r, datastore.RevisionStale)
	default:
		return at, nil
	}
}

func (s *Store) windowStart() revision {
	return revision(s.options.Now().Add(-s.options.GCWindow).UnixNano())
}

// nextRevision is called by the writer alone.
func (s *Store) nextRevision() revision {
	return max(revision(s.options.Now().UnixNano()), revision(s.lastID)+1)
}

// publish makes a committed revision the newest one.
func (s *Store) publish(h head) {
	s.head.Store(&h)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.published)
	s.published = make(chan struct{})
}

// next returns what is closed at the first write after the returned head.
func (s *Store) next() (*head, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head.Load(), s.published
}

// MetricsID is the same for all stores.
func (*Store) MetricsID() (string, error) { return Engine, nil }

// UniqueID stays the same until another store is restored in its place.
func (s *Store) UniqueID(context.Context) (string, error) { return s.id, nil }

// ReadyState is ready until Close.
func (s *Store) ReadyState(context.Context) (datastore.ReadyState, error) {
	if err := s.open(); err != nil {
		return datastore.ReadyState{Message: err.Error()}, nil
	}
	return datastore.ReadyState{IsReady: true}, nil
}

// Features are those that OfflineFeatures names.
func (s *Store) Features(context.Context) (*datastore.Features, error) { return s.OfflineFeatures() }

// OfflineFeatures are all but those that only databases of several machines have a use for.
func (*Store) OfflineFeatures() (*datastore.Features, error) {
	supported := datastore.Feature{Status: datastore.FeatureSupported}
	return &datastore.Features{
		Watch:                   supported,
		IntegrityData:           supported,
		ContinuousCheckpointing: datastore.Feature{Status: datastore.FeatureUnsupported, Reason: "a checkpoint follows each write; there are none between writes"},
		WatchEmitsImmediately:   datastore.Feature{Status: datastore.FeatureUnsupported, Reason: "changes are told when they are committed"},
	}, nil
}

// Statistics count what is there now, without the relationships that have expired and are not yet collected.
func (s *Store) Statistics(ctx context.Context) (datastore.Stats, error) {
	if err := s.open(); err != nil {
		return datastore.Stats{}, err
	}
	h := s.head.Load()
	types, err := s.SnapshotReader(h.revision).LegacyListAllNamespaces(ctx)
	if err != nil {
		return datastore.Stats{}, err
	}
	return datastore.Stats{
		UniqueID:                   s.id,
		EstimatedRelationshipCount: uint64(max(h.relationships, 0)),
		ObjectTypeStatistics:       datastore.ComputeObjectTypeStats(types),
	}, nil
}
