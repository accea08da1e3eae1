package operation

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// cleanup deletes the relationships that a cut-off object leaves behind. Each of its writes requires that the
// deletion is still under way. If another request has finished it, and the id may have been created again, nothing is
// deleted.
//
// A database need not show a write to a read that starts while that write is in progress. A write that began before
// the cut-off may become visible only after the cleanup has read (PostgreSQL orders the two, but not in time). So
// each write also requires that no relationship is left of the objects that the write before it emptied. A write that
// began before the cut-off is then either found, or the database rejects it, since it cannot be ordered before the
// cut-off and after that read.
type cleanup struct {
	*plan
	operation string
	deletion  authz.Relationship
	pending   []authz.Update
	seen      map[authz.Filter]bool

	emptied []authz.Object // the next write deletes their last relationships
	cleaned []authz.Object // the write before deleted their last relationships
	strays  []authz.Precondition
}

// maxObjectsPerWrite is how many objects one write of a cleanup empties. Each needs two preconditions of the next
// write.
const maxObjectsPerWrite = 300

// errFinished ends a cleanup that another request has finished.
var errFinished = errors.New("the deletion was finished by another")

func (s *Service) newCleanup(by Caller, operation string, deletion authz.Relationship) *cleanup {
	return &cleanup{
		plan:      newPlan(s.engine, by),
		operation: operation,
		deletion:  deletion,
		seen:      make(map[authz.Filter]bool),
	}
}

// cleanUp deletes everything in the deleted object and every reference to it, and then stores that the deletion is
// done. It deletes the contents of an object before the relationship that places the object, so that an interrupted
// cleanup finds the rest again.
func (s *Service) cleanUp(
	ctx context.Context, by Caller, operation string, deletion authz.Relationship,
) (authz.Token, error) {
	w := s.newCleanup(by, operation, deletion)
	err := w.object(ctx, deletedObject(deletion.Resource))
	if err == nil {
		err = w.flush(ctx)
	}
	var last []authz.Update
	if deletion.Subject.Type == user { // the backend itself does not repeat calls, so nothing is stored for it
		done := deletion
		done.Relation, done.ExpiresAt = deletionDone, s.now().Add(rememberFor)
		last = append(last, authz.Update{Action: authz.Touch, Relationship: done})
	}
	if err == nil {
		var token authz.Token
		final := append(slices.Clone(last), authz.Update{Action: authz.Delete, Relationship: deletion})
		if token, err = w.write(ctx, final); err == nil {
			return token, nil
		}
	}
	if !errors.Is(err, errFinished) {
		return "", err
	}
	if len(last) == 0 {
		return newPlan(s.engine, by).head(ctx)
	}
	return s.engine.Write(ctx, authz.Write{Updates: last, Metadata: by.metadata(operation)})
}

// cancelDeletion deletes the record of a deletion that its actor may no longer perform.
func (s *Service) cancelDeletion(ctx context.Context, by Caller, deletion authz.Relationship) error {
	updates := []authz.Update{{Action: authz.Delete, Relationship: deletion}}
	if by.Idempotency != nil {
		updates = append(updates, authz.Update{Action: authz.Delete, Relationship: by.done()})
	}
	_, err := s.engine.Write(ctx, authz.Write{Updates: updates, Metadata: by.metadata("withdraw_deletion")})
	return err
}

// refused reports whether an error says that the actor may not perform the operation.
func refused(err error) bool {
	return errors.Is(err, authz.CodeForbidden) || errors.Is(err, authz.CodeNotFound)
}

// contents deletes every relationship whose subject is the object: the objects in it with their contents, and the
// references to it. For a type that the product does not define, it deletes all references at once, also those from
// malformed ids.
func (w *cleanup) contents(ctx context.Context, object authz.Object) error {
	foreign := make(map[authz.Type]bool)
	// reasons for memberships that end with the account; those of a deleted subscription end as a whole
	var reasons []authz.Relationship
	referring := authz.Filter{SubjectType: object.Type, SubjectID: object.ID}
	for item, err := range w.engine.Read(ctx, referring, authz.Fully(), authz.Page{}) {
		if err != nil {
			return err
		}
		r := item.Relationship
		kind, product := kinds[r.Resource.Type]
		switch {
		case !product:
			foreign[r.Resource.Type] = true
		case r.Resource.Type == membershipType && object.Type == "account" && deletedObject(w.deletion.Resource) == object:
			reasons = append(reasons, r)
		case r.Relation == kind.place:
			err = w.object(ctx, r.Resource)
		default:
			err = w.remove(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	if err := w.endMemberships(ctx, reasons); err != nil {
		return err
	}
	return w.references(ctx, object, foreign)
}

// references deletes the references to the object from all objects of the types, whichever ids these have.
func (w *cleanup) references(ctx context.Context, object authz.Object, types map[authz.Type]bool) error {
	for typ := range types {
		references := authz.Filter{Type: typ, SubjectType: object.Type, SubjectID: object.ID}
		if _, err := w.engine.DeleteAll(ctx, references, w.underWay(), w.by.metadata(w.operation)); err != nil {
			return w.finished(err)
		}
	}
	return nil
}

// object deletes the deleted object or one in it. It deletes the access to it first, then its contents, and last the
// relationship to its place.
func (w *cleanup) object(ctx context.Context, object authz.Object) error {
	kind := kindOf(object.Type)
	if kind.hasUnboundedMembers {
		if err := w.flush(ctx); err != nil {
			return err
		}
		people := authz.Filter{Type: object.Type, ID: object.ID, SubjectType: user}
		if _, err := w.engine.DeleteAll(ctx, people, w.underWay(), w.by.metadata(w.operation)); err != nil {
			return w.finished(err)
		}
	}
	if err := w.contents(ctx, object); err != nil {
		return err
	}
	var places []authz.Relationship
	own := authz.Filter{Type: object.Type, ID: object.ID}
	for item, err := range w.engine.Read(ctx, own, authz.Fully(), authz.Page{}) {
		if err != nil {
			return err
		}
		if item.Relationship.Relation == kind.place {
			places = append(places, item.Relationship)
			continue
		}
		if err := w.remove(ctx, item.Relationship); err != nil {
			return err
		}
	}
	for _, place := range places {
		if err := w.remove(ctx, place); err != nil {
			return err
		}
	}
	w.emptied = append(w.emptied, object)
	if len(w.emptied) < maxObjectsPerWrite {
		return nil
	}
	return w.flush(ctx)
}

// remove adds the deletion of a relationship to the next write, and flushes a full one.
func (w *cleanup) remove(ctx context.Context, r authz.Relationship) error {
	if w.seen[authz.Exactly(r)] {
		return nil
	}
	w.seen[authz.Exactly(r)] = true
	r.ExpiresAt = time.Time{}
	w.pending = append(w.pending, authz.Update{Action: authz.Delete, Relationship: r})
	if len(w.pending) < authz.MaxUpdates {
		return nil
	}
	return w.flush(ctx)
}

// flush writes the pending deletions.
func (w *cleanup) flush(ctx context.Context) error {
	if len(w.pending) == 0 {
		w.cleaned, w.emptied = append(w.cleaned, w.emptied...), nil
		return nil
	}
	_, err := w.write(ctx, w.pending)
	w.pending = w.pending[:0:0]
	clear(w.seen)
	return err
}

// write writes the updates once no relationship is left of the objects that the write before emptied. It returns
// errFinished if another request has finished the deletion.
func (w *cleanup) write(ctx context.Context, updates []authz.Update) (token authz.Token, err error) {
	const conflict = "other requests kept creating what this deletion removes; try again"
	err = tx.Retry(ctx, conflict, func(attempt int) error {
		preconditions := w.underWay()
		for _, object := range w.cleaned {
			preconditions = append(preconditions,
				authz.Precondition{Absent: true, Filter: authz.Filter{Type: object.Type, ID: object.ID}},
				authz.Precondition{Absent: true, Filter: authz.Filter{SubjectType: object.Type, SubjectID: object.ID}})
		}
		written, err := w.engine.Write(ctx, authz.Write{
			Updates: updates, Preconditions: preconditions, Metadata: w.by.metadata(w.operation),
		})
		if err == nil {
			token, w.cleaned, w.emptied = written, w.emptied, nil
			return nil
		}
		if !errors.Is(err, authz.ErrPrecondition) || len(w.cleaned) == 0 {
			return w.finished(err)
		}
		if failed := w.cleanAgain(ctx, attempt > 2); failed != nil {
			return failed
		}
		return err
	})
	return token, err
}

// cleanAgain deletes relationships of emptied objects that became visible later. It leaves an object alone whose id
// has been created again. If stubborn is set, earlier attempts could not name a relationship because another tool
// wrote it under a malformed id; cleanAgain then deletes it by the object that it refers to.
func (w *cleanup) cleanAgain(ctx context.Context, stubborn bool) error {
	under, err := w.FindSome(ctx, authz.Exactly(w.deletion), 1)
	if err != nil {
		return err
	}
	if len(under) == 0 {
		return errFinished
	}
	again := &cleanup{plan: w.plan, operation: w.operation, deletion: w.deletion, seen: make(map[authz.Filter]bool)}
	for _, object := range w.cleaned {
		place := authz.Filter{Type: object.Type, ID: object.ID, Relation: kindOf(object.Type).place}
		taken, err := w.FindSome(ctx, place, 1)
		if err != nil {
			return err
		}
		if len(taken) > 0 {
			continue
		}
		again.strays = []authz.Precondition{{Absent: true, Filter: place}}
		err = again.object(ctx, object)
		if err == nil {
			err = again.flush(ctx)
		}
		if err == nil && stubborn {
			err = again.deleteReferences(ctx, object)
		}
		if errors.Is(err, errFinished) { // or the id has just been created again, which the next attempt finds
			return nil
		}
		if err != nil {
			return err
		}
	}
	w.cleaned = again.cleaned
	return nil
}

// deleteReferences deletes the references to the object that are left when every object that can be named is deleted.
func (w *cleanup) deleteReferences(ctx context.Context, object authz.Object) error {
	left, err := w.FindSome(ctx, authz.Filter{SubjectType: object.Type, SubjectID: object.ID}, 0)
	types := make(map[authz.Type]bool)
	for _, r := range left {
		types[r.Resource.Type] = true
	}
	if err != nil {
		return err
	}
	return w.references(ctx, object, types)
}

// underWay returns the preconditions of every write: that the deletion is under way, and those in strays.
func (w *cleanup) underWay() []authz.Precondition {
	return append([]authz.Precondition{{Filter: authz.Exactly(w.deletion)}}, w.strays...)
}

// finished returns errFinished for a failed precondition, and any other error unchanged.
func (w *cleanup) finished(err error) error {
	if errors.Is(err, authz.ErrPrecondition) {
		return errFinished
	}
	return err
}
