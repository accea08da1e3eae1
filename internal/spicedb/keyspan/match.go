package keyspan

import (
	"slices"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/tuple"
)

// Matches reports whether the filter selects the relationship.
func Matches(f datastore.RelationshipsFilter, r tuple.Relationship) bool {
	selectors := f.OptionalSubjectsSelectors
	f.OptionalSubjectsSelectors = nil
	return f.Test(r) && selected(selectors, r.Subject)
}

// selected reports whether a selector matches the subject. It replaces SubjectsSelector.Test, which differs from
// SpiceDB's datastores for filters that allow only subjects without a relation.
func selected(selectors []datastore.SubjectsSelector, subject tuple.ObjectAndRelation) bool {
	return len(selectors) == 0 || slices.ContainsFunc(selectors, func(s datastore.SubjectsSelector) bool {
		return (s.OptionalSubjectType == "" || s.OptionalSubjectType == subject.ObjectType) &&
			(len(s.OptionalSubjectIds) == 0 || slices.Contains(s.OptionalSubjectIds, subject.ObjectID)) &&
			allows(s.RelationFilter, subject.Relation)
	})
}

func allows(f datastore.SubjectRelationFilter, relation string) bool {
	switch {
	case f.IsEmpty():
		return true
	case f.OnlyNonEllipsisRelations:
		return relation != datastore.Ellipsis
	default:
		return relation == f.NonEllipsisRelation || f.IncludeEllipsisRelation && relation == datastore.Ellipsis
	}
}
