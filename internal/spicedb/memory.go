package spicedb

import (
	"context"
	"slices"
	"sync"
	"time"

	storecmd "github.com/authzed/spicedb/pkg/cmd/datastore"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
)

// memory is SpiceDB's in-memory datastore with three differences:
//
// Writes run one at a time. SpiceDB's datastore selects the revision of a write before it waits for other writes. So
// of two overlapping writes, the one that ends later can have the earlier revision. A reader that used the later
// revision before that write ended would miss the write.
//
// An index finds relationships. SpiceDB's datastore scans all relationships of a type and relation, so a large
// account would slow down every check.
//
// Definitions are decoded once for each schema.
type memory struct {
	datastore.Datastore
	gcWindow time.Duration
	writing  chan struct{} // has one element while a write runs

	mu      sync.RWMutex
	history []moment // sorted by revision; never empty
}

// moment is the state at a revision.
type moment struct {
	datastore.RevisionWithSchemaHash
	index       *index
	definitions *definitions
	at          time.Time
}

func newMemory(ctx context.Context) (datastore.Datastore, error) {
	config := storecmd.DefaultDatastoreConfig()
	return newMemoryWith(ctx, config)
}

func newMemoryWith(ctx context.Context, config *storecmd.Config) (datastore.Datastore, error) {
	store, err := storecmd.NewDatastore(
		ctx, config.ToOption(), storecmd.WithEngine(Memory), storecmd.WithEnableDatastoreMetrics(false),
	)
	if err != nil {
		return nil, err
	}
	first, err := store.HeadRevision(ctx)
	if err != nil {
		return nil, err
	}
	return &memory{
		Datastore: store,
		gcWindow:  config.GCWindow,
		writing:   make(chan struct{}, 1),
		history:   []moment{{RevisionWithSchemaHash: first, index: newIndex(), definitions: &definitions{}, at: time.Now()}},
	}, nil
}

// Unwrap returns SpiceDB's datastore.
func (m *memory) Unwrap() datastore.Datastore { return m.Datastore }

// ReadWriteTx waits until no other write runs, or until ctx ends.
func (m *memory) ReadWriteTx(
	ctx context.Context, do datastore.TxUserFunc, opts ...options.RWTOptionsOption,
) (datastore.Revision, error) {
	select {
	case m.writing <- struct{}{}:
	case <-ctx.Done():
		return datastore.NoRevision, ctx.Err()
	}
	defer func() { <-m.writing }()

	var written moment
	revision, err := m.Datastore.ReadWriteTx(ctx, func(ctx context.Context, inner datastore.ReadWriteTransaction) error {
		head := m.head()
		tx := &memoryTx{
			ReadWriteTransaction: inner, now: time.Now(), index: head.index.clone(), definitions: head.definitions,
		}
		if err := do(ctx, tx); err != nil {
			return err
		}
		written = moment{index: tx.index, definitions: tx.definitions}
		return tx.err
	}, opts...)
	if err != nil {
		return revision, err
	}
	head, err := m.Datastore.HeadRevision(ctx)
	if err != nil {
		return datastore.NoRevision, err
	}
	written.RevisionWithSchemaHash, written.at = head, time.Now()
	m.append(written)
	return revision, nil
}

// HeadRevision returns the revision of the last finished write. If Watch has already delivered a newer revision,
// HeadRevision waits for the end of that write.
func (m *memory) HeadRevision(ctx context.Context) (datastore.RevisionWithSchemaHash, error) {
	head, err := m.Datastore.HeadRevision(ctx)
	if err == nil {
		err = m.settle(ctx, head.Revision)
	}
	if err != nil {
		return datastore.RevisionWithSchemaHash{}, err
	}
	return m.head().RevisionWithSchemaHash, nil
}

// settle waits for the end of the running write if the revision belongs to that write.
func (m *memory) settle(ctx context.Context, revision datastore.Revision) error {
	if !revision.GreaterThan(m.head().Revision) {
		return nil
	}
	select {
	case m.writing <- struct{}{}:
		<-m.writing
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// OptimizedRevision returns the newest revision, since memory reads every revision equally fast. Every returned
// revision belongs to a write, so it always names the same state.
func (m *memory) OptimizedRevision(ctx context.Context) (datastore.RevisionWithSchemaHash, error) {
	return m.HeadRevision(ctx)
}

// SnapshotReader returns a reader of the state at a revision.
func (m *memory) SnapshotReader(revision datastore.Revision) datastore.Reader {
	then, err := m.momentAt(revision), m.CheckRevision(context.Background(), revision)
	reader := m.Datastore.SnapshotReader(revision)
	if err == nil {
		reader = definedReader{reader, then.definitions}
	}
	return &memoryReader{Reader: reader, index: then.index, now: time.Now(), err: err}
}

func (m *memory) head() moment {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.history[len(m.history)-1]
}

// momentAt returns the state after the last write up to a revision.
func (m *memory) momentAt(revision datastore.Revision) moment {
	_ = m.settle(context.Background(), revision)
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, past := range slices.Backward(m.history) {
		if !past.Revision.GreaterThan(revision) {
			return past
		}
	}
	return m.history[0]
}

// append adds a moment, and removes those that are too old to read.
func (m *memory) append(now moment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.history = append(m.history, now)
	old := 0
	for old < len(m.history)-1 && now.at.Sub(m.history[old+1].at) > m.gcWindow {
		old++
	}
	m.history = slices.Delete(m.history, 0, old)
}
