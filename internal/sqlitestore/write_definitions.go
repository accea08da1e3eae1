package sqlitestore

import (
	"context"
	"fmt"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/datastore"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
)

// put stores a definition, and ends the current one of the same kind and name.
func (t *transaction) put(c *conn, kind, name string, body []byte, count, counted any) error {
	if _, err := t.drop(c, kind, name); err != nil {
		return err
	}
	_, err := c.exec(
		"INSERT INTO definition (kind, name, created, ended, body, count, counted_at) VALUES (?, ?, ?, 0, ?, ?, ?)",
		kind,
		name,
		int64(t.at),
		append([]byte{}, body...),
		count,
		counted,
	)
	return err
}

// drop ends the current definition with a name, so that later revisions do not have it. It reports whether there was
// one.
func (t *transaction) drop(c *conn, kind, name string) (bool, error) {
	t.redefined = t.redefined || kind != kindCounter
	unseen, err := c.exec(
		"DELETE FROM definition WHERE kind = ? AND name = ? AND created = ? AND ended = 0", kind, name, int64(t.at),
	)
	if err != nil || unseen > 0 {
		return unseen > 0, err
	}
	count, err := c.exec(
		"UPDATE definition SET ended = ? WHERE kind = ? AND name = ? AND ended = 0", int64(t.at), kind, name,
	)
	return count > 0, err
}

// write replaces a definition and appends it to the change log.
func (t *transaction) write(kind string, entry entryKind, d interface {
	datastore.SchemaDefinition
	MarshalVT() ([]byte, error)
},
) error {
	body, err := d.MarshalVT()
	if err != nil {
		return err
	}
	return t.use(func(c *conn) error {
		if err := t.put(c, kind, d.GetName(), body, nil, nil); err != nil {
			return err
		}
		return t.log.add(entry, body)
	})
}

func (t *transaction) LegacyWriteNamespaces(_ context.Context, namespaces ...*core.NamespaceDefinition) error {
	for _, n := range namespaces {
		if err := t.write(kindNamespace, namespaceChanged, n); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) LegacyWriteCaveats(_ context.Context, caveats []*core.CaveatDefinition) error {
	written := map[string]bool{}
	for _, caveat := range caveats {
		if written[caveat.GetName()] {
			return fmt.Errorf("the caveat %s occurs twice", caveat.GetName())
		}
		written[caveat.GetName()] = true
		if err := t.write(kindCaveat, caveatChanged, caveat); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) LegacyDeleteCaveats(_ context.Context, names []string) error {
	for _, name := range names {
		err := t.use(func(c *conn) error {
			found, err := t.drop(c, kindCaveat, name)
			if err != nil || !found {
				return err
			}
			return t.log.add(caveatDeleted, []byte(name))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) LegacyDeleteNamespaces(
	ctx context.Context, names []string, option datastore.DeleteNamespacesRelationshipsOption,
) error {
	for _, name := range names {
		err := t.use(func(c *conn) error {
			found, err := t.drop(c, kindNamespace, name)
			switch {
			case err != nil:
				return err
			case !found:
				return datastore.NewNamespaceNotFoundErr(name)
			}
			return t.log.add(namespaceDeleted, []byte(name))
		})
		if err != nil {
			return err
		}
		if option != datastore.DeleteNamespacesAndRelationships {
			continue
		}
		if _, _, err := t.DeleteRelationships(ctx, &v1.RelationshipFilter{ResourceType: name}); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) WriteStoredSchema(_ context.Context, schema *core.StoredSchema) error {
	body, err := schema.MarshalVT()
	if err != nil {
		return err
	}
	t.head.schemaHash = hashOf(schema)
	return t.use(func(c *conn) error { return t.put(c, kindSchema, schemaName, body, nil, nil) })
}

func (t *transaction) RegisterCounter(_ context.Context, name string, filter *core.RelationshipFilter) error {
	found, err := t.read(kindCounter, name)
	switch {
	case err != nil:
		return err
	case len(found) > 0:
		return datastore.NewCounterAlreadyRegisteredErr(name, filter)
	}
	body, err := filter.MarshalVT()
	if err != nil {
		return err
	}
	return t.use(func(c *conn) error { return t.put(c, kindCounter, name, body, int64(0), nil) })
}

func (t *transaction) UnregisterCounter(_ context.Context, name string) error {
	return t.use(func(c *conn) error {
		found, err := t.drop(c, kindCounter, name)
		if err == nil && !found {
			return datastore.NewCounterNotRegisteredErr(name)
		}
		return err
	})
}

func (t *transaction) StoreCounterValue(
	_ context.Context, name string, value int, computedAt datastore.Revision,
) error {
	found, err := t.read(kindCounter, name)
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return datastore.NewCounterNotRegisteredErr(name)
	}
	at, ok := computedAt.(revision)
	if !ok {
		return datastore.NewInvalidRevisionErr(computedAt, datastore.CouldNotDetermineRevision)
	}
	return t.use(func(c *conn) error {
		return t.put(c, kindCounter, name, found[0].body, int64(value), int64(at))
	})
}
