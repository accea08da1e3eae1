package preview

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// comparison finds out whose permissions on the objects differ before and after updates.
type comparison struct {
	objects   []authz.Object
	questions []question

	// people has the people whose permissions can change. If it is nil, the permissions of everybody can change.
	people []authz.Subject
}

// answers has the answers to questions: the people who have each permission.
type answers struct {
	holders map[question]map[authz.Subject]bool
	failed  map[question]error // questions without an answer, because SpiceDB returned an error
}

// changes has the differences between the answers before and after an operation.
type changes struct {
	effects   []Effect
	undecided map[authz.Object]map[authz.Permission]error
}

// depends reports whether a permission on objects of a type may change because of an update.
func (p *Previewer) depends(on authz.Type, permission authz.Permission, update authz.Update) bool {
	return p.Depends(on, permission, update.Relationship.Resource.Type, update.Relationship.Relation)
}

// questions returns a question for each public permission on the objects that the updates may change. A public
// permission is one that applications check, and not a schema step.
func (p *Previewer) questions(
	definitions []authz.Definition, objects []authz.Object, updates []authz.Update,
) []question {
	updates = oneOfEachRelation(updates)
	public := make(map[authz.Type][]authz.Permission)
	for _, d := range definitions {
		public[d.Type] = slices.DeleteFunc(d.Public(), func(permission authz.Permission) bool {
			return !slices.ContainsFunc(updates, func(u authz.Update) bool { return p.depends(d.Type, permission, u) })
		})
	}
	var questions []question
	for _, object := range objects {
		for _, permission := range public[object.Type] {
			questions = append(questions, question{object, permission})
		}
	}
	return questions
}

// oneOfEachRelation returns only the first of all updates of the same relation of the same type.
func oneOfEachRelation(updates []authz.Update) []authz.Update {
	seen := make(map[typeRelation]bool)
	return slices.DeleteFunc(slices.Clone(updates), func(u authz.Update) bool {
		known := seen[relationOf(u)]
		seen[relationOf(u)] = true
		return known
	})
}

// typeRelation is a relation, with the type that declares it.
type typeRelation struct {
	of       authz.Type
	relation authz.Relation
}

func relationOf(u authz.Update) typeRelation {
	return typeRelation{u.Relationship.Resource.Type, u.Relationship.Relation}
}

// concerned returns the people whose permissions the updates can change, or nil for everybody.
//
// A relationship whose subject is a person can change permissions of other people only through a relation or
// permission on this person. If the schema declares no relations and no permissions for people, the updates can
// change only the permissions of the people in them. An update on which no permission depends changes nobody's
// permissions.
func (p *Previewer) concerned(definitions []authz.Definition, updates []authz.Update) []authz.Subject {
	if slices.ContainsFunc(definitions, func(d authz.Definition) bool {
		return d.Type == person && len(d.Relations)+len(d.Permissions) > 0
	}) {
		return nil
	}
	idle := make(map[typeRelation]bool) // relations on which no permission depends
	for _, update := range oneOfEachRelation(updates) {
		idle[relationOf(update)] = !slices.ContainsFunc(definitions, func(d authz.Definition) bool {
			return slices.ContainsFunc(d.Public(), func(permission authz.Permission) bool {
				return p.depends(d.Type, permission, update)
			})
		})
	}
	people, known := []authz.Subject{}, make(map[authz.Subject]bool)
	for _, update := range updates {
		subject := update.Relationship.Subject
		switch {
		case idle[relationOf(update)], known[subject]:
		case subject.Type != person || subject.Wildcard:
			return nil
		default:
			known[subject] = true
			people = append(people, subject)
		}
	}
	return people
}

// compare applies the updates to a temporary engine that has the relationships, and returns the changes of
// permissions. If several people are alike (see alikePeople), it checks the permissions of the first one only.
func (c comparison) compare(
	ctx context.Context, scratch authz.Engine, relationships []authz.Relationship, updates []authz.Update,
) (changes, error) {
	everybody, end := c.people, updated(relationships, updates)
	same := alikePeople(everybody, relationships, end)
	if c.people != nil {
		c.people = representatives(everybody, same)
	}
	before, err := c.answers(ctx, scratch, relationships)
	if err != nil {
		return changes{}, err
	}
	if err := apply(ctx, scratch, updates); err != nil {
		return changes{}, err
	}
	asked := c.questions
	c.questions = before.decided(asked)
	after, err := c.answers(ctx, scratch, end)
	if err != nil {
		return changes{}, err
	}
	found, err := differences(ctx, asked, before, after)
	if err == nil && c.people != nil {
		err = found.addAlike(everybody, same)
	}
	return found, err
}

// addAlike copies the effects on the first of several people who are alike to the others.
func (c *changes) addAlike(everybody []authz.Subject, same map[authz.Subject]authz.Subject) error {
	kin := make(map[authz.Subject][]authz.Subject)
	for _, who := range everybody {
		kin[same[who]] = append(kin[same[who]], who)
	}
	n := 0
	for _, e := range c.effects {
		if n += len(kin[e.Subject]); n > MaxEffects {
			return errTooManyEffects()
		}
	}
	effects := make([]Effect, 0, n)
	for _, e := range c.effects {
		for _, who := range kin[e.Subject] {
			effects = append(effects, Effect{Subject: who, Resource: e.Resource, Gains: e.Gains, Loses: e.Loses})
		}
	}
	c.effects = effects
	return nil
}

// answers finds out who has each permission in an engine that has the relationships. If several objects are alike, it
// asks only about the first one.
func (c comparison) answers(
	ctx context.Context, engine authz.Engine, relationships []authz.Relationship,
) (all answers, err error) {
	same := alike(c.objects, relationships)
	questions := distinct(c.questions, same)
	if c.people != nil {
		all, err = checkPeople(ctx, engine, questions, c.people)
	} else {
		all, err = lookUpHolders(ctx, engine, questions)
	}
	if err != nil {
		return answers{}, err
	}
	for _, q := range c.questions {
		first := question{same[q.object], q.permission}
		all.holders[q] = all.holders[first]
		if err := all.failed[first]; err != nil {
			all.failed[q] = err
		}
	}
	return all, nil
}

// lookUpHolders answers the questions by looking up the people who have each permission. It makes one look-up at a
// time, so that a preview uses only one processor.
func lookUpHolders(ctx context.Context, engine authz.SubjectFinder, questions []question) (answers, error) {
	all := newAnswers(len(questions))
	for _, q := range questions {
		holders := make(map[authz.Subject]bool)
		query := authz.SubjectQuery{Resource: q.object, Permission: q.permission, Type: person}
		for subject, err := range engine.LookupSubjects(ctx, query, authz.Fully()) {
			if err != nil {
				if err := all.fail(q, err); err != nil {
					return answers{}, err
				}
				break
			}
			if subject.Decision.Allowed() {
				holders[subject.Subject] = true
			}
		}
		all.holders[q] = holders
	}
	return all, nil
}

// checkPeople answers the questions by checking which of the people have each permission. Checks of the same
// permission and person follow one another, since SpiceDB evaluates checks of one call together if they differ only
// in the resource.
func checkPeople(
	ctx context.Context, engine authz.Checker, questions []question, people []authz.Subject,
) (answers, error) {
	all := newAnswers(len(questions))
	for _, q := range questions {
		all.holders[q] = make(map[authz.Subject]bool)
	}
	var checks []authz.Check
	for _, group := range byPermission(questions) {
		for _, who := range people {
			for _, q := range group {
				checks = append(checks, authz.Check{Subject: who, Permission: q.permission, Resource: q.object})
			}
		}
	}
	for batch := range slices.Chunk(checks, 1000) {
		results, _, err := engine.CheckBulk(ctx, batch, authz.Fully())
		if err != nil {
			return answers{}, err
		}
		for i, result := range results {
			q := question{batch[i].Resource, batch[i].Permission}
			if result.Err != nil {
				if err := all.fail(q, result.Err); err != nil {
					return answers{}, err
				}
			} else if result.Decision.Allowed() {
				all.holders[q][batch[i].Subject] = true
			}
		}
	}
	return all, nil
}

// byPermission divides the questions into groups of at most checkedTogether. Questions of one group have the same
// permission and type, and differ only in the id of the object.
func byPermission(questions []question) [][]question {
	sorted := slices.Clone(questions)
	slices.SortStableFunc(sorted, func(a, b question) int {
		return cmp.Or(cmp.Compare(a.object.Type, b.object.Type), cmp.Compare(a.permission, b.permission))
	})
	var groups [][]question
	for len(sorted) > 0 {
		first, n := sorted[0], 1
		for n < len(sorted) && n < checkedTogether && sorted[n].permission == first.permission &&
			sorted[n].object.Type == first.object.Type {
			n++
		}
		groups = append(groups, sorted[:n])
		sorted = sorted[n:]
	}
	return groups
}

func newAnswers(n int) answers {
	return answers{make(map[question]map[authz.Subject]bool, n), make(map[question]error)}
}

// fail records the error of a question. It returns the error if the preview must fail because of it. After
// CodeTooLarge or CodeInvalid, only this question has no answer.
func (a answers) fail(q question, err error) error {
	if !errors.Is(err, authz.CodeTooLarge) && !errors.Is(err, authz.CodeInvalid) {
		return err
	}
	a.failed[q] = err
	return nil
}

// decided returns the questions that have an answer. If SpiceDB could not answer a question before the operation, a
// preview does not ask it again after the operation: the result would not matter, and such questions take the
// longest.
func (a answers) decided(questions []question) []question {
	return slices.DeleteFunc(slices.Clone(questions), func(q question) bool { return a.failed[q] != nil })
}

// differences compares the answers before and after an operation. The order of the effects is not defined. If a
// question has no answer before or after the operation, it has no effects. If there are more than MaxEffects effects,
// the error has CodeTooLarge.
func differences(ctx context.Context, questions []question, before, after answers) (changes, error) {
	type key struct {
		object  authz.Object
		subject authz.Subject
	}
	effects := make(map[key]*Effect)
	var order []key
	of := func(q question, subject authz.Subject) *Effect {
		k := key{q.object, subject}
		if effects[k] == nil {
			effects[k] = &Effect{Subject: subject, Resource: q.object}
			order = append(order, k)
		}
		return effects[k]
	}
	found := changes{undecided: make(map[authz.Object]map[authz.Permission]error)}
	for _, q := range questions {
		if err := ctx.Err(); err != nil {
			return changes{}, err
		}
		if len(order) > MaxEffects {
			return changes{}, errTooManyEffects()
		}
		if err := cmp.Or(before.failed[q], after.failed[q]); err != nil {
			if found.undecided[q.object] == nil {
				found.undecided[q.object] = make(map[authz.Permission]error)
			}
			found.undecided[q.object][q.permission] = err
			continue
		}
		for subject := range after.holders[q] {
			if !before.holders[q][subject] {
				e := of(q, subject)
				e.Gains = append(e.Gains, q.permission)
			}
		}
		for subject := range before.holders[q] {
			if !after.holders[q][subject] {
				e := of(q, subject)
				e.Loses = append(e.Loses, q.permission)
			}
		}
	}
	for _, k := range order {
		found.effects = append(found.effects, *effects[k])
	}
	return found, nil
}
