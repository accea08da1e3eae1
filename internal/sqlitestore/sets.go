package sqlitestore

import (
	"context"

	"github.com/authzed/spicedb/pkg/datastore"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// typesOfSets are the types of sets that each relation of a schema accepts, by type and relation.
type typesOfSets struct {
	since int64 // the revision that wrote the newest definition
	of    map[string]map[string][]string
}

// withTypesOfSets adds to a filter for sets the types that these can have. At a revision before the newest change of
// the schema, it returns the filter itself.
func (r *reader) withTypesOfSets(
	ctx context.Context, filter datastore.RelationshipsFilter,
) (datastore.RelationshipsFilter, error) {
	since := r.store.redefined.Load()
	if !keyspan.IsForSets(filter) || int64(r.at) < since {
		return filter, nil
	}
	sets := r.store.sets.Load()
	if sets == nil || sets.since != since {
		namespaces, err := r.LegacyListAllNamespaces(ctx)
		if err != nil {
			return filter, err
		}
		sets = &typesOfSets{since: since, of: make(map[string]map[string][]string)}
		for _, namespace := range namespaces {
			sets.of[namespace.Definition.GetName()] = keyspan.TypesOfSets(namespace.Definition)
		}
		if r.store.redefined.Load() != since {
			return filter, nil // the revision may be before a change that began meanwhile
		}
		r.store.sets.Store(sets)
	}
	return keyspan.WithTypesOfSets(filter, sets.of[filter.OptionalResourceType][filter.OptionalResourceRelation]), nil
}
