package keyspan

import (
	"slices"

	"github.com/authzed/spicedb/pkg/datastore"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/tuple"
)

// TypesOfSets returns the types of the sets that each relation of a definition accepts as subjects. For the relation
// `viewer: user | group#member`, this is group.
func TypesOfSets(definition *core.NamespaceDefinition) map[string][]string {
	types := make(map[string][]string)
	for _, relation := range definition.GetRelation() {
		for _, allowed := range relation.GetTypeInformation().GetAllowedDirectRelations() {
			name := relation.GetName()
			isSet := allowed.GetRelation() != "" && allowed.GetRelation() != tuple.Ellipsis
			if isSet && !slices.Contains(types[name], allowed.GetNamespace()) {
				types[name] = append(types[name], allowed.GetNamespace())
			}
		}
	}
	return types
}

// IsForSets reports whether a filter selects all sets among the subjects of a relation, for example group:g#member.
// SpiceDB uses such a filter in a check. Without the types of the sets, it makes a store read every person who has
// the relation.
func IsForSets(f datastore.RelationshipsFilter) bool {
	return f.OptionalResourceType != "" && f.OptionalResourceRelation != "" && len(f.OptionalResourceIds) > 0 &&
		len(f.OptionalSubjectsSelectors) == 1 && f.OptionalSubjectsSelectors[0].OptionalSubjectType == "" &&
		len(f.OptionalSubjectsSelectors[0].OptionalSubjectIds) == 0 &&
		f.OptionalSubjectsSelectors[0].RelationFilter.OnlyNonEllipsisRelations
}

// WithTypesOfSets adds the types that the sets can have to a filter for which IsForSets returns true. Without types,
// it returns the filter unchanged.
func WithTypesOfSets(f datastore.RelationshipsFilter, types []string) datastore.RelationshipsFilter {
	if len(types) == 0 {
		return f
	}
	selector := f.OptionalSubjectsSelectors[0]
	f.OptionalSubjectsSelectors = nil
	for _, typ := range types {
		selector.OptionalSubjectType = typ
		f.OptionalSubjectsSelectors = append(f.OptionalSubjectsSelectors, selector)
	}
	return f
}
