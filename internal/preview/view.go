package preview

import (
	"context"

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

// look checks what the actor may see in the current state of the scratch engine.
func (v *view) look(ctx context.Context, objects []authz.Object, relationships []authz.Relationship) error {
	if v.actor == "" {
		return nil
	}
	needed := make(map[question]bool)
	for _, object := range objects {
		needed[question{object, v.Visible(object.Type)}] = true
		needed[v.listing(object, relationships)] = true
	}
	for _, r := range relationships {
		if r.Subject.Type == person {
			needed[v.naming(r.Resource)] = true
		}
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

// show returns the effects that the actor may see.
func (v *view) show(all []Effect, relationships []authz.Relationship) Effects {
	if v.actor == "" {
		return Effects{Effects: all}
	}
	named := map[authz.ID]bool{v.actor: true}
	for _, r := range relationships {
		if r.Subject.Type == person && !r.Subject.Wildcard && v.allowed[v.naming(r.Resource)] {
			named[r.Subject.ID] = true
		}
	}
	var shown Effects
	for _, e := range all {
		own := e.Subject.Wildcard || e.Subject.ID == v.actor
		known := own || named[e.Subject.ID] && v.allowed[v.listing(e.Resource, relationships)]
		if v.allowed[question{e.Resource, v.Visible(e.Resource.Type)}] && known {
			shown.Effects = append(shown.Effects, e)
		} else {
			shown.Withheld = true
		}
	}
	return shown
}
