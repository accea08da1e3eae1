package preview

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// view decides which effects the actor may see: those on objects that are visible to them before or after. An effect on
// another person reveals that person's role. So the actor must be able to know the roles that give access to the
// object. The person must also have a relation to an object whose people the actor may know.
type view struct {
	visible       *visibility.View
	rules         visibility.Rules
	actor         authz.Subject
	scratch       authz.Engine
	relationships []authz.Relationship          // before and after
	places        map[authz.Object]authz.Object // the object that contains each object
}

// viewOf returns the view of an actor on the state of the scratch engine.
func (p *Previewer) viewOf(actor authz.ID, scratch authz.Engine, relationships []authz.Relationship) *view {
	v := &view{
		rules: p.Rules, scratch: scratch, relationships: relationships, places: p.Rules.Places(relationships),
		actor: authz.Subject{Object: authz.Object{Type: person, ID: actor}},
	}
	bulk := func(ctx context.Context, checks []authz.Check) ([]authz.CheckResult, error) {
		results, _, err := scratch.CheckBulk(ctx, checks, authz.Fully())
		return results, err
	}
	v.visible = visibility.New(p.Rules, visibility.Reader{Subject: v.actor}, visibility.HideUndecided(bulk))
	return v
}

// recordVisible records the facts that the actor may know in the current state of the scratch engine, in addition to
// those recorded before.
func (v *view) recordVisible(ctx context.Context, objects []authz.Object) error {
	var facts []visibility.Fact
	for _, object := range objects {
		facts = append(facts, visibility.Existence(object), v.rules.Access(object, v.places))
	}
	for _, r := range v.relationships {
		facts = append(facts, v.rules.PeopleOf(r.Resource))
	}
	v.visible.ForgetHidden()
	return v.visible.Ask(ctx, facts...)
}

// hides reports whether a relationship is hidden from the actor. The effects on other people are computed without
// hidden relationships, so that they do not depend on them.
func (v *view) hides(r authz.Relationship) bool { return !v.visible.MayDependOn(r) }

// ownEffects returns the changes of the actor's own permissions. It applies the updates to the scratch engine, and
// records what the actor may see before and after them.
func (v *view) ownEffects(
	ctx context.Context, objects []authz.Object, questions []question, updates []authz.Update,
) ([]Effect, error) {
	if err := v.recordVisible(ctx, objects); err != nil {
		return nil, err
	}
	before, err := v.own(ctx, questions)
	if err != nil {
		return nil, err
	}
	if err := apply(ctx, v.scratch, updates); err != nil {
		return nil, err
	}
	if err := v.recordVisible(ctx, objects); err != nil {
		return nil, err
	}
	after, err := v.own(ctx, questions)
	if err != nil {
		return nil, err
	}
	return differences(ctx, questions, before, after)
}

// own checks which permissions the actor has.
func (v *view) own(ctx context.Context, questions []question) (answers, error) {
	all := make(answers, len(questions))
	for batch := range slices.Chunk(questions, 1000) {
		checks := make([]authz.Check, len(batch))
		for i, q := range batch {
			checks[i] = authz.Check{Subject: v.actor, Permission: q.permission, Resource: q.object}
		}
		results, _, err := v.scratch.CheckBulk(ctx, checks, authz.Fully())
		if err != nil {
			return nil, err
		}
		for i, result := range results {
			if result.Err != nil {
				return nil, result.Err
			}
			all[batch[i]] = map[authz.Subject]bool{v.actor: result.Decision.Allowed()}
			if !result.Decision.Allowed() {
				all[batch[i]] = nil
			}
		}
	}
	return all, nil
}

// show returns the effects that the actor may see. Omitted is always true: any other value would reveal whether
// effects are hidden.
func (v *view) show(own, others []Effect) Effects {
	named := make(map[authz.ID]bool)
	for _, r := range v.relationships {
		if r.Subject.Type == person && !r.Subject.Wildcard && v.visible.Knows(v.rules.PeopleOf(r.Resource)) {
			named[r.Subject.ID] = true
		}
	}
	shown := Effects{Omitted: true}
	visible := func(e Effect) bool { return v.visible.Knows(visibility.Existence(e.Resource)) }
	everybody := make(map[authz.Object]bool)
	for _, e := range others {
		isOwn := !e.Subject.Wildcard && e.Subject.ID == v.actor.ID
		known := e.Subject.Wildcard || named[e.Subject.ID] && v.visible.Knows(v.rules.Access(e.Resource, v.places))
		if visible(e) && !isOwn && known {
			shown.Effects = append(shown.Effects, e)
			everybody[e.Resource] = everybody[e.Resource] || e.Subject.Wildcard
		}
	}
	for _, e := range own {
		if visible(e) && !everybody[e.Resource] {
			shown.Effects = append(shown.Effects, e)
		}
	}
	sortEffects(shown.Effects)
	return shown
}
