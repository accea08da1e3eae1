package preview

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

const person authz.Type = "user"

// Previewer compares permissions before and after an operation.
type Previewer struct {
	// Depends reports whether a permission on objects of the type on may depend on a relation of objects of the type of.
	Depends func(on authz.Type, permission authz.Permission, of authz.Type, relation authz.Relation) bool

	Engine      authz.Engine
	Definitions func(context.Context) ([]authz.Definition, error)

	// Rules say which permissions show objects and roles to a person, and which relation holds the place of an object.
	Rules visibility.Rules
}

// Effect is the change of a person's permissions on an object. A wildcard stands for everybody.
type Effect struct {
	Subject      authz.Subject
	Resource     authz.Object
	Gains, Loses []authz.Permission
}

// Effects holds the changes. Omitted reports that some may be hidden from the actor: it is always true with an actor.
type Effects struct {
	Effects []Effect
	Omitted bool
}

// question is a permission on an object.
type question struct {
	object     authz.Object
	permission authz.Permission
}

// answers holds, for each question, the people who have the permission.
type answers map[question]map[authz.Subject]bool

// Effects returns the permissions that the updates of an overlay would change. With an actor, it returns only those
// that the actor may see. Relationships that the overlay hides count as not stored. The error code is CodeTooLarge
// above MaxObjects, MaxRelationships, MaxPairs or MaxLookups.
func (p *Previewer) Effects(ctx context.Context, actor authz.ID, after *Overlay) (_ Effects, err error) {
	w := &world{
		engine: hiding{p.Engine, after.hidden}, known: make(map[authz.Relationship]bool), read: make(map[authz.Object]bool),
	}
	updates := after.Updates()
	objects, err := w.compared(ctx, after)
	if err != nil || len(updates) == 0 {
		return Effects{Omitted: actor != ""}, err
	}
	if err := w.load(ctx, objects, updates); err != nil {
		return Effects{}, err
	}
	if err := w.checkPairs(objects, updates); err != nil {
		return Effects{}, err
	}
	questions, err := p.questions(ctx, objects, updates)
	if err != nil {
		return Effects{}, err
	}
	if err := w.checkLookups(objects, questions, updates); err != nil {
		return Effects{}, err
	}
	scratch, err := p.Engine.Scratch(ctx, "", w.relationships)
	if err != nil {
		return Effects{}, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	relationships := w.relationships
	for _, update := range updates {
		relationships = append(relationships, update.Relationship)
	}
	if actor == "" {
		effects, err := p.compare(ctx, scratch, objects, questions, w.relationships, updates)
		return Effects{Effects: effects}, err
	}
	v := p.viewOf(actor, scratch, relationships)
	own, err := v.ownEffects(ctx, objects, questions, updates)
	if err != nil {
		return Effects{}, err
	}
	// The second scratch engine holds only what the actor may see, so that effects on others do not depend on the rest.
	visible := slices.DeleteFunc(slices.Clone(w.relationships), v.hides)
	known, err := p.Engine.Scratch(ctx, "", visible)
	if err != nil {
		return Effects{}, err
	}
	defer func() { err = errors.Join(err, known.Close()) }()
	updates = slices.DeleteFunc(updates, func(u authz.Update) bool { return v.hides(u.Relationship) })
	others, err := p.compare(ctx, known, objects, questions, visible, updates)
	if err != nil {
		return Effects{}, err
	}
	return v.show(own, others), nil
}

// compare applies the updates to a scratch engine that has the relationships, and returns the changes of permissions.
func (p *Previewer) compare(
	ctx context.Context, scratch authz.Engine, objects []authz.Object, questions []question,
	relationships []authz.Relationship, updates []authz.Update,
) ([]Effect, error) {
	before, err := lookUpHolders(ctx, scratch, questions, alike(objects, relationships))
	if err != nil {
		return nil, err
	}
	if err := apply(ctx, scratch, updates); err != nil {
		return nil, err
	}
	after, err := lookUpHolders(ctx, scratch, questions, alike(objects, updated(relationships, updates)))
	if err != nil {
		return nil, err
	}
	return differences(ctx, questions, before, after)
}

// apply writes the updates to a scratch engine.
func apply(ctx context.Context, scratch authz.Engine, updates []authz.Update) error {
	for batch := range slices.Chunk(updates, authz.MaxUpdates) {
		if _, err := scratch.Write(ctx, authz.Write{Updates: batch}); err != nil {
			return err
		}
	}
	return nil
}

// questions returns the public permissions on the objects that may depend on the relations of the updates. Other
// permissions cannot change.
func (p *Previewer) questions(
	ctx context.Context, objects []authz.Object, updates []authz.Update,
) ([]question, error) {
	definitions, err := p.Definitions(ctx)
	if err != nil {
		return nil, err
	}
	public := make(map[authz.Type][]authz.Permission)
	for _, d := range definitions {
		public[d.Type] = slices.DeleteFunc(d.Public(), func(permission authz.Permission) bool {
			return !slices.ContainsFunc(updates, func(u authz.Update) bool {
				return p.Depends(d.Type, permission, u.Relationship.Resource.Type, u.Relationship.Relation)
			})
		})
	}
	var questions []question
	for _, object := range objects {
		for _, permission := range public[object.Type] {
			questions = append(questions, question{object, permission})
		}
	}
	return questions, nil
}

// lookUpHolders looks up the people who have each permission: once for objects that are the same. It makes one look-up
// after the other, so that a preview keeps only one processor busy.
func lookUpHolders(
	ctx context.Context, engine authz.Engine, questions []question, same map[authz.Object]authz.Object,
) (answers, error) {
	all := make(answers, len(questions))
	for _, q := range distinct(questions, same) {
		all[q] = make(map[authz.Subject]bool)
		query := authz.SubjectQuery{Resource: q.object, Permission: q.permission, Type: person}
		for subject, err := range engine.LookupSubjects(ctx, query, authz.Fully()) {
			if err != nil {
				return nil, err
			}
			if subject.Decision.Allowed() {
				all[q][subject.Subject] = true
			}
		}
	}
	for _, q := range questions {
		all[q] = all[question{same[q.object], q.permission}]
	}
	return all, nil
}

// differences compares two answers. The effects are in the order of the questions, and sorted by person for each
// object.
func differences(ctx context.Context, questions []question, before, after answers) ([]Effect, error) {
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
	for _, q := range questions {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for subject := range after[q] {
			if !before[q][subject] {
				e := of(q, subject)
				e.Gains = append(e.Gains, q.permission)
			}
		}
		for subject := range before[q] {
			if !after[q][subject] {
				e := of(q, subject)
				e.Loses = append(e.Loses, q.permission)
			}
		}
	}
	slices.SortStableFunc(order, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.object.String(), b.object.String()), cmp.Compare(a.subject.String(), b.subject.String()))
	})
	found := make([]Effect, len(order))
	for i, k := range order {
		found[i] = *effects[k]
	}
	return found, nil
}

// sortEffects sorts by object, and on each object by person.
func sortEffects(effects []Effect) {
	slices.SortStableFunc(effects, func(a, b Effect) int {
		return cmp.Or(
			cmp.Compare(a.Resource.String(), b.Resource.String()), cmp.Compare(a.Subject.String(), b.Subject.String()),
		)
	})
}
