package preview

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// alike maps each object to the first object with the same type and the same relationships. A permission depends only
// on an object's relationships and on their subjects, so the same people have each permission on both objects. A
// preview looks up these people only for the first object.
func alike(objects []authz.Object, relationships []authz.Relationship) map[authz.Object]authz.Object {
	lines := make(map[authz.Object][]string)
	for _, r := range relationships {
		lines[r.Resource] = append(lines[r.Resource], fmt.Sprintf("%s@%s %s", r.Relation, r.Subject, condition(r)))
	}
	return firstOfSame(objects, func(object authz.Object) string {
		if object.Type == person { // a permission on a person can depend on who this person is
			return object.String()
		}
		slices.Sort(lines[object])
		return string(object.Type) + "\n" + strings.Join(lines[object], "\n")
	})
}

// alikePeople maps each person to the first person who has the same relationships to the same objects. The
// relationships must be the same in each of the states, for example before and after an operation. Both people then
// have the same permissions, if the type of people has no relations and no permissions: see Previewer.concerned.
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

// condition returns a text that consists of the expiration, the caveat and the caveat context of a relationship.
func condition(r authz.Relationship) string {
	return fmt.Sprintf("%d.%d %q %q", r.ExpiresAt.Unix(), r.ExpiresAt.Nanosecond(), r.Caveat, r.CaveatContext)
}

// firstOfSame maps each value to the first value that has the same key.
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

// representatives returns the values that the map "same" maps to themselves: the first of each set of equal ones.
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

// distinct returns the questions that a preview must ask. If several objects have the same relationships (see alike),
// it keeps only the questions about the first one.
func distinct(questions []question, same map[authz.Object]authz.Object) []question {
	var first []question
	known := make(map[question]bool)
	for _, q := range questions {
		q.object = same[q.object]
		if !known[q] {
			known[q] = true
			first = append(first, q)
		}
	}
	return first
}
