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

// Engine has the methods of authz.Engine that previews need.
type Engine interface {
	authz.Reader
	authz.Scratcher
}

// Previewer computes which permissions an operation would change.
type Previewer struct {
	// Depends reports whether a permission on objects of the type "on" may depend on a relation of objects of the
	// type "of".
	Depends func(on authz.Type, permission authz.Permission, of authz.Type, relation authz.Relation) bool

	Engine      Engine
	Definitions func(context.Context) ([]authz.Definition, error)

	// Rules decide which objects and roles an actor may see.
	Rules visibility.Rules
}

// Effect says which permissions on an object a person would gain or lose. If the Subject is a wildcard, it stands for
// everybody.
type Effect struct {
	Subject      authz.Subject
	Resource     authz.Object
	Gains, Loses []authz.Permission
}

// Effects is the result of a preview. Omitted is set whenever there is an actor, since some effects may be hidden
// from the actor. Undecided has the permissions about which SpiceDB could not decide before or after the operation,
// with its errors. For example, SpiceDB cannot decide if objects contain each other in a cycle.
type Effects struct {
	Effects   []Effect
	Undecided map[authz.Object]map[authz.Permission]error
	Omitted   bool
}

// question is a permission on an object. It asks which people have this permission.
type question struct {
	object     authz.Object
	permission authz.Permission
}

// Effects returns the changes of permissions that the updates in an Overlay would cause. With an actor, it returns
// only changes that the actor may see. It ignores stored relationships that the Overlay hides. If the preview exceeds
// MaxObjects, MaxRelationships, MaxAnswers or MaxEffects, the error has CodeTooLarge.
func (p *Previewer) Effects(ctx context.Context, actor authz.Actor, after *Overlay) (_ Effects, err error) {
	if err := after.hideUnseen(ctx); err != nil {
		return Effects{}, err
	}
	w := &world{
		reader: hiding{p.Engine, after.hidden}, known: make(map[authz.Relationship]bool), read: make(map[authz.Object]bool),
	}
	updates := after.Updates()
	objects, err := w.compared(ctx, after)
	if err != nil || len(updates) == 0 {
		return Effects{Omitted: actor != ""}, err
	}
	if err := w.load(ctx, objects, updates); err != nil {
		return Effects{}, err
	}
	definitions, err := p.Definitions(ctx)
	if err != nil {
		return Effects{}, err
	}
	questions, people := p.questions(definitions, objects, updates), p.concerned(definitions, updates)
	c, err := w.comparison(objects, questions, people, updates)
	if err != nil {
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
		changed, err := c.compare(ctx, scratch, w.relationships, updates)
		sortEffects(changed.effects)
		return Effects{Effects: changed.effects, Undecided: changed.undecided}, err
	}
	v := p.viewOf(actor, scratch, relationships)
	own, err := v.ownEffects(ctx, c, updates)
	if err != nil {
		return Effects{}, err
	}
	// The second temporary engine has no relationships that are hidden from the actor. So the effects on other people
	// do not reveal hidden relationships.
	visible := slices.DeleteFunc(slices.Clone(w.relationships), v.hides)
	known, err := p.Engine.Scratch(ctx, "", visible)
	if err != nil {
		return Effects{}, err
	}
	defer func() { err = errors.Join(err, known.Close()) }()
	updates = slices.DeleteFunc(updates, func(u authz.Update) bool { return v.hides(u.Relationship) })
	others, err := c.compare(ctx, known, visible, updates)
	if err != nil {
		return Effects{}, err
	}
	return v.show(own, others), nil
}

// apply writes the updates into a temporary engine.
func apply(ctx context.Context, scratch authz.Writer, updates []authz.Update) error {
	for batch := range slices.Chunk(updates, authz.MaxUpdates) {
		if _, err := scratch.Write(ctx, authz.Write{Updates: batch}); err != nil {
			return err
		}
	}
	return nil
}

// sortEffects sorts effects by object. Effects on the same object are sorted by person.
func sortEffects(effects []Effect) {
	objects, subjects := make(map[authz.Object]string), make(map[authz.Subject]string)
	for _, e := range effects {
		objects[e.Resource], subjects[e.Subject] = "", ""
	}
	for object := range objects {
		objects[object] = object.String()
	}
	for subject := range subjects {
		subjects[subject] = subject.String()
	}
	type named struct {
		resource, subject string
		effect            Effect
	}
	all := make([]named, len(effects))
	for i, e := range effects {
		all[i] = named{objects[e.Resource], subjects[e.Subject], e}
	}
	slices.SortStableFunc(all, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.subject, b.subject))
	})
	for i := range all {
		effects[i] = all[i].effect
	}
}
