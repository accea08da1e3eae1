package sqlitestore

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/authzed/spicedb/pkg/datastore"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
)

// The kinds of definitions.
const (
	kindNamespace = "namespace"
	kindCaveat    = "caveat"
	kindSchema    = "schema"
	kindCounter   = "counter"

	schemaName = "unified"
)

// definitions reads the schema and the counters at a revision. Every reader embeds it.
type definitions struct {
	at    revision
	err   error // error of opening the reader
	use   func(func(*conn) error) error
	count func(context.Context, datastore.RelationshipsFilter) (int, error)
}

// definition is a row of the table definition.
type definition struct {
	name           string
	created        revision
	body           []byte
	count, counted int64
}

// read returns the definitions of a kind at the revision, sorted by name. If a name is given, it returns only that one.
func (d *definitions) read(kind, name string) (out []definition, err error) {
	if d.err != nil {
		return nil, d.err
	}
	err = d.use(func(c *conn) error {
		out, err = readDefinitions(c, kind, name, d.at)
		return err
	})
	return out, err
}

func readDefinitions(c *conn, kind, name string, at revision) (out []definition, err error) {
	statement, args := "SELECT name, created, body, count, counted_at FROM definition "+
		"WHERE kind = ?1 AND created <= ?2 AND (ended = 0 OR ended > ?2)", []any{
		kind,
		int64(at),
	}
	if name != "" {
		statement, args = statement+" AND name = ?3", append(args, name)
	}
	err = c.query(statement+" ORDER BY name", args, func(values []driver.Value) bool {
		var d definition
		d.name, _ = values[0].(string)
		d.created = revision(number(values[1]))
		d.body, _ = values[2].([]byte)
		d.count, d.counted = number(values[3]), number(values[4])
		out = append(out, d)
		return true
	})
	return out, err
}

func number(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

// message is the type of the protobuf message as which a definition is stored.
type message[T any] interface {
	*T
	datastore.SchemaDefinition
	UnmarshalVT([]byte) error
}

func decodeAll[T any, M message[T]](found []definition, err error) ([]datastore.RevisionedDefinition[M], error) {
	if err != nil {
		return nil, err
	}
	out := make([]datastore.RevisionedDefinition[M], 0, len(found))
	for _, d := range found {
		decoded := M(new(T))
		if err := decoded.UnmarshalVT(d.body); err != nil {
			return nil, fmt.Errorf("%w: the definition %q: %w", ErrCorrupt, d.name, err)
		}
		out = append(out, datastore.RevisionedDefinition[M]{Definition: decoded, LastWrittenRevision: d.created})
	}
	return out, nil
}

// checkDefinitions returns an error unless the types and caveats at a revision can be read. Without them, no server
// could serve the store.
func checkDefinitions(c *conn, at revision) error {
	if _, err := decodeAll[core.NamespaceDefinition](readDefinitions(c, kindNamespace, "", at)); err != nil {
		return err
	}
	_, err := decodeAll[core.CaveatDefinition](readDefinitions(c, kindCaveat, "", at))
	return err
}

func decodeNamed[T any, M message[T]](
	d *definitions, kind string, names []string,
) (out []datastore.RevisionedDefinition[M], err error) {
	for _, name := range names {
		found, err := decodeAll[T, M](d.read(kind, name))
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func (d *definitions) LegacyReadNamespaceByName(
	_ context.Context, name string,
) (*core.NamespaceDefinition, datastore.Revision, error) {
	found, err := decodeNamed[core.NamespaceDefinition](d, kindNamespace, []string{name})
	switch {
	case err != nil:
		return nil, datastore.NoRevision, err
	case len(found) == 0:
		return nil, datastore.NoRevision, datastore.NewNamespaceNotFoundErr(name)
	}
	return found[0].Definition, found[0].LastWrittenRevision, nil
}

func (d *definitions) LegacyListAllNamespaces(context.Context) ([]datastore.RevisionedNamespace, error) {
	return decodeAll[core.NamespaceDefinition](d.read(kindNamespace, ""))
}

func (d *definitions) LegacyLookupNamespacesWithNames(
	_ context.Context, names []string,
) ([]datastore.RevisionedNamespace, error) {
	return decodeNamed[core.NamespaceDefinition](d, kindNamespace, names)
}

func (d *definitions) LegacyReadCaveatByName(
	_ context.Context, name string,
) (*core.CaveatDefinition, datastore.Revision, error) {
	found, err := decodeNamed[core.CaveatDefinition](d, kindCaveat, []string{name})
	switch {
	case err != nil:
		return nil, datastore.NoRevision, err
	case len(found) == 0:
		return nil, datastore.NoRevision, datastore.NewCaveatNameNotFoundErr(name)
	}
	return found[0].Definition, found[0].LastWrittenRevision, nil
}

func (d *definitions) LegacyListAllCaveats(context.Context) ([]datastore.RevisionedCaveat, error) {
	return decodeAll[core.CaveatDefinition](d.read(kindCaveat, ""))
}

func (d *definitions) LegacyLookupCaveatsWithNames(
	_ context.Context, names []string,
) ([]datastore.RevisionedCaveat, error) {
	return decodeNamed[core.CaveatDefinition](d, kindCaveat, names)
}

func (d *definitions) ReadStoredSchema(context.Context) (schema *datastore.ReadOnlyStoredSchema, err error) {
	if d.err != nil {
		return nil, d.err
	}
	err = d.use(func(c *conn) error {
		read, err := readStoredSchema(c, d.at)
		schema = datastore.NewReadOnlyStoredSchemaWithSize(read, read.SizeVT())
		return err
	})
	return schema, err
}

// readStoredSchema returns the schema at a revision, or datastore.ErrSchemaNotFound.
func readStoredSchema(c *conn, at revision) (*core.StoredSchema, error) {
	found, err := readDefinitions(c, kindSchema, schemaName, at)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, datastore.ErrSchemaNotFound
	}
	schema := &core.StoredSchema{}
	if err := schema.UnmarshalVT(found[0].body); err != nil {
		return nil, fmt.Errorf("%w: the schema: %w", ErrCorrupt, err)
	}
	return schema, nil
}

func (d *definitions) CountRelationships(ctx context.Context, name string) (int, error) {
	found, err := d.read(kindCounter, name)
	switch {
	case err != nil:
		return 0, err
	case len(found) == 0:
		return 0, datastore.NewCounterNotRegisteredErr(name)
	}
	counter, err := found[0].counter()
	if err != nil {
		return 0, err
	}
	filter, err := datastore.RelationshipsFilterFromCoreFilter(counter.Filter)
	if err != nil {
		return 0, err
	}
	return d.count(ctx, filter)
}

func (d *definitions) LookupCounters(context.Context) ([]datastore.RelationshipCounter, error) {
	found, err := d.read(kindCounter, "")
	if err != nil {
		return nil, err
	}
	var out []datastore.RelationshipCounter
	for _, stored := range found {
		counter, err := stored.counter()
		if err != nil {
			return nil, err
		}
		out = append(out, counter)
	}
	return out, nil
}

func (d definition) counter() (datastore.RelationshipCounter, error) {
	filter := &core.RelationshipFilter{}
	if err := filter.UnmarshalVT(d.body); err != nil {
		return datastore.RelationshipCounter{}, fmt.Errorf("%w: the counter %q: %w", ErrCorrupt, d.name, err)
	}
	out := datastore.RelationshipCounter{
		Name: d.name, Filter: filter, Count: int(d.count), ComputedAtRevision: datastore.NoRevision,
	}
	if d.counted != 0 {
		out.ComputedAtRevision = revision(d.counted)
	}
	return out, nil
}
