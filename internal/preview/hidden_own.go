package preview

import (
	"context"
	"iter"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// hidingOwn is an authz.Reader for a preview. It leaves out relationships of own types that the actor may not see. An
// own type is one that a user's schema defines.
type hidingOwn struct {
	authz.Reader

	rules visibility.Rules
	view  *visibility.View
}

// shownTogether is the number of relationships whose visibility hidingOwn checks together.
const shownTogether = 100

// Read implements authz.Reader.
func (h hidingOwn) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return func(yield func(authz.ReadItem, error) bool) {
		n := 0
		var chunk []authz.ReadItem
		show := func() bool {
			shown, err := h.shown(ctx, chunk)
			if err != nil {
				yield(authz.ReadItem{}, err)
				return false
			}
			chunk = chunk[:0]
			for _, item := range shown {
				if n++; !yield(item, nil) || n == page.Limit {
					return false
				}
			}
			return true
		}
		for item, err := range h.Reader.Read(ctx, filter, at, authz.Page{Cursor: page.Cursor}) {
			if err != nil {
				yield(item, err)
				return
			}
			if chunk = append(chunk, item); len(chunk) == shownTogether && !show() {
				return
			}
		}
		show()
	}
}

// shown returns the items whose relationships the actor may see, or whose resource is not of an own type.
func (h hidingOwn) shown(ctx context.Context, items []authz.ReadItem) ([]authz.ReadItem, error) {
	var facts []visibility.Fact
	for _, item := range items {
		if !h.rules.IsOwn(item.Relationship.Resource.Type) {
			continue
		}
		if err := h.view.ReadPlaces(ctx, item.Relationship.Resource); err != nil {
			return nil, err
		}
		facts = append(facts, h.view.FactsOf(item.Relationship)...)
	}
	if err := h.view.Ask(ctx, facts...); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(items), func(item authz.ReadItem) bool {
		return h.rules.IsOwn(item.Relationship.Resource.Type) && !h.view.Knows(h.view.FactsOf(item.Relationship)...)
	}), nil
}

// HideOwn makes reads of an Overlay leave out stored relationships of own types that the actor may not see. So the
// preview of an operation on these types has the same result as if they were not stored. Without an actor, HideOwn
// does nothing.
func (p *Previewer) HideOwn(ctx context.Context, actor authz.Actor, overlay *Overlay) error {
	if actor == "" {
		return nil
	}
	definitions, err := p.Definitions(ctx)
	if err != nil {
		return err
	}
	rules := p.Rules.ForSchema(definitions, func(t authz.Type) bool { return !p.Rules.IsOwn(t) })
	bulk := func(ctx context.Context, checks []authz.Check) ([]authz.CheckResult, error) {
		results, _, err := overlay.CheckBulk(ctx, checks, authz.Fully())
		return results, err
	}
	view := visibility.New(rules, visibility.Reader{Subject: actor.Subject()}, visibility.HideUndecided(bulk)).
		WithPlaces(rules.PlaceReader(p.Engine, definitions, authz.Fully()))
	overlay.unseen = func(ctx context.Context, objects []authz.Object) ([]authz.Object, error) {
		objects = slices.DeleteFunc(objects, func(object authz.Object) bool { return !rules.IsOwn(object.Type) })
		seen, err := view.MaySeeEach(ctx, objects)
		if err != nil {
			return nil, err
		}
		var unseen []authz.Object
		for i, object := range objects {
			if !seen[i] {
				unseen = append(unseen, object)
			}
		}
		return unseen, nil
	}
	overlay.stored = hidingOwn{overlay.stored, rules, view}
	return nil
}

// hideUnseen hides objects of own types that the recorded updates change and that the actor may not see, so that the
// effects do not depend on their relationships. If HideOwn was not called, it hides nothing.
func (o *Overlay) hideUnseen(ctx context.Context) error {
	if o.unseen == nil {
		return nil
	}
	var objects []authz.Object
	for _, id := range o.order {
		if !slices.Contains(objects, id.Resource) {
			objects = append(objects, id.Resource)
		}
	}
	unseen, err := o.unseen(ctx, objects)
	o.Hide(unseen...)
	return err
}
