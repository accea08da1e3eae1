package replica_test

import (
	"math/rand/v2"

	"github.com/sluice-authz/sluice/internal/authz"
)

// questions are all checks and look-ups that a schema allows: every permission and relation, on every object and on an
// unknown one, with every object as subject. They include only a sample of the many questions about usersets, which
// have similar answers.
type questions struct {
	checks    []authz.Check
	resources []authz.ResourceQuery
	subjects  []authz.SubjectQuery
	reads     []authz.Filter

	malformed []authz.Check // checks that SpiceDB rejects, also as a part of a bulk
}

func (m *model) questions(r *rand.Rand) questions {
	var q questions
	contexts := m.checkContexts()
	someContext := func() map[string]any { return contexts[r.IntN(len(contexts))] }
	subjects := m.subjects(r)
	for _, d := range m.objects() {
		for _, name := range d.names() {
			permission := authz.Permission(name)
			for _, subject := range subjects {
				for i := range objectsOfType + 1 {
					q.checks = append(
						q.checks,
						authz.Check{Subject: subject, Permission: permission, Resource: objectOf(d.name, i), Context: someContext()},
					)
				}
				if m.traits.self {
					continue // SpiceDB v1.56.0 panics when it looks up resources of a permission like self & viewer
				}
				q.resources = append(
					q.resources, authz.ResourceQuery{Subject: subject, Permission: permission, Type: d.name, Context: someContext()},
				)
			}
			for _, sought := range m.definitions {
				relation := authz.Relation("")
				if names := sought.names(); len(names) > 0 && r.IntN(3) == 0 {
					relation = authz.Relation(names[r.IntN(len(names))])
				}
				for i := range objectsOfType {
					q.subjects = append(q.subjects, authz.SubjectQuery{
						Resource: objectOf(d.name, i), Permission: permission, Type: sought.name, SubjectRelation: relation,
						Context: someContext(),
					})
				}
			}
		}
		q.reads = append(q.reads, m.filters(r, d, subjects)...)
		q.malformed = append(
			q.malformed,
			authz.Check{Subject: authz.Everybody(plainTypes[0]), Permission: "owner", Resource: objectOf(d.name, 0)},
			authz.Check{Subject: subjects[0], Permission: "no_such_name", Resource: objectOf(d.name, 0)},
			authz.Check{
				Subject: authz.Subject{Object: objectOf("nobody", 0)}, Permission: "owner", Resource: objectOf(d.name, 0),
			},
		)
	}
	return q
}

// filters returns filters of every form for the relationships of a type.
func (m *model) filters(r *rand.Rand, d *definition, subjects []authz.Subject) []authz.Filter {
	all := []authz.Filter{{Type: d.name}}
	for i := range objectsOfType + 1 {
		one := objectOf(d.name, i)
		all = append(all, authz.Filter{Type: one.Type, ID: one.ID})
		for _, relation := range d.relations {
			of := authz.Filter{Type: one.Type, ID: one.ID, Relation: relation.name}
			all = append(all, of)
			of.SubjectType = relation.allowed[r.IntN(len(relation.allowed))].typ
			all = append(all, of)
			of.SubjectPlain = true
			all = append(all, of)
			of.SubjectPlain, of.SubjectWildcard = false, true
			all = append(all, of)
		}
	}
	for _, subject := range subjects {
		of := authz.Filter{SubjectType: subject.Type, SubjectID: subject.ID, SubjectRelation: subject.Relation}
		all = append(all, of)
		of.Type = d.name
		all = append(all, of)
		of.Relation = d.relations[r.IntN(len(d.relations))].name
		all = append(all, of)
		of.ID = objectOf(d.name, r.IntN(objectsOfType)).ID
		all = append(all, of)
	}
	return all
}

// some returns a random share of the questions. Reads are cheap, so it returns more of them.
func (q questions) some(r *rand.Rand, share float64) questions {
	return questions{
		checks: draw(r, q.checks, share), resources: draw(r, q.resources, share), subjects: draw(r, q.subjects, share),
		reads: draw(r, q.reads, 4*share), malformed: draw(r, q.malformed, share),
	}
}

func draw[T any](r *rand.Rand, all []T, share float64) []T {
	var out []T
	for _, one := range all {
		if r.Float64() < share {
			out = append(out, one)
		}
	}
	return out
}

// subjects returns subjects of every type. For a plain type, these are all of its objects and an unknown one. For any
// other type, they are one object and one userset.
func (m *model) subjects(r *rand.Rand) []authz.Subject {
	var out []authz.Subject
	for _, name := range plainTypes {
		for i := range plainOfType + 1 {
			out = append(out, authz.Subject{Object: objectOf(name, i)})
		}
	}
	for _, d := range m.objects() {
		names := d.names()
		out = append(
			out,
			authz.Subject{Object: objectOf(d.name, r.IntN(objectsOfType))},
			authz.Subject{Object: objectOf(d.name, r.IntN(objectsOfType)), Relation: authz.Relation(names[r.IntN(len(names))])},
		)
	}
	return out
}
