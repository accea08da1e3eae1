package replica_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// nested are schemas in which a permission leads to itself along one relation at most, since with more SpiceDB takes exponential time
// in a circle.
func nested() map[string]*model {
	relations := func(definitions ...*definition) *model {
		m := &model{}
		for _, name := range plainTypes {
			m.definitions = append(m.definitions, &definition{name: name})
		}
		m.definitions = append(m.definitions, definitions...)
		return m
	}
	people := []allowed{{typ: "user"}}
	return map[string]*model{
		"folders": relations(&definition{
			name:        "folder",
			relations:   []*relation{{"viewer", people}, {"banned", people}, {"parent", []allowed{{typ: "folder"}}}},
			permissions: []*permission{{"view", "viewer + parent->view"}, {"edit", "view - banned"}, {"share", "view & banned"}},
		}),
		"teams": relations(&definition{
			name:        "team",
			relations:   []*relation{{"viewer", append([]allowed{{typ: "team", relation: "viewer"}}, people...)}, {"owner", people}},
			permissions: []*permission{{"view", "viewer + owner"}},
		}),
		"folders within papers": relations(
			&definition{
				name:        "folder",
				relations:   []*relation{{"viewer", people}, {"parent", []allowed{{typ: "paper"}}}},
				permissions: []*permission{{"view", "viewer + parent->view"}},
			},
			&definition{
				name:        "paper",
				relations:   []*relation{{"viewer", people}, {"parent", []allowed{{typ: "folder"}}}},
				permissions: []*permission{{"view", "viewer + parent->view"}},
			},
		),
		"folders that are closed": relations(&definition{
			name:        "folder",
			relations:   []*relation{{"viewer", people}, {"banned", people}, {"parent", []allowed{{typ: "folder"}}}},
			permissions: []*permission{{"view", "(viewer + parent->view) - banned"}},
		}),
	}
}

// TestCircles compares checks in circles, and beside them. Look-ups are left out: SpiceDB takes minutes for them there.
func TestCircles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.circles = true
	first := setting(t, seedVariable, 1)
	for name, m := range nested() {
		for seed := first; seed < first+circlesInCI; seed++ {
			r := random(seed)
			require.True(t, w.apply(t, m), name)
			w.write(t, m.circles(r))
			w.compareAll(t, seed, questions{checks: m.questions(r).checks})
		}
	}
	t.Logf("%d comparisons, %d of the replica's own answers, outcomes %v", w.asked, w.own, w.outcomes)
	require.Greater(t, w.outcomes["error"], w.asked/50, "there are too few circles")
	require.Greater(t, w.outcomes["allowed"], w.asked/50)
	require.Greater(t, w.own, w.asked/4)
}

// circlesInCI is how many times each schema is filled.
const circlesInCI = 3

// circles makes relationships in which each object leads to one other object, or to itself, or to none.
func (m *model) circles(r *rand.Rand) authz.Write {
	var write authz.Write
	add := func(resource authz.Object, relation authz.Relation, subject authz.Subject) {
		write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
			Resource: resource, Relation: relation, Subject: subject,
		}})
	}
	for _, d := range m.objects() {
		for i := range objectsOfType {
			for _, rel := range d.relations {
				for _, a := range rel.allowed {
					switch {
					case a.typ != plainTypes[0] && r.IntN(5) > 0:
						add(objectOf(d.name, i), rel.name, authz.Subject{Object: objectOf(a.typ, r.IntN(objectsOfType)), Relation: authz.Relation(a.relation)})
					case a.typ == plainTypes[0] && r.IntN(3) == 0:
						add(objectOf(d.name, i), rel.name, authz.Subject{Object: objectOf(plainTypes[0], r.IntN(plainOfType))})
					}
				}
			}
		}
	}
	return write
}
