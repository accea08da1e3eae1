package authz

import (
	"slices"
	"strings"
)

// Definition is a type of the schema with its relations and permissions.
type Definition struct {
	Type        Type
	Doc         string
	Relations   []Relation
	Permissions []PermissionInfo

	// Accepts lists the subjects that each relation accepts.
	Accepts map[Relation][]SubjectType
}

// SubjectType is a kind of subject that a relation accepts: objects of Type; with Relation, the subjects in that
// relation of such an object; with Wildcard, all objects of Type at once.
type SubjectType struct {
	Type     Type
	Relation Relation
	Wildcard bool

	// Caveat is the caveat that a relationship with such a subject must have, or "".
	Caveat string

	// Expires reports that a relationship with such a subject must expire.
	Expires bool
}

// PermissionInfo is a permission of a definition.
type PermissionInfo struct {
	Name Permission

	// Doc is the comment of the permission in the schema, without comment markers.
	Doc string

	// Internal reports that the permission (named as_…) is a schema step, which is used only inside other permissions.
	Internal bool
}

// Public returns the names of the permissions that applications check.
func (d Definition) Public() []Permission {
	var names []Permission
	for _, p := range d.Permissions {
		if !p.Internal {
			names = append(names, p.Name)
		}
	}
	return names
}

// Nearest returns at most three candidates with the most similar spelling, the most similar first. It returns none for
// a name that is longer than any valid name, since the time of the search grows with the length.
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

// Suggest returns the end of an error about an unknown name: the nearest candidates, or "".
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

// distance returns the Levenshtein distance: the number of single-byte edits between a and b.
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
