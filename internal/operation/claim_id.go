package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// claimID makes the write depend on an object's id being free: nothing is stored about it, and no deletion of an
// object of that id is under way. Most ids are free, so it looks only after a precondition failed; the error is
// CodeConflict if the id is taken.
//
// A preview does not tell that an id is taken by an object that the actor may not view. The error is CodeInvalid for an id
// that nobody can choose.
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

// hider is the engine of a preview: it can read as if nothing were stored about some objects.
type hider interface{ Hide(objects ...authz.Object) }

// hideUnseen makes a preview go on as if an id were free, unless the actor may view the object that has it. It does nothing for
// an operation that is performed, where a second object of the id would be the first one.
func hideUnseen(ctx context.Context, p *plan, object authz.Object) error {
	engine, previews := p.engine.(hider)
	if !previews || p.by.Actor == "" {
		return nil
	}
	if visible := kindOf(object.Type).visible; visible != "" {
		seen, err := decide(ctx, p, []authz.Check{actorCheck(p, visible, object)})
		if err != nil || seen[0] {
			return err
		}
	}
	engine.Hide(object, deletionOf(object))
	return nil
}
