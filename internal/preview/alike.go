package preview

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// alike returns, for each object, the first of the objects that has the same type and the same relationships. Each
// permission on the two objects belongs to the same people, since it depends only on the object's relationships and on
// the objects that these name. So a preview looks up the people once.
func alike(objects []authz.Object, relationships []authz.Relationship) map[authz.Object]authz.Object {
	lines := make(map[authz.Object][]string)
	for _, r := range relationships {
		lines[r.Resource] = append(lines[r.Resource], fmt.Sprintf(
			"%s@%s %d %q %q", r.Relation, r.Subject, r.ExpiresAt.UnixNano(), r.Caveat, r.CaveatContext,
		))
	}
	first := make(map[string]authz.Object)
	same := make(map[authz.Object]authz.Object, len(objects))
	for _, object := range objects {
		slices.Sort(lines[object])
		key := string(object.Type) + "\n" + strings.Join(lines[object], "\n")
		if object.Type == person { // a permission can include the object itself
			key = object.String()
		}
		if _, found := first[key]; !found {
			first[key] = object
		}
		same[object] = first[key]
	}
	return same
}

// updated returns the relationships after the updates.
func updated(relationships []authz.Relationship, updates []authz.Update) []authz.Relationship {
	replaced := make(map[authz.Relationship]bool, len(updates))
	for _, u := range updates {
		replaced[identity(u.Relationship)] = true
	}
	after := slices.DeleteFunc(
		slices.Clone(relationships), func(r authz.Relationship) bool { return replaced[identity(r)] },
	)
	for _, u := range updates {
		if u.Action != authz.Delete {
			after = append(after, u.Relationship)
		}
	}
	return after
}

// distinct returns the questions that a preview looks up. Of objects that are alike, it keeps the questions about the
// first.
func distinct(questions []question, same map[authz.Object]authz.Object) []question {
	return slices.DeleteFunc(slices.Clone(questions), func(q question) bool { return same[q.object] != q.object })
}
