package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// claimID requires as preconditions that an object's id is free: no relationship of the object is stored, and the
// object is not being deleted. It returns an error with CodeConflict if the id is taken, and one with CodeInvalid if
// callers cannot choose the id. Since most ids are free, claimID reads only after a precondition has failed.
//
// In a preview, claimID returns no error if the actor may not view the object that has the id. So the preview does not
// reveal the object.
func claimID(ctx context.Context, p *plan, object authz.Object) error {
	if err := mayBeNew(object); err != nil {
		return err
	}
	if err := hideUnseen(ctx, p, object); err != nil {
		return err
	}
	return requireFreeID(ctx, p, object)
}

// requireFreeID is claimID, but a preview also reveals an object that the actor may not view.
func requireFreeID(ctx context.Context, p *plan, object authz.Object) error {
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

// hider is the engine of a preview. It can hide objects: reads then find no relationships of them.
type hider interface{ Hide(objects ...authz.Object) }

// hideUnseen hides the object in a preview if the actor may not view it. The preview then treats the id as free.
// Outside a preview, hideUnseen does nothing.
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
