package spicedb

import (
	"context"
	"sync"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/datastore"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
)

// definitions holds the definitions of one schema, and decodes each kind of them once, at its first use. SpiceDB's
// in-memory datastore decodes all of them in every look-up, which takes most of the time of a small write.
type definitions struct {
	namespaces decoded[*core.NamespaceDefinition]
	caveats    decoded[*core.CaveatDefinition]
}

// decoded has the definitions of one kind. They are never modified.
type decoded[D datastore.SchemaDefinition] struct {
	mu     sync.Mutex
	byName map[string]datastore.RevisionedDefinition[D] // nil before the first call
}

// all returns the definitions by name. At the first call, list reads them.
func (d *decoded[D]) all(
	ctx context.Context, list func(context.Context) ([]datastore.RevisionedDefinition[D], error),
) (map[string]datastore.RevisionedDefinition[D], error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byName != nil {
		return d.byName, nil
	}
	listed, err := list(ctx)
	if err != nil {
		return nil, err
	}
	d.byName = make(map[string]datastore.RevisionedDefinition[D], len(listed))
	for _, definition := range listed {
		d.byName[definition.Definition.GetName()] = definition
	}
	return d.byName, nil
}

// named returns the definitions with the names, in the order of the names.
func named[D datastore.SchemaDefinition](
	all map[string]datastore.RevisionedDefinition[D], names []string,
) []datastore.RevisionedDefinition[D] {
	var found []datastore.RevisionedDefinition[D]
	for _, name := range names {
		if definition, ok := all[name]; ok {
			found = append(found, definition)
		}
	}
	return found
}

// definedReader is a reader that returns decoded definitions from the cache.
type definedReader struct {
	datastore.Reader
	definitions *definitions
}

func (r definedReader) LegacyReadNamespaceByName(
	ctx context.Context, name string,
) (*core.NamespaceDefinition, datastore.Revision, error) {
	all, err := r.definitions.namespaces.all(ctx, r.LegacyListAllNamespaces)
	if err != nil {
		return nil, datastore.NoRevision, err
	}
	if found, ok := all[name]; ok {
		return found.Definition, found.LastWrittenRevision, nil
	}
	return nil, datastore.NoRevision, datastore.NewNamespaceNotFoundErr(name)
}

func (r definedReader) LegacyLookupNamespacesWithNames(
	ctx context.Context, names []string,
) ([]datastore.RevisionedNamespace, error) {
	all, err := r.definitions.namespaces.all(ctx, r.LegacyListAllNamespaces)
	return named(all, names), err
}

func (r definedReader) LegacyReadCaveatByName(
	ctx context.Context, name string,
) (*core.CaveatDefinition, datastore.Revision, error) {
	all, err := r.definitions.caveats.all(ctx, r.LegacyListAllCaveats)
	if err != nil {
		return nil, datastore.NoRevision, err
	}
	if found, ok := all[name]; ok {
		return found.Definition, found.LastWrittenRevision, nil
	}
	return nil, datastore.NoRevision, datastore.NewCaveatNameNotFoundErr(name)
}

func (r definedReader) LegacyLookupCaveatsWithNames(
	ctx context.Context, names []string,
) ([]datastore.RevisionedCaveat, error) {
	all, err := r.definitions.caveats.all(ctx, r.LegacyListAllCaveats)
	return named(all, names), err
}

// defined calls do with a reader of the transaction's definitions. During the call, no definition may change: the
// cache would then have the changed definition for the previous schema.
func (t *memoryTx) defined(do func(definedReader) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return do(definedReader{t.ReadWriteTransaction, t.definitions})
}

// redefine calls change, which changes definitions, and then clears the cache of decoded definitions.
func (t *memoryTx) redefine(change func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.definitions = &definitions{}
	return change()
}

func (t *memoryTx) LegacyReadNamespaceByName(
	ctx context.Context, name string,
) (found *core.NamespaceDefinition, written datastore.Revision, err error) {
	err = t.defined(func(r definedReader) error {
		found, written, err = r.LegacyReadNamespaceByName(ctx, name)
		return err
	})
	return found, written, err
}

func (t *memoryTx) LegacyLookupNamespacesWithNames(
	ctx context.Context, names []string,
) (found []datastore.RevisionedNamespace, err error) {
	err = t.defined(func(r definedReader) error {
		found, err = r.LegacyLookupNamespacesWithNames(ctx, names)
		return err
	})
	return found, err
}

func (t *memoryTx) LegacyReadCaveatByName(
	ctx context.Context, name string,
) (found *core.CaveatDefinition, written datastore.Revision, err error) {
	err = t.defined(func(r definedReader) error {
		found, written, err = r.LegacyReadCaveatByName(ctx, name)
		return err
	})
	return found, written, err
}

func (t *memoryTx) LegacyLookupCaveatsWithNames(
	ctx context.Context, names []string,
) (found []datastore.RevisionedCaveat, err error) {
	err = t.defined(func(r definedReader) error {
		found, err = r.LegacyLookupCaveatsWithNames(ctx, names)
		return err
	})
	return found, err
}

func (t *memoryTx) LegacyWriteNamespaces(ctx context.Context, written ...*core.NamespaceDefinition) error {
	return t.redefine(func() error { return t.ReadWriteTransaction.LegacyWriteNamespaces(ctx, written...) })
}

func (t *memoryTx) LegacyWriteCaveats(ctx context.Context, written []*core.CaveatDefinition) error {
	return t.redefine(func() error { return t.ReadWriteTransaction.LegacyWriteCaveats(ctx, written) })
}

func (t *memoryTx) LegacyDeleteCaveats(ctx context.Context, names []string) error {
	return t.redefine(func() error { return t.ReadWriteTransaction.LegacyDeleteCaveats(ctx, names) })
}

func (t *memoryTx) LegacyDeleteNamespaces(
	ctx context.Context, names []string, option datastore.DeleteNamespacesRelationshipsOption,
) error {
	err := t.redefine(func() error {
		return t.ReadWriteTransaction.LegacyDeleteNamespaces(ctx, names, datastore.DeleteNamespacesOnly)
	})
	if err != nil || option != datastore.DeleteNamespacesAndRelationships {
		return err
	}
	for _, name := range names {
		if _, _, err := t.DeleteRelationships(ctx, &v1.RelationshipFilter{ResourceType: name}); err != nil {
			return err
		}
	}
	return nil
}
