package replica_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// Each type has few objects, so that paths meet.
const (
	objectsOfType = 4
	plainOfType   = 2
)

func objectOf(typ authz.Type, i int) authz.Object {
	return authz.Object{Type: typ, ID: authz.ID(fmt.Sprintf("%s%d", typ[:1], i))}
}

// randomRelationship returns a relationship that the schema allows. Objects refer only to objects with a lower number.
// So there are no circles, in which SpiceDB takes exponential time for look-ups.
func (m *model) randomRelationship(r *rand.Rand) authz.Relationship {
	objects := m.objects()
	d := objects[r.IntN(len(objects))]
	rel := d.relations[r.IntN(len(d.relations))]
	a := rel.allowed[r.IntN(len(rel.allowed))]
	from, to := r.IntN(objectsOfType), r.IntN(plainOfType)
	if !slices.Contains(plainTypes, a.typ) {
		from = 1 + r.IntN(objectsOfType-1)
		to = r.IntN(from)
	}
	out := authz.Relationship{
		Resource: objectOf(d.name, from),
		Relation: rel.name,
		Subject:  authz.Subject{Object: objectOf(a.typ, to), Relation: authz.Relation(a.relation)},
		Caveat:   a.caveat,
	}
	if a.wildcard {
		out.Subject = authz.Everybody(a.typ)
	}
	if a.expires {
		out.ExpiresAt = randomExpiration(r)
	}
	out.CaveatContext = randomContext(r, a.caveat)
	return out
}

// randomExpiration returns a time in the past, or a time so late that no relationship expires during a comparison.
func randomExpiration(r *rand.Rand) time.Time {
	if dates := enginetest.Dates(); r.IntN(4) == 0 {
		return dates[r.IntN(len(dates))]
	}
	if r.IntN(3) == 0 {
		return time.Now().Add(-time.Duration(1+r.IntN(1000)) * time.Second).Truncate(time.Second)
	}
	return time.Now().Add(time.Duration(1+r.IntN(1000)) * time.Hour).Truncate(time.Second)
}

// randomContext returns all, some or none of the parameters of a caveat.
func randomContext(r *rand.Rand, caveat string) string {
	contexts := map[string][]string{
		"below":  {"", `{"limit":10}`, `{"amount":5}`, `{"limit":10,"amount":5}`, `{"limit":5,"amount":10}`},
		"on_day": {"", `{"day":"monday"}`, `{"day":"monday","today":"monday"}`, `{"day":"monday","today":"friday"}`},
	}[caveat]
	if len(contexts) == 0 {
		return ""
	}
	return contexts[r.IntN(len(contexts))]
}

// checkContexts returns the caveat contexts that requests send.
func (m *model) checkContexts() []map[string]any {
	if !m.traits.caveats {
		return []map[string]any{nil}
	}
	return []map[string]any{
		nil,
		{"amount": float64(3), "today": "monday"},
		{"limit": float64(1), "amount": float64(3), "day": "friday", "today": "monday"},
	}
}

// randomWrite returns updates of different relationships. It may delete relationships that do not exist.
func (m *model) randomWrite(r *rand.Rand, updates int, stored []authz.Relationship) authz.Write {
	var write authz.Write
	met := make(map[string]bool)
	for range updates {
		update := authz.Update{Action: authz.Touch, Relationship: m.randomRelationship(r)}
		if r.IntN(5) == 0 {
			update.Action = authz.Delete
			if len(stored) > 0 && r.IntN(5) > 0 {
				update.Relationship = stored[r.IntN(len(stored))]
			}
		}
		if text := update.Relationship.String(); !met[text] {
			met[text] = true
			write.Updates = append(write.Updates, update)
		}
	}
	return write
}

// randomFilter selects some of the stored relationships.
func (m *model) randomFilter(r *rand.Rand) authz.Filter {
	one := m.randomRelationship(r)
	switch r.IntN(4) {
	case 0:
		return authz.Filter{Type: one.Resource.Type, ID: one.Resource.ID}
	case 1:
		return authz.Filter{Type: one.Resource.Type, Relation: one.Relation}
	case 2:
		return authz.Filter{SubjectType: one.Subject.Type, SubjectID: one.Subject.ID, SubjectWildcard: one.Subject.Wildcard}
	default:
		return authz.Exactly(one)
	}
}
