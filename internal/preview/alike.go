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
		lines[r.Resource] = append(lines[r.Resource], fmt.Sprintf("%s@%s %s", r.Relation, r.Subject, condition(r)))
	}
	return firstOfSame(objects, func(object authz.Object) string {
		if object.Type == person { // a permission can include the object itself
			return object.String()
		}
		slices.Sort(lines[object])
		return string(object.Type) + "\n" + strings.Join(lines[object], "\n")
	})
}

// alikePeople returns, for each of the people, the first of them who is named by the same relationships of the same
// objects, in each of the states. All of these people have the same permissions, since no relationship distinguishes
// them. This holds only if the type of people has no relations and no permissions, see Previewer.concerned.
func alikePeople(people []authz.Subject, states ...[]authz.Relationship) map[authz.Subject]authz.Subject {
	lines := make(map[authz.Subject][]string, len(people))
	for _, who := range people {
		lines[who] = nil
	}
	for i, relationships := range states {
		for _, r := range relationships {
			if _, asked := lines[r.Subject]; asked {
				lines[r.Subject] = append(
					lines[r.Subject], fmt.Sprintf("%d %s#%s %s", i, r.Resource, r.Relation, condition(r)),
				)
			}
		}
	}
	return firstOfSame(people, func(who authz.Subject) string {
		slices.Sort(lines[who])
		return strings.Join(lines[who], "\n")
	})
}

// condition returns a text of the fields that decide when a relationship holds.
func condition(r authz.Relationship) string {
	return fmt.Sprintf("%d.%d %q %q", r.ExpiresAt.Unix(), r.ExpiresAt.Nanosecond(), r.Caveat, r.CaveatContext)
}

// firstOfSame returns, for each of the values, the first one with the same key.
func firstOfSame[T comparable](values []T, key func(T) string) map[T]T {
	first := make(map[string]T)
	same := make(map[T]T, len(values))
	for _, value := range values {
		k := key(value)
		if _, found := first[k]; !found {
			first[k] = value
		}
		same[value] = first[k]
	}
	return same
}

// representatives returns the values that are the first of their kind.
func representatives[T comparable](values []T, same map[T]T) []T {
	return slices.DeleteFunc(slices.Clone(values), func(value T) bool { return same[value] != value })
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
