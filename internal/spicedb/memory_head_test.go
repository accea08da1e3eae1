package spicedb

import (
	"context"
	"testing"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/stretchr/testify/require"
)

// lingering is a datastore whose writes signal that they are complete, and then wait before they return.
type lingering struct {
	datastore.Datastore
	written, released chan struct{}
}

func (l lingering) ReadWriteTx(
	ctx context.Context, do datastore.TxUserFunc, opts ...options.RWTOptionsOption,
) (datastore.Revision, error) {
	revision, err := l.Datastore.ReadWriteTx(ctx, do, opts...)
	close(l.written)
	<-l.released
	return revision, err
}

// TestHeadIncludesChangesThatWatchDelivered reads the newest revision after Watch has delivered a write that has not
// returned yet. A reader must not get a revision before that write.
func TestHeadIncludesChangesThatWatchDelivered(t *testing.T) {
	store, err := newMemory(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	slow := lingering{store.(*memory).Datastore, make(chan struct{}), make(chan struct{})}
	store.(*memory).Datastore = slow
	ended := make(chan error)
	go func() {
		_, err := store.ReadWriteTx(t.Context(), func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
			return tx.WriteRelationships(
				ctx, []tuple.RelationshipUpdate{tuple.Create(tuple.MustParse("document:d#reader@user:eve"))},
			)
		})
		ended <- err
	}()
	<-slow.written
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = store.HeadRevision(soon)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(slow.released)
	require.NoError(t, <-ended)
	told, err := slow.HeadRevision(t.Context())
	require.NoError(t, err)
	head, err := store.HeadRevision(t.Context())
	require.NoError(t, err)
	require.False(t, told.Revision.GreaterThan(head.Revision))
}

// TestDefinitionsBelongToTheirRevision looks up definitions before, in and after transactions that change them. One
// of the transactions fails.
func TestDefinitionsBelongToTheirRevision(t *testing.T) {
	store, err := newMemory(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	names := func(reader datastore.Reader) (found []string) {
		t.Helper()
		asked := []string{"document", "folder", "user"}
		listed, err := reader.LegacyLookupNamespacesWithNames(t.Context(), asked)
		require.NoError(t, err)
		for _, definition := range listed {
			found = append(found, definition.Definition.GetName())
		}
		for _, name := range asked {
			_, _, err := reader.LegacyReadNamespaceByName(t.Context(), name)
			if err == nil {
				require.Contains(t, found, name)
			} else {
				require.NotContains(t, found, name)
			}
		}
		return found
	}
	change := func(do func(context.Context, datastore.ReadWriteTransaction) error) (datastore.Revision, error) {
		return store.ReadWriteTx(t.Context(), do)
	}
	at := func(revision datastore.Revision) []string { return names(store.SnapshotReader(revision)) }

	first, err := change(func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
		require.Empty(t, names(tx))
		err := tx.LegacyWriteNamespaces(
			ctx, &core.NamespaceDefinition{Name: "user"}, &core.NamespaceDefinition{Name: "folder"},
		)
		require.Equal(t, []string{"folder", "user"}, names(tx))
		return err
	})
	require.NoError(t, err)
	_, err = change(func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
		require.NoError(t, tx.LegacyWriteNamespaces(ctx, &core.NamespaceDefinition{Name: "document"}))
		require.Len(t, names(tx), 3)
		return context.Canceled
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"folder", "user"}, at(first))
	second, err := change(func(ctx context.Context, tx datastore.ReadWriteTransaction) error {
		require.NoError(t, tx.LegacyDeleteNamespaces(ctx, []string{"folder"}, datastore.DeleteNamespacesOnly))
		require.Equal(t, []string{"user"}, names(tx))
		return tx.LegacyWriteNamespaces(ctx, &core.NamespaceDefinition{Name: "document"})
	})
	require.NoError(t, err)
	require.Equal(t, []string{"document", "user"}, at(second))
	require.Equal(t, []string{"folder", "user"}, at(first))
}
