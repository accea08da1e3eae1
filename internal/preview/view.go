package preview

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// view is what the actor may know of the effects: those on objects that they may see, before or after, and of other people's, those
// in places whose people they may list.
type view struct {
	*Previewer
	actor   authz.ID
	scratch authz.Engine
	allowed map[question]bool
	listing map[authz.Object]question // by object; the permission that names others
}

// look asks what the actor may see as things are on the scratch now.
func (v *view) look(ctx context.Context, objects []authz.Object, after *Overlay) error {
	if v.actor == "" {
		return nil
	}
	if v.listing == nil {
		v.listing = make(map[authz.Object]question)
		for _, object := range objects {
			if err := v.list(ctx, object, after); err != nil {
				return err
			}
		}
	}
	var checks []authz.Check
	var asked []question
	ask := func(q question) {
		if q.permission != "" && !v.allowed[q] {
			asked = append(asked, q)
			checks = append(checks, authz.Check{
				Subject: authz.Subject{Object: authz.Object{Type: person, ID: v.actor}}, Permission: q.permission, Resource: q.object,
			})
		}
	}
	for _, object := range objects {
		ask(question{object, v.Visible(object.Type)})
		ask(v.listing[object])
	}
	if len(checks) == 0 {
		return nil
	}
	results, _, err := v.scratch.CheckBulk(ctx, checks, authz.Fully())
	if err != nil {
		return err
	}
	for i, result := range results { // what the schema does not know, nobody sees
		v.allowed[asked[i]] = v.allowed[asked[i]] || result.Err == nil && result.Decision.Allowed()
	}
	return nil
}

// list finds the nearest place of an object, before or after, in which people can be listed.
func (v *view) list(ctx context.Context, object authz.Object, after *Overlay) error {
	for place, depth := object, 0; depth < maxDepth; depth++ {
		if listing := v.Listing(place.Type); listing != "" {
			v.listing[object] = question{place, listing}
			return nil
		}
		relation := v.Place(place.Type)
		if relation == "" {
			return nil
		}
		var next authz.Object
		for _, engine := range []authz.Engine{v.Engine, after} {
			for item, err := range engine.Read(ctx, authz.Filter{Type: place.Type, ID: place.ID, Relation: relation}, authz.Fully(), authz.Page{Limit: 1}) {
				if err != nil {
					return err
				}
				next = item.Relationship.Subject.Object
			}
		}
		place = next
	}
	return nil
}

// maxDepth is how many places within places are looked through, should another tool have written a circle.
const maxDepth = 8

func (v *view) show(all []Effect) Effects {
	var shown Effects
	for _, e := range all {
		visible := v.allowed[question{e.Resource, v.Visible(e.Resource.Type)}]
		own := e.Subject.Wildcard || e.Subject.ID == v.actor
		if v.actor == "" || visible && (own || v.allowed[v.listing[e.Resource]]) {
			shown.Effects = append(shown.Effects, e)
		} else {
			shown.Withheld = true
		}
	}
	return shown
}
