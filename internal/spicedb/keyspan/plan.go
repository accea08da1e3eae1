package keyspan

import (
	"slices"
	"strings"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
)

// Plan says which relationships can match a filter: those in some parts of the list, in one of the two orders. The
// parts are sorted and do not overlap. Not every relationship in a part matches; see Matches.
type Plan struct {
	BySubject bool
	Parts     []Part
}

// Part contains all keys that begin with the components. If Partly is set, the last component is only a prefix.
type Part struct {
	Components []string
	Partly     bool
}

// Start returns the smallest key that the part can contain.
func (p Part) Start() Key {
	var k Key
	copy(k[:], p.Components)
	return k
}

// Contains reports whether a key is in the part.
func (p Part) Contains(k Key) bool {
	for i, component := range p.Components {
		if p.Partly && i == len(p.Components)-1 {
			return strings.HasPrefix(k[i], component)
		}
		if k[i] != component {
			return false
		}
	}
	return true
}

// IsWhole reports whether the plan contains all keys.
func (p Plan) IsWhole() bool { return len(p.Parts) == 1 && len(p.Parts[0].Components) == 0 }

// InOrder reports whether a scan of the parts returns matches in the given order.
func (p Plan) InOrder(sort options.SortOrder) bool {
	return sort == options.Unsorted || sort == options.ChooseEfficient || (sort == options.BySubject) == p.BySubject ||
		p.oneSubject()
}

// oneSubject reports whether all matches have the same subject. Then, in the order of subjects, they are sorted by
// resource.
func (p Plan) oneSubject() bool {
	return p.BySubject && len(p.Parts) == 1 && len(p.Parts[0].Components) >= 3
}

// PlanFor returns a plan for a filter. It selects the order in which the filter determines the most components.
func PlanFor(f datastore.RelationshipsFilter) Plan {
	typ, ids, relation := f.OptionalResourceType, unique(f.OptionalResourceIds), f.OptionalResourceRelation
	subjects, named := subjectParts(f.OptionalSubjectsSelectors)
	switch {
	case typ != "" && len(ids) > 0 && relation != "":
		return Plan{Parts: product(components(typ), ids, components(relation), subjects)}
	case named:
		return Plan{BySubject: true, Parts: withResource(subjects, typ, ids, relation)}
	case typ != "" && len(ids) > 0:
		return Plan{Parts: product(components(typ), ids, nil, nil)}
	case typ != "":
		return Plan{Parts: []Part{{Components: []string{typ, f.OptionalResourceIDPrefix}, Partly: true}}}
	case subjects != nil:
		return Plan{BySubject: true, Parts: product(nil, nil, nil, subjects)}
	default:
		return Plan{Parts: []Part{{}}}
	}
}

// subjectParts returns the beginnings of keys that the selectors allow: type, id and relation of the subject, as far
// as the selectors determine them. It returns nil if a selector determines nothing. named reports that every selector
// determines type and id.
func subjectParts(selectors []datastore.SubjectsSelector) (parts [][]string, named bool) {
	named = len(selectors) > 0
	for _, s := range selectors {
		if s.OptionalSubjectType == "" {
			return nil, false
		}
		if len(s.OptionalSubjectIds) == 0 {
			named = false
			parts = append(parts, []string{s.OptionalSubjectType})
			continue
		}
		for _, id := range s.OptionalSubjectIds {
			p := []string{s.OptionalSubjectType, id}
			if relation, ok := onlyRelation(s.RelationFilter); ok {
				p = append(p, relation)
			}
			parts = append(parts, p)
		}
	}
	return disjoint(parts), named
}

// onlyRelation returns the relation that the filter allows. It returns false unless the filter allows exactly one.
func onlyRelation(f datastore.SubjectRelationFilter) (string, bool) {
	switch {
	case f.OnlyNonEllipsisRelations:
		return "", false
	case f.IncludeEllipsisRelation && f.NonEllipsisRelation == "":
		return datastore.Ellipsis, true
	case !f.IncludeEllipsisRelation && f.NonEllipsisRelation != "":
		return f.NonEllipsisRelation, true
	default:
		return "", false
	}
}

// withResource appends the resource to each subject whose type, id and relation are all determined.
func withResource(subjects [][]string, typ string, ids []string, relation string) []Part {
	var parts []Part
	for _, subject := range subjects {
		if len(subject) < 3 || typ == "" {
			parts = append(parts, Part{Components: subject})
			continue
		}
		if len(ids) == 0 {
			parts = append(parts, Part{Components: slices.Concat(subject, components(typ))})
			continue
		}
		parts = append(parts, product(slices.Concat(subject, components(typ)), ids, components(relation), nil)...)
	}
	return parts
}

// product returns a part for each combination of an id and an ending, in order.
func product(begin, ids, middle []string, endings [][]string) []Part {
	if ids == nil {
		ids = []string{""}
	}
	if endings == nil {
		endings = [][]string{nil}
	}
	var parts []Part
	for _, id := range ids {
		for _, ending := range endings {
			parts = append(parts, Part{Components: slices.Concat(begin, components(id), middle, ending)})
		}
	}
	return parts
}

// components returns a list with the component. If the component is empty, which means any, the list is empty.
func components(c string) []string {
	if c == "" {
		return nil
	}
	return []string{c}
}

func unique(ids []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(ids)))
}

// disjoint sorts the beginnings of keys, and removes those that start with another one.
func disjoint(parts [][]string) [][]string {
	slices.SortFunc(parts, slices.Compare[[]string])
	var out [][]string
	for _, p := range parts {
		if n := len(out); n > 0 && len(out[n-1]) <= len(p) && slices.Equal(out[n-1], p[:len(out[n-1])]) {
			continue
		}
		out = append(out, p)
	}
	return out
}
