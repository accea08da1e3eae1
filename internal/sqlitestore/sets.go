package sqlitestore

import (
	"context"

	"github.com/authzed/spicedb/pkg/datastore"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// typesOfSets has the types of the subject sets that each relation of a schema accepts, by resource type and
// relation. For `viewer: user | group#member`, this is group.
type typesOfSets struct {
	since int64 // the revision that wrote the newest definition
	of    map[string]map[string][]string
}

// withTypesOfSets adds types to a filter that selects subject sets: those that the relation of the filter accepts. At
// a revision before the newest change of the schema, it returns the filter unchanged.
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
