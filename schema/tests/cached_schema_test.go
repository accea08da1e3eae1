package tests

import (
	"context"
	"sync"

	"github.com/authzed/spicedb/pkg/datalayer"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/development"
)

// cacheSchema makes a development context decode each definition only once. Otherwise SpiceDB decodes a definition
// again in each step of each check, which takes two thirds of the time.
func cacheSchema(dev *development.DevContext) {
	dev.DataLayer = &cachingLayer{DataLayer: dev.DataLayer, definitions: make(map[string]definition)}
	dev.Ctx = datalayer.ContextWithDataLayer(dev.Ctx, dev.DataLayer)
}

// cachingLayer stores the decoded definitions of a schema. The schema must not change.
type cachingLayer struct {
	datalayer.DataLayer

	mu          sync.Mutex
	definitions map[string]definition // by the name of the type
}

type definition struct {
	datastore.RevisionedTypeDefinition
	found bool
}

func (c *cachingLayer) SnapshotReader(at datastore.Revision, hash datalayer.SchemaHash) datalayer.RevisionedReader {
	return cachingReader{c.DataLayer.SnapshotReader(at, hash), c}
}

type cachingReader struct {
	datalayer.RevisionedReader
	layer *cachingLayer
}

func (r cachingReader) ReadSchema(ctx context.Context) (datalayer.SchemaReader, error) {
	schema, err := r.RevisionedReader.ReadSchema(ctx)
	return cachingSchema{schema, r.layer}, err
}

type cachingSchema struct {
	datalayer.SchemaReader
	layer *cachingLayer
}

func (s cachingSchema) LookupTypeDefByName(
	ctx context.Context, name string,
) (datastore.RevisionedTypeDefinition, bool, error) {
	s.layer.mu.Lock()
	defer s.layer.mu.Unlock()
	known, cached := s.layer.definitions[name]
	if !cached {
		d, found, err := s.SchemaReader.LookupTypeDefByName(ctx, name)
		if err != nil {
			return d, found, err
		}
		known = definition{d, found}
		s.layer.definitions[name] = known
	}
	return known.RevisionedTypeDefinition, known.found, nil
}

func (s cachingSchema) LookupTypeDefinitionsByNames(
	ctx context.Context, names []string,
) (map[string]datastore.TypeDefinition, error) {
	all := make(map[string]datastore.TypeDefinition, len(names))
	for _, name := range names {
		d, found, err := s.LookupTypeDefByName(ctx, name)
		if err != nil {
			return nil, err
		}
		if found {
			all[name] = d.Definition
		}
	}
	return all, nil
}

func (s cachingSchema) LookupSchemaDefinitionsByNames(
	ctx context.Context, names []string,
) (map[string]datastore.SchemaDefinition, error) {
	all := make(map[string]datastore.SchemaDefinition, len(names))
	types, err := s.LookupTypeDefinitionsByNames(ctx, names)
	if err != nil {
		return nil, err
	}
	for name, d := range types {
		all[name] = d
	}
	caveats, err := s.LookupCaveatDefinitionsByNames(ctx, names)
	for name, d := range caveats {
		all[name] = d
	}
	return all, err
}
