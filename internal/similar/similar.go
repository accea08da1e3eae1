// Package similar finds the names that a misspelt name may mean.
package similar

import (
	"slices"
	"strings"
)

// maxBytes is the length of the longest valid name: in SpiceDB, a type may have prefixes, for example
// tenant/document.
const maxBytes = 128

// Names returns the candidates with the most similar spelling, at most three, the most similar first. If the name is
// longer than any valid name, Names returns none, since the time of the search grows with the length.
func Names(name string, candidates []string) []string {
	if len(name) > maxBytes {
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

// Hint returns text to append to the error about an unknown name. The text begins with "; the nearest" and has the
// candidates that Names returns. It is empty if there are none.
func Hint(name string, candidates []string) string {
	if len(name) > maxBytes {
		return ""
	}
	near := Names(strings.ToLower(name), candidates)
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
