package txtest

import (
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/sluice-authz/sluice/internal/authz"
)

// state is the relationships at one token. It does not change. The first search builds indexes, so that tests with
// thousands of relationships stay fast.
type state struct {
	relationships map[authz.Filter]authz.Relationship // by authz.Exactly
	indexes       func() indexes
}

// indexes find relationships. The numbers are positions in rows.
type indexes struct {
	rows       []authz.Relationship
	byResource map[authz.Object][]int
	bySubject  map[authz.Object][]int // without wildcards
}

func newState(relationships map[authz.Filter]authz.Relationship) *state {
	s := &state{relationships: relationships}
	s.indexes = sync.OnceValue(func() indexes {
		all := indexes{
			rows:       slices.Collect(maps.Values(relationships)),
			byResource: make(map[authz.Object][]int), bySubject: make(map[authz.Object][]int),
		}
		for i, r := range all.rows {
			all.byResource[r.Resource] = append(all.byResource[r.Resource], i)
			if !r.Subject.Wildcard {
				all.bySubject[r.Subject.Object] = append(all.bySubject[r.Subject.Object], i)
			}
		}
		return all
	})
	return s
}

// clone returns a copy of the relationships, for the next state.
func (s *state) clone() map[authz.Filter]authz.Relationship {
	next := maps.Clone(s.relationships)
	if next == nil {
		next = make(map[authz.Filter]authz.Relationship)
	}
	return next
}

// find returns the relationships that match the filter, in no particular order.
func (s *state) find(f authz.Filter) iter.Seq[authz.Relationship] {
	return func(yield func(authz.Relationship) bool) {
		all := s.indexes()
		in := func(positions []int) {
			for _, i := range positions {
				if matches(f, all.rows[i]) && !yield(all.rows[i]) {
					return
				}
			}
		}
		switch {
		case f.Type != "" && f.ID != "":
			in(all.byResource[authz.Object{Type: f.Type, ID: f.ID}])
		case f.SubjectType != "" && f.SubjectID != "":
			in(all.bySubject[authz.Object{Type: f.SubjectType, ID: f.SubjectID}])
		default:
			for _, r := range all.rows {
				if matches(f, r) && !yield(r) {
					return
				}
			}
		}
	}
}

// matches reports whether a relationship agrees with every field of a filter that is set.
func matches(f authz.Filter, r authz.Relationship) bool {
	subject := r.Subject
	return (f.Type == "" || f.Type == r.Resource.Type) &&
		(f.ID == "" || f.ID == r.Resource.ID) &&
		(f.Relation == "" || f.Relation == r.Relation) &&
		(f.SubjectType == "" || f.SubjectType == subject.Type) &&
		(f.SubjectID == "" || f.SubjectID == subject.ID && !subject.Wildcard) &&
		(!f.SubjectWildcard || subject.Wildcard) &&
		(f.SubjectRelation == "" || f.SubjectRelation == subject.Relation) &&
		(!f.SubjectPlain || subject.Relation == "")
}
