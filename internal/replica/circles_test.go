package replica_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/replica"
)

// nested returns schemas in which each recursive permission refers to itself through only one relation. With more
// relations, SpiceDB takes exponential time in a circle.
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
			name: "team",
			relations: []*relation{
				{"viewer", append([]allowed{{typ: "team", relation: "viewer"}}, people...)}, {"owner", people},
			},
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

// TestCircles compares checks on relationships with circles. SpiceDB takes minutes for a look-up in a circle. So the
// test compares the replica's look-ups with SpiceDB's checks, if these finish.
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
			q := m.questions(r).some(r, 0.5)
			w.compareAll(t, seed, questions{checks: q.checks})
			w.compareLookUps(t, q)
		}
	}
	t.Logf(
		"%d comparisons, %d of the replica's own answers, outcomes %v; %d of look-ups", w.asked, w.own, w.outcomes,
		w.lookedUp,
	)
	require.Greater(t, w.outcomes["error"], w.asked/50, "there are too few circles")
	require.Greater(t, w.outcomes["allowed"], w.asked/50)
	require.Greater(t, w.own, w.asked/4)
	require.Greater(t, w.lookedUp, w.asked/20)
}

// compareLookUps checks that the replica's own look-ups find exactly the objects for which SpiceDB's checks are
// allowed.
func (w *world) compareLookUps(t *testing.T, q questions) {
	t.Helper()
	at := authz.AsFreshAs(w.token)
	for _, query := range q.resources {
		if query.Subject.Relation != "" || query.Subject.Type != plainTypes[0] || !w.answersItself(
			t, query.Subject, query.Permission, query.Type,
		) {
			continue
		}
		found, _ := resources(t.Context(), w.replica, query, at, 0)
		for i := range objectsOfType {
			resource := objectOf(query.Type, i)
			w.compareFound(
				t, found, `"`+string(resource.ID)+" ",
				authz.Check{Subject: query.Subject, Permission: query.Permission, Resource: resource},
			)
		}
	}
	for _, query := range q.subjects {
		subject := authz.Subject{Object: objectOf(plainTypes[0], 0)}
		if query.SubjectRelation != "" || query.Type != subject.Type || !w.answersItself(
			t, subject, query.Permission, query.Resource.Type,
		) {
			continue
		}
		found, _ := subjects(t.Context(), w.replica, query, at)
		for i := range plainOfType {
			subject := authz.Subject{Object: objectOf(plainTypes[0], i)}
			w.compareFound(
				t, found, `"`+subject.String()+" ",
				authz.Check{Subject: subject, Permission: query.Permission, Resource: query.Resource},
			)
		}
	}
}

// answersItself reports whether the replica answers, without SpiceDB, checks of this permission for this type of
// subject.
func (w *world) answersItself(t *testing.T, subject authz.Subject, permission authz.Permission, typ authz.Type) bool {
	t.Helper()
	before := w.who.of(replica.FromReplica)
	_, _, err := w.replica.Check(
		t.Context(), authz.Check{Subject: subject, Permission: permission, Resource: objectOf(typ, 0)},
		authz.AsFreshAs(w.token),
	)
	return err == nil && w.who.of(replica.FromReplica) > before
}

func (w *world) compareFound(t *testing.T, found, entry string, check authz.Check) {
	t.Helper()
	decision, _, err := w.engine.Check(t.Context(), check, authz.AtSnapshot(w.token))
	if want := outcome(decision, err); want != tooDeep {
		w.lookedUp++
		require.Equal(
			t, want == "allowed", strings.Contains(found, entry), "%s: a check says %s, a look-up finds %s\n%s", describe(check),
			want, found, w.model,
		)
	}
}

// circles generates relationships in which each object refers to one other object, to itself, or to none.
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
						add(
							objectOf(d.name, i), rel.name,
							authz.Subject{Object: objectOf(a.typ, r.IntN(objectsOfType)), Relation: authz.Relation(a.relation)},
						)
					case a.typ == plainTypes[0] && r.IntN(3) == 0:
						add(objectOf(d.name, i), rel.name, authz.Subject{Object: objectOf(plainTypes[0], r.IntN(plainOfType))})
					}
				}
			}
		}
	}
	return write
}
