package preview

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Limits of a preview.
const (
	// MaxObjects limits the number of objects that a preview compares: the objects that an operation changes, the
	// objects in them, and the objects that refer to any of these.
	MaxObjects = 500

	// MaxRelationships limits the relationships of these objects, and of the objects to which these relationships
	// lead.
	MaxRelationships = 10_000

	// MaxAnswers limits the answers that a preview compares. For each permission on an object and each person, there
	// is one answer before the operation and one after it. Several objects with the same relationships count as one,
	// and so do several people. Each call of SpiceDB counts as additional answers: see costOfCall.
	MaxAnswers = 45_000

	// MaxEffects limits the number of effects in the result.
	MaxEffects = 100_000
)

func errTooManyEffects() error {
	return authz.Errorf(
		authz.CodeTooLarge,
		"the operation has too many effects for a preview: it lists at most %d, each of one person on one object. If it "+
			"names people, preview it for fewer of them at once",
		MaxEffects,
	)
}

func tooLarge() error {
	return authz.Errorf(
		authz.CodeTooLarge,
		"the operation changes too much for a preview: it compares at most %d objects, with at most %d "+
			"relationships on them and on the objects that they lead to",
		MaxObjects, MaxRelationships,
	)
}

// comparison plans the comparison of permissions. The parameter "concerned" has the people whose permissions can
// change, or is nil for everybody. If the comparison needs more than MaxAnswers answers, the error has CodeTooLarge.
// The error does not say how many, since this number would include objects and people that are hidden from the actor.
func (w *world) comparison(
	objects []authz.Object, asked []question, concerned []authz.Subject, updates []authz.Update,
) (comparison, error) {
	c := comparison{objects: objects, questions: asked}
	checks, lookups := 0, 0
	states := [][]authz.Relationship{w.relationships, updated(w.relationships, updates)}
	people := len(representatives(concerned, alikePeople(concerned, states...)))
	for _, relationships := range states {
		questions := distinct(asked, alike(objects, relationships))
		lookups += len(questions) * max(w.people(updates), costOfCall)
		checks += people * costOfChecks(questions)
	}
	answers := lookups
	if concerned != nil && checks <= lookups {
		c.people, answers = concerned, checks
	}
	if answers > MaxAnswers {
		return comparison{}, authz.Errorf(
			authz.CodeTooLarge,
			"the operation affects too many permissions for a preview: it compares at most %d, each of one person on one "+
				"object, before and after; people with the same roles and shares count as one, and so do objects with the "+
				"same relationships. If it names people, preview it for fewer of them at once",
			MaxAnswers,
		)
	}
	return c, nil
}

// The cost of a preview is counted in answers. A call that checks one permission of one person, on up to
// checkedTogether objects, costs costOfCall answers, plus one for each object. A look-up of people costs one answer
// for each person, but at least costOfCall.
const (
	costOfCall      = 20
	checkedTogether = 100
)

// costOfChecks returns the cost, in answers, of checking the questions for one person.
func costOfChecks(questions []question) int {
	return len(questions) + costOfCall*len(byPermission(questions))
}

// people returns the number of people in the relationships and updates.
func (w *world) people(updates []authz.Update) int {
	people := make(map[authz.Subject]bool)
	for _, r := range w.relationships {
		people[r.Subject] = r.Subject.Type == person
	}
	for _, update := range updates {
		people[update.Relationship.Subject] = update.Relationship.Subject.Type == person
	}
	n := 0
	for _, isPerson := range people {
		if isPerson {
			n++
		}
	}
	return n
}

// world has the stored relationships that the preview has read.
type world struct {
	reader        authz.Reader
	relationships []authz.Relationship
	known         map[authz.Relationship]bool
	read          map[authz.Object]bool
}

// compared returns the objects whose permissions can change. These are the resources of the updates, and all objects
// that have a relationship with such an object as subject, directly or through other objects. The relationship may be
// stored before or after the updates.
func (w *world) compared(ctx context.Context, after *Overlay) ([]authz.Object, error) {
	var objects []authz.Object
	seen := make(map[authz.Object]bool)
	add := func(object authz.Object) {
		if !seen[object] {
			seen[object] = true
			objects = append(objects, object)
		}
	}
	for _, update := range after.Updates() {
		add(update.Relationship.Resource)
	}
	for i := 0; i < len(objects); i++ {
		if len(objects) > MaxObjects {
			return nil, tooLarge()
		}
		to := authz.Filter{SubjectType: objects[i].Type, SubjectID: objects[i].ID}
		for _, reader := range []authz.Reader{w.reader, after} {
			for item, err := range reader.Read(ctx, to, authz.Fully(), authz.Page{}) {
				if err != nil {
					return nil, err
				}
				if add(item.Relationship.Resource); len(objects) > MaxObjects {
					return nil, tooLarge()
				}
			}
		}
	}
	return objects, nil
}

// load reads the relationships of the objects, and of all objects to which relationships lead from them, before or
// after the updates.
func (w *world) load(ctx context.Context, objects []authz.Object, updates []authz.Update) error {
	queue := slices.Clone(objects)
	for _, update := range updates {
		queue = append(queue, update.Relationship.Subject.Object)
	}
	for ; len(queue) > 0; queue = queue[1:] {
		object := queue[0]
		if object.ID == "" || object.Type == person || w.read[object] {
			continue
		}
		w.read[object] = true
		for item, err := range w.reader.Read(
			ctx, authz.Filter{Type: object.Type, ID: object.ID}, authz.Fully(), authz.Page{},
		) {
			if err != nil {
				return err
			}
			if len(w.relationships) == MaxRelationships {
				return tooLarge()
			}
			if id := identity(item.Relationship); !w.known[id] {
				w.known[id] = true
				w.relationships = append(w.relationships, item.Relationship)
			}
			queue = append(queue, item.Relationship.Subject.Object)
		}
	}
	return nil
}
