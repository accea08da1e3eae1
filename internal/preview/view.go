package preview

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// view decides which effects the actor may see: those on objects that are visible to them before or after. An effect on
// another person reveals that person's role. So the actor must be able to list the people of the object or, if it has
// no roles, of the object that contains it. The person must also have a relation on an object whose people the actor
// may list, or on a visible object without roles.
type view struct {
	*Previewer
	actor   authz.ID
	scratch authz.Engine
	allowed map[question]bool
	places  map[authz.Object]authz.Object // the object that contains each object
}

// recordVisible records the objects that the actor may see in the current state of the scratch engine.
func (v *view) recordVisible(ctx context.Context, objects []authz.Object, relationships []authz.Relationship) error {
	if v.actor == "" {
		return nil
	}
	needed := make(map[question]bool)
	for _, object := range objects {
		needed[question{object, v.Visible(object.Type)}] = true
		needed[v.listing(object, relationships)] = true
	}
	for _, r := range relationships {
		needed[v.naming(r.Resource)] = true
	}
	var checks []authz.Check
	var asked []question
	for q := range needed {
		if q.permission != "" && !v.allowed[q] {
			asked = append(asked, q)
			checks = append(checks, authz.Check{
				Subject: authz.Subject{Object: authz.Object{Type: person, ID: v.actor}}, Permission: q.permission,
				Resource: q.object,
			})
		}
	}
	if len(checks) == 0 {
		return nil
	}
	results, _, err := v.scratch.CheckBulk(ctx, checks, authz.Fully())
	if err != nil {
		return err
	}
	for i, result := range results { // nobody has a permission that the schema does not know
		v.allowed[asked[i]] = result.Err == nil && result.Decision.Allowed()
	}
	return nil
}

// naming returns the permission to know the people in the relations of an object.
func (v *view) naming(object authz.Object) question {
	if listing := v.Listing(object.Type); listing != "" {
		return question{object, listing}
	}
	return question{object, v.Visible(object.Type)}
}

// listing returns the permission to know the roles that give permissions on an object: on the object itself, or on the
// nearest containing object that has roles. If there is none, it returns the permission that makes the object visible.
func (v *view) listing(object authz.Object, relationships []authz.Relationship) question {
	if v.places == nil {
		v.places = make(map[authz.Object]authz.Object)
		for _, r := range relationships {
			if r.Relation == v.Place(r.Resource.Type) {
				v.places[r.Resource] = r.Subject.Object
			}
		}
	}
	for at, inside := object, true; inside; at, inside = v.place(at) {
		if listing := v.Listing(at.Type); listing != "" {
			return question{at, listing}
		}
	}
	return question{object, v.Visible(object.Type)}
}

// place returns the object that contains an object.
func (v *view) place(object authz.Object) (authz.Object, bool) {
	place, found := v.places[object]
	return place, found
}

// hides reports whether a relationship is hidden from the actor. The effects on other people are computed without
// hidden relationships, so that they do not depend on them.
func (v *view) hides(r authz.Relationship) bool {
	if v.allowed[v.naming(r.Resource)] {
		return false
	}
	isPerson := r.Subject.Type == person && !r.Subject.Wildcard && r.Subject.ID != v.actor
	return v.Listing(r.Resource.Type) == "" || isPerson
}

// ownEffects returns the changes of the actor's own permissions. It applies the updates to the scratch engine, and
// records in allowed what the actor may see before and after them.
func (v *view) ownEffects(
	ctx context.Context, objects []authz.Object, questions []question, relationships []authz.Relationship,
	updates []authz.Update,
) ([]Effect, error) {
	if err := v.recordVisible(ctx, objects, relationships); err != nil {
		return nil, err
	}
	before, err := v.own(ctx, questions)
	if err != nil {
		return nil, err
	}
	if err := apply(ctx, v.scratch, updates); err != nil {
		return nil, err
	}
	if err := v.recordVisible(ctx, objects, relationships); err != nil {
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
	actor := authz.Subject{Object: authz.Object{Type: person, ID: v.actor}}
	all := make(answers, len(questions))
	for batch := range slices.Chunk(questions, 1000) {
		checks := make([]authz.Check, len(batch))
		for i, q := range batch {
			checks[i] = authz.Check{Subject: actor, Permission: q.permission, Resource: q.object}
		}
		results, _, err := v.scratch.CheckBulk(ctx, checks, authz.Fully())
		if err != nil {
			return nil, err
		}
		for i, result := range results {
			if result.Err != nil {
				return nil, result.Err
			}
			all[batch[i]] = map[authz.Subject]bool{actor: result.Decision.Allowed()}
			if !result.Decision.Allowed() {
				all[batch[i]] = nil
			}
		}
	}
	return all, nil
}

// show returns the effects that the actor may see. Omitted is always true: any other value would reveal whether
// effects are hidden.
func (v *view) show(own, others []Effect, relationships []authz.Relationship) Effects {
	named := make(map[authz.ID]bool)
	for _, r := range relationships {
		if r.Subject.Type == person && !r.Subject.Wildcard && v.allowed[v.naming(r.Resource)] {
			named[r.Subject.ID] = true
		}
	}
	shown := Effects{Omitted: true}
	visible := func(e Effect) bool { return v.allowed[question{e.Resource, v.Visible(e.Resource.Type)}] }
	everybody := make(map[authz.Object]bool)
	for _, e := range others {
		isOwn := !e.Subject.Wildcard && e.Subject.ID == v.actor
		known := e.Subject.Wildcard || named[e.Subject.ID] && v.allowed[v.listing(e.Resource, relationships)]
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
