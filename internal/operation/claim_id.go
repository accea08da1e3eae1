package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// claimID requires as preconditions that an object's id is free: no relationship of the object is stored, and no
// deletion of an object with that id is under way. It reads only after a precondition failed, since most ids are free.
// It returns an error with CodeConflict if the id is taken, and one with CodeInvalid if callers cannot choose the id.
//
// If the actor may not view the object that has the id, a preview returns no error, so that it does not reveal the
// object.
func claimID(ctx context.Context, p *plan, object authz.Object) error {
	if err := mayBeNew(object); err != nil {
		return err
	}
	if err := hideUnseen(ctx, p, object); err != nil {
		return err
	}
	taken := authz.Filter{Type: object.Type, ID: object.ID}
	deleting := authz.Filter{Type: deletionType, ID: deletionOf(object).ID, Relation: deletionRequestedBy}
	p.Forbid(taken)
	p.Forbid(deleting)
	if !p.isRetry {
		return nil
	}
	found, err := p.FindSome(ctx, taken, 1)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return authz.Errorf(authz.CodeConflict, "%s exists already", object)
	}
	if found, err = p.Find(ctx, deleting); err != nil {
		return err
	}
	if len(found) > 0 {
		return authz.Errorf(authz.CodeConflict, "%s is still being deleted; try again shortly", object)
	}
	return nil
}

// hider is the engine of a preview. It can read as if no relationships of some objects were stored.
type hider interface{ Hide(objects ...authz.Object) }

// hideUnseen makes a preview continue as if an id were free, unless the actor may view the object that has it. It does
// nothing outside a preview, where an operation would otherwise write to the object that has the id.
func hideUnseen(ctx context.Context, p *plan, object authz.Object) error {
	engine, previews := p.engine.(hider)
	if !previews || p.by.Actor == "" {
		return nil
	}
	if seen, err := viewOf(p).MaySee(ctx, object); err != nil || seen {
		return err
	}
	engine.Hide(object, deletionOf(object))
	return nil
}
