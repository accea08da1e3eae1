package authz

import (
	"slices"
	"strings"
)

// Definition is one type of the schema, with what it declares.
type Definition struct {
	Type        Type
	Doc         string
	Relations   []Relation
	Permissions []PermissionInfo

	// Accepts says what can stand in each relation.
	Accepts map[Relation][]SubjectType
}

// SubjectType is a kind of subject that a relation accepts: objects of a type, with Relation everybody in that relation
// of such an object, with Wildcard every object of the type at once.
type SubjectType struct {
	Type     Type
	Relation Relation
	Wildcard bool

	// Caveat is the name of the caveat that a relationship with such a subject has to have; it may be empty.
	Caveat string

	// Expires reports that such a relationship has to expire.
	Expires bool
}

// PermissionInfo is one permission of a definition.
type PermissionInfo struct {
	Name Permission

	// Doc is the sentence that documents the permission in the schema, without comment marks.
	Doc string

	// Internal permissions (named as_…) are steps of other permissions, not something to ask an application about.
	Internal bool
}

// Public returns the names of the permissions that applications ask for.
func (d Definition) Public() []Permission {
	var names []Permission
	for _, p := range d.Permissions {
		if !p.Internal {
			names = append(names, p.Name)
		}
	}
	return names
}

// Nearest returns up to three of the candidates that are spelled most like name, the nearest first. It returns none for
// a name that is longer than any can be, since the search takes time in proportion to its length.
func Nearest(name string, candidates []string) []string {
	if len(name) > maxTypeBytes {
		return nil
	}
	type scored struct {
		name     string
		distance int
	}
	var near []scored
	for _, c := range candidates {
		d := distance(name, c)
		if strings.Contains(c, name) || strings.Contains(name, c) {
			d = min(d, 2)
		}
		if d <= max(2, len(name)/2) {
			near = append(near, scored{c, d})
		}
	}
	slices.SortFunc(near, func(a, b scored) int {
		if a.distance != b.distance {
			return a.distance - b.distance
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, s := range near[:min(3, len(near))] {
		names = append(names, s.name)
	}
	return names
}

// Suggest returns what an error about an unknown name says behind it: the candidates that are nearest, or nothing.
func Suggest(name string, candidates []string) string {
	if len(name) > maxTypeBytes {
		return ""
	}
	near := Nearest(strings.ToLower(name), candidates)
	switch len(near) {
	case 0:
		return ""
	case 1:
		return "; the nearest is " + near[0]
	default:
		return "; the nearest are " + strings.Join(near, ", ")
	}
}

// distance is Levenshtein's: how many single-byte edits lead from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal = row[j+1]
			row[j+1] = cost
		}
	}
	return row[len(b)]
}
