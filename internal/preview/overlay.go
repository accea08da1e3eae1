// Package preview computes the effects of an operation without performing it: which people would gain or lose which
// permissions. It copies the stored relationships that matter into a temporary in-memory engine. There it evaluates
// the permissions, before and after the updates of the operation.
package preview

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// hiding is an authz.Reader that leaves out the relationships of some objects.
type hiding struct {
	authz.Reader

	hidden map[authz.Object]bool
}

// Read implements authz.Reader. It omits relationships whose resource or subject is a hidden object.
func (h hiding) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return func(yield func(authz.ReadItem, error) bool) {
		n := 0
		for item, err := range h.Reader.Read(ctx, filter, at, authz.Page{Cursor: page.Cursor}) {
			if err == nil && (h.hidden[item.Relationship.Resource] || h.hidden[item.Relationship.Subject.Object]) {
				continue
			}
			if n++; !yield(item, err) || err != nil || n == page.Limit {
				return
			}
		}
	}
}

// Base has the methods of authz.Engine that an Overlay calls.
type Base interface {
	authz.Checker
	authz.ResourceFinder
	authz.Reader
}

// Overlay is a copy of the stored state for the preview of one operation. It records writes instead of performing
// them. Reads and preconditions include the recorded writes. Checks and look-ups do not, since the Base decides them.
type Overlay struct {
	authz.Checker
	authz.ResourceFinder

	stored  authz.Reader
	order   []authz.Relationship // identities of the recorded updates, in the order of their first write
	written map[authz.Relationship]authz.Update
	hidden  map[authz.Object]bool

	// unseen returns those of the objects that have an own type and that the actor may not see. HideOwn sets it.
	unseen func(ctx context.Context, objects []authz.Object) ([]authz.Object, error)
}

// NewOverlay returns an Overlay without recorded writes.
func NewOverlay(base Base) *Overlay {
	hidden := make(map[authz.Object]bool)
	return &Overlay{
		Checker: base, ResourceFinder: base, stored: hiding{base, hidden},
		written: make(map[authz.Relationship]authz.Update), hidden: hidden,
	}
}

// Hide makes reads leave out the stored relationships of the objects. It does not affect recorded relationships and
// checks.
func (o *Overlay) Hide(objects ...authz.Object) {
	for _, object := range objects {
		o.hidden[object] = true
	}
}

// Updates returns the recorded updates. For a relationship that was written several times, it returns only the last
// update.
func (o *Overlay) Updates() []authz.Update {
	updates := make([]authz.Update, len(o.order))
	for i, id := range o.order {
		updates[i] = o.written[id]
	}
	return updates
}

// identity returns the relationship without its caveat and expiration. SpiceDB stores at most one relationship with
// the same identity.
func identity(r authz.Relationship) authz.Relationship {
	r.ExpiresAt, r.Caveat, r.CaveatContext = time.Time{}, "", ""
	return r
}

func (o *Overlay) note(update authz.Update) {
	id := identity(update.Relationship)
	if _, noted := o.written[id]; !noted {
		o.order = append(o.order, id)
	}
	if update.Action == authz.Create {
		update.Action = authz.Touch
	}
	o.written[id] = update
}

// Write implements authz.Writer. It records the updates.
func (o *Overlay) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	preconditions := slices.Clone(write.Preconditions)
	for _, update := range write.Updates {
		if update.Action == authz.Create {
			preconditions = append(preconditions, authz.Precondition{Filter: authz.Exactly(update.Relationship), Absent: true})
		}
	}
	if err := o.hold(ctx, preconditions); err != nil {
		return "", err
	}
	for _, update := range write.Updates {
		o.note(update)
	}
	return "", nil
}

// DeleteAll implements authz.Writer. It records the deletion of each relationship.
func (o *Overlay) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, _ map[string]any,
) (authz.Token, error) {
	if err := o.hold(ctx, preconditions); err != nil {
		return "", err
	}
	var found []authz.Relationship
	for item, err := range o.Read(ctx, filter, authz.Fully(), authz.Page{}) {
		if err != nil {
			return "", err
		}
		if found = append(found, item.Relationship); len(found) > MaxRelationships {
			return "", tooLarge()
		}
	}
	for _, r := range found {
		o.note(authz.Update{Action: authz.Delete, Relationship: identity(r)})
	}
	return "", nil
}

// hold returns an error with the cause authz.ErrPrecondition if a precondition is false.
func (o *Overlay) hold(ctx context.Context, preconditions []authz.Precondition) error {
	for _, p := range preconditions {
		there := false
		for _, err := range o.Read(ctx, p.Filter, authz.Fully(), authz.Page{}) {
			if err != nil {
				return err
			}
			there = true
			break
		}
		if there == p.Absent {
			return &authz.Error{
				Code: authz.CodeConflict, Message: "a fact that the write requires has changed", Cause: authz.ErrPrecondition,
			}
		}
	}
	return nil
}

// Read implements authz.Reader. It yields the recorded relationships first. They have no cursor, so a page cannot
// start after one of them.
func (o *Overlay) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return func(yield func(authz.ReadItem, error) bool) {
		n := 0
		for _, id := range o.order {
			update := o.written[id]
			if update.Action == authz.Delete || !matches(filter, update.Relationship) {
				continue
			}
			if n++; !yield(authz.ReadItem{Relationship: update.Relationship}, nil) || n == page.Limit {
				return
			}
		}
		for item, err := range o.stored.Read(ctx, filter, at, authz.Page{Cursor: page.Cursor}) {
			if _, noted := o.written[identity(item.Relationship)]; noted && err == nil {
				continue
			}
			if n++; !yield(item, err) || err != nil || n == page.Limit {
				return
			}
		}
	}
}

// matches reports whether a filter selects a relationship.
func matches(f authz.Filter, r authz.Relationship) bool {
	s := r.Subject
	switch {
	case f.Type != "" && f.Type != r.Resource.Type,
		f.ID != "" && f.ID != r.Resource.ID,
		f.Relation != "" && f.Relation != r.Relation,
		f.SubjectType != "" && f.SubjectType != s.Type,
		f.SubjectID != "" && (s.Wildcard || f.SubjectID != s.ID),
		f.SubjectWildcard && !s.Wildcard,
		f.SubjectRelation != "" && f.SubjectRelation != s.Relation,
		f.SubjectPlain && s.Relation != "":
		return false
	}
	return true
}
