package keyspan

import (
	"slices"
	"testing"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/namespace"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
)

// TestSetsAreReadWithoutPeople checks that a filter for the sets among the subjects of a relation reads only subjects
// of the types of these sets. Other filters must not change.
func TestSetsAreReadWithoutPeople(t *testing.T) {
	definition := &core.NamespaceDefinition{Name: "account", Relation: []*core.Relation{
		namespace.MustRelation("owner", nil, namespace.AllowedRelation("user", "...")),
		namespace.MustRelation("guest", nil, namespace.AllowedRelation("user", "..."),
			namespace.AllowedRelation("group", "member"), namespace.AllowedRelation("group", "owner")),
	}}
	types := TypesOfSets(definition)
	if len(types["owner"]) != 0 || !slices.Equal(types["guest"], []string{"group"}) {
		t.Errorf("the types of sets are %v", types)
	}
	sets := datastore.RelationshipsFilter{
		OptionalResourceType: "account", OptionalResourceIds: []string{"a"}, OptionalResourceRelation: "guest",
		OptionalSubjectsSelectors: []datastore.SubjectsSelector{
			{RelationFilter: datastore.SubjectRelationFilter{}.WithOnlyNonEllipsisRelations()},
		},
	}
	if !IsForSets(sets) {
		t.Error("the filter is for sets")
	}
	parts := PlanFor(WithTypesOfSets(sets, types["guest"])).Parts
	if len(parts) != 1 || !slices.Equal(parts[0].Components, []string{"account", "a", "guest", "group"}) {
		t.Errorf("the filter reads %v", parts)
	}
	people := sets
	people.OptionalSubjectsSelectors = []datastore.SubjectsSelector{
		{OptionalSubjectType: "user", RelationFilter: sets.OptionalSubjectsSelectors[0].RelationFilter},
	}
	if IsForSets(people) {
		t.Error("the filter names a type of subjects")
	}
}
