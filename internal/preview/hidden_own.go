package preview

import (
	"context"
	"iter"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// hidingOwn is a reader that omits the relationships of own types that the actor of a preview may not see.
type hidingOwn struct {
	authz.Reader

	rules visibility.Rules
	view  *visibility.View
}

// shownTogether is how many relationships hidingOwn checks at a time.
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

// shown returns the items that the actor may see.
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

// HideOwn makes reads of an overlay omit the stored relationships of own types that the actor may not see, so that an
// operation on these types answers as if they were not stored. Without an actor, it hides nothing.
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

// hideUnseen hides the objects of own types in the updates that the actor may not see, if HideOwn was called. So the
// effects do not depend on their relationships.
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
