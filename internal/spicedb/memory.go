package spicedb

import (
	"context"

	storecmd "github.com/authzed/spicedb/pkg/cmd/datastore"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
)

// memory is SpiceDB's in-memory datastore with one write at a time. By itself it takes the revision of a write before it
// waits for other writes to end, so that of two overlapping writes the later one can get the earlier revision, and a reader
// at that revision would miss it.
type memory struct {
	datastore.Datastore
	writing chan struct{} // holds one element while a write is under way
}

func newMemory(ctx context.Context) (datastore.Datastore, error) {
	store, err := storecmd.NewDatastore(ctx, storecmd.WithEngine(Memory), storecmd.WithEnableDatastoreMetrics(false))
	if err != nil {
		return nil, err
	}
	return &memory{Datastore: store, writing: make(chan struct{}, 1)}, nil
}

// Unwrap returns SpiceDB's datastore.
func (m *memory) Unwrap() datastore.Datastore { return m.Datastore }

// ReadWriteTx waits for the write under way to end, or for ctx.
func (m *memory) ReadWriteTx(ctx context.Context, do datastore.TxUserFunc, opts ...options.RWTOptionsOption) (datastore.Revision, error) {
	select {
	case m.writing <- struct{}{}:
	case <-ctx.Done():
		return datastore.NoRevision, ctx.Err()
	}
	defer func() { <-m.writing }()
	return m.Datastore.ReadWriteTx(ctx, do, opts...)
}
