package sqlitestore

import (
	"context"

	"github.com/authzed/spicedb/pkg/datastore"
)

// HeadRevision returns the revision of the last committed write.
func (s *Store) HeadRevision(context.Context) (datastore.RevisionWithSchemaHash, error) {
	if err := s.open(); err != nil {
		return datastore.RevisionWithSchemaHash{}, err
	}
	return s.head.Load().withHash(), nil
}

// OptimizedRevision returns a recent revision for reads that accept one. It is at most Options.quantization old.
func (s *Store) OptimizedRevision(ctx context.Context) (datastore.RevisionWithSchemaHash, error) {
	if s.options.quantization == 0 {
		return s.HeadRevision(ctx)
	}
	if err := s.open(); err != nil {
		return datastore.RevisionWithSchemaHash{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.options.now(); !now.Before(s.until) {
		s.optimized, s.until = *s.head.Load(), now.Add(s.options.quantization)
	}
	return s.optimized.withHash(), nil
}

func (h *head) withHash() datastore.RevisionWithSchemaHash {
	return datastore.RevisionWithSchemaHash{Revision: h.revision, SchemaHash: h.schemaHash}
}

// CheckRevision returns a datastore.InvalidRevisionError if a revision cannot be read, or may soon become unreadable.
// This holds for every revision older than the garbage-collection window, except the newest revision.
func (s *Store) CheckRevision(_ context.Context, r datastore.Revision) error {
	if err := s.open(); err != nil {
		return err
	}
	_, err := s.requireReadable(r)
	return err
}

func (s *Store) requireReadable(r datastore.Revision) (revision, error) {
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
	return revision(s.options.now().Add(-s.options.GCWindow).UnixNano())
}

// nextRevision returns the revision of the next write. Only the writer calls it.
func (s *Store) nextRevision() revision {
	return max(revision(s.options.now().UnixNano()), revision(s.lastID)+1)
}

// publish makes a committed revision the newest one and wakes the watchers.
func (s *Store) publish(h head) {
	s.head.Store(&h)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.published)
	s.published = make(chan struct{})
}

// next returns the head and a channel that the next write after it closes.
func (s *Store) next() (*head, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head.Load(), s.published
}

// MetricsID returns the name of the datastore, which is the same for all stores.
func (*Store) MetricsID() (string, error) { return Engine, nil }

// UniqueID returns the id of the store. Restore gives the store a new id.
func (s *Store) UniqueID(context.Context) (string, error) { return s.id, nil }

// ReadyState reports the store as ready until Close.
func (s *Store) ReadyState(context.Context) (datastore.ReadyState, error) {
	if err := s.open(); err != nil {
		return datastore.ReadyState{Message: err.Error()}, nil
	}
	return datastore.ReadyState{IsReady: true}, nil
}

// Features returns OfflineFeatures.
func (s *Store) Features(context.Context) (*datastore.Features, error) { return s.OfflineFeatures() }

// OfflineFeatures lists all features except those that only matter for databases on several machines.
func (*Store) OfflineFeatures() (*datastore.Features, error) {
	supported := datastore.Feature{Status: datastore.FeatureSupported}
	return &datastore.Features{
		Watch:         supported,
		IntegrityData: supported,
		ContinuousCheckpointing: datastore.Feature{
			Status: datastore.FeatureUnsupported, Reason: "a checkpoint follows each write; there are none between writes",
		},
		WatchEmitsImmediately: datastore.Feature{
			Status: datastore.FeatureUnsupported, Reason: "Watch sends changes when they are committed",
		},
	}, nil
}

// Statistics counts the current relationships and those that have expired but are not yet collected.
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
