package preview

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// view decides which effects an actor may see. For each effect, the actor must be able to see the object before or
// after the operation. An effect on another person reveals a role of this person, so there are two more conditions.
// The actor may know the roles that give access to the object (see Rules.Access). And the actor may know the people
// in the relations of some object to which the person has a relation.
type view struct {
	visible       *visibility.View
	rules         visibility.Rules
	actor         authz.Subject
	scratch       authz.Engine
	relationships []authz.Relationship // before and after the operation
	places        visibility.Places    // before and after the operation
	people        map[authz.Object][]visibility.Fact
}

// viewOf returns a view that decides what an actor may see, by checks in the temporary engine. The parameter
// "relationships" has the relationships from before and after the operation.
func (p *Previewer) viewOf(actor authz.Actor, scratch authz.Engine, relationships []authz.Relationship) *view {
	v := &view{
		rules: p.Rules, scratch: scratch, relationships: relationships, places: p.Rules.Places(relationships),
		actor: actor.Subject(), people: make(map[authz.Object][]visibility.Fact),
	}
	bulk := func(ctx context.Context, checks []authz.Check) ([]authz.CheckResult, error) {
		results, _, err := scratch.CheckBulk(ctx, checks, authz.Fully())
		return results, err
	}
	v.visible = visibility.New(p.Rules, visibility.Reader{Subject: v.actor}, visibility.HideUndecided(bulk))
	return v
}

// recordVisible records the facts that the actor may know in the current state of the temporary engine. Facts that
// were recorded in an earlier state remain.
func (v *view) recordVisible(ctx context.Context, objects []authz.Object) error {
	var facts []visibility.Fact
	for _, object := range objects {
		facts = append(facts, visibility.Existence(object))
		facts = append(facts, v.rules.Access(object, v.places)...)
	}
	for _, r := range v.relationships {
		facts = append(facts, v.peopleOf(r.Resource)...)
	}
	v.visible.ForgetHidden()
	return v.visible.Ask(ctx, facts...)
}

// peopleOf returns the facts that the actor must know to see the people in the relations of an object.
func (v *view) peopleOf(object authz.Object) []visibility.Fact {
	if _, known := v.people[object]; !known {
		v.people[object] = v.rules.PeopleOf(object, v.places)
	}
	return v.people[object]
}

// hides reports whether a relationship is hidden from the actor. Effects on other people are computed without hidden
// relationships, so that the effects do not reveal them.
func (v *view) hides(r authz.Relationship) bool {
	return !v.visible.MayDependOn(r, v.peopleOf(r.Resource))
}

// ownEffects returns the changes of the actor's own permissions. It applies the updates to the temporary engine, and
// records what the actor may see before and after the updates.
func (v *view) ownEffects(ctx context.Context, c comparison, updates []authz.Update) (changes, error) {
	if err := v.recordVisible(ctx, c.objects); err != nil {
		return changes{}, err
	}
	before, err := checkPeople(ctx, v.scratch, c.questions, []authz.Subject{v.actor})
	if err != nil {
		return changes{}, err
	}
	if err := apply(ctx, v.scratch, updates); err != nil {
		return changes{}, err
	}
	if err := v.recordVisible(ctx, c.objects); err != nil {
		return changes{}, err
	}
	after, err := checkPeople(ctx, v.scratch, before.decided(c.questions), []authz.Subject{v.actor})
	if err != nil {
		return changes{}, err
	}
	return differences(ctx, c.questions, before, after)
}

// show returns the effects that the actor may see. It always sets Omitted, since Omitted would otherwise reveal
// whether effects are hidden.
func (v *view) show(own, others changes) Effects {
	named := make(map[authz.ID]bool)
	for _, r := range v.relationships {
		if r.Subject.Type == person && !r.Subject.Wildcard && v.visible.Knows(v.peopleOf(r.Resource)...) {
			named[r.Subject.ID] = true
		}
	}
	shown := Effects{Omitted: true}
	visible := func(e Effect) bool { return v.visible.Knows(visibility.Existence(e.Resource)) }
	everybody := make(map[authz.Object]bool)
	for _, e := range others.effects {
		isOwn := e.Subject == v.actor
		known := e.Subject.Wildcard || named[e.Subject.ID] && v.visible.Knows(v.rules.Access(e.Resource, v.places)...)
		if visible(e) && !isOwn && known {
			shown.Effects = append(shown.Effects, e)
			everybody[e.Resource] = everybody[e.Resource] || e.Subject.Wildcard
		}
	}
	for _, e := range own.effects {
		if visible(e) && !everybody[e.Resource] {
			shown.Effects = append(shown.Effects, e)
		}
	}
	sortEffects(shown.Effects)
	shown.Undecided = make(map[authz.Object]map[authz.Permission]error)
	for _, c := range []changes{own, others} {
		for object, permissions := range c.undecided {
			if v.visible.Knows(visibility.Existence(object)) {
				shown.Undecided[object] = permissions
			}
		}
	}
	return shown
}
