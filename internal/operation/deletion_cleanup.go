package operation

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// cleanup removes what a cut object leaves behind. Every write of it rests on the deletion being under way: where
// another has finished it in the meantime, and the id may have been taken anew, nothing is touched.
//
// A database need not show a write to a read after it while that write is under way: one that began before the cut may
// become visible only after the cleanup has looked (PostgreSQL orders the two, but not in time). So each write also rests on
// nothing being left of what the write before it removed. Whatever began before the cut and could still put something there
// is then either found, or refused by the database, since it cannot be ordered before the cut and after that look.
type cleanup struct {
	*plan
	operation string
	deletion  authz.Relationship
	pending   []authz.Update
	seen      map[authz.Filter]bool

	emptied []authz.Object // the next write removes the last of them
	cleaned []authz.Object // the write before removed the last of them
	strays  []authz.Precondition
}

// maxObjectsPerWrite is how many objects one write of a cleanup empties: each takes two preconditions of the next one.
const maxObjectsPerWrite = 300

// errFinished ends a cleanup that another has finished.
var errFinished = errors.New("the deletion was finished by another")

func (s *Service) newCleanup(by Caller, operation string, deletion authz.Relationship) *cleanup {
	return &cleanup{plan: newPlan(s.engine, by), operation: operation, deletion: deletion, seen: make(map[authz.Filter]bool)}
}

// cleanUp removes everything in the deleted object and everything that refers to it, and then remembers the deletion as
// done. What is in an object goes before the relationship that says that it is in there, so that an interrupted cleanup
// finds the rest again.
func (s *Service) cleanUp(ctx context.Context, by Caller, operation string, deletion authz.Relationship) (authz.Token, error) {
	w := s.newCleanup(by, operation, deletion)
	err := w.object(ctx, deletedObject(deletion.Resource))
	if err == nil {
		err = w.flush(ctx)
	}
	var last []authz.Update
	if deletion.Subject.Type == user { // the backend repeats nothing that it would have to be told was done
		done := deletion
		done.Relation, done.ExpiresAt = deletionDone, s.now().Add(rememberFor)
		last = append(last, authz.Update{Action: authz.Touch, Relationship: done})
	}
	if err == nil {
		var token authz.Token
		if token, err = w.write(ctx, append(last, authz.Update{Action: authz.Delete, Relationship: deletion})); err == nil {
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

// cancelDeletion takes back the announcement of a deletion that its actor may no longer carry out.
func (s *Service) cancelDeletion(ctx context.Context, by Caller, deletion authz.Relationship) error {
	updates := []authz.Update{{Action: authz.Delete, Relationship: deletion}}
	if by.Idempotency != nil {
		updates = append(updates, authz.Update{Action: authz.Delete, Relationship: by.done()})
	}
	_, err := s.engine.Write(ctx, authz.Write{Updates: updates, Metadata: by.metadata("withdraw_deletion")})
	return err
}

// refused reports whether an actor may not do what they tried.
func refused(err error) bool {
	return errors.Is(err, authz.CodeForbidden) || errors.Is(err, authz.CodeNotFound)
}

// contents removes everything that has the object as its subject: what is in it with all that is in that, and what
// refers to it. Of a type that is not the product's, it removes the references at once, whatever the form of the ids.
func (w *cleanup) contents(ctx context.Context, object authz.Object) error {
	foreign := make(map[authz.Type]bool)
	// for memberships, which end with the account; with a subscription they end as a whole
	var reasons []authz.Relationship
	for item, err := range w.engine.Read(ctx, authz.Filter{SubjectType: object.Type, SubjectID: object.ID}, authz.Fully(), authz.Page{}) {
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

// references removes what refers to the object from objects of the types, whatever their ids.
func (w *cleanup) references(ctx context.Context, object authz.Object, types map[authz.Type]bool) error {
	for typ := range types {
		references := authz.Filter{Type: typ, SubjectType: object.Type, SubjectID: object.ID}
		if _, err := w.engine.DeleteAll(ctx, references, w.underWay(), w.by.metadata(w.operation)); err != nil {
			return w.finished(err)
		}
	}
	return nil
}

// object removes the deleted object or one in it: first what gives anybody access to it, then what is in it, and last
// the relationship to its place.
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
	for item, err := range w.engine.Read(ctx, authz.Filter{Type: object.Type, ID: object.ID}, authz.Fully(), authz.Page{}) {
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

// flush writes what is pending.
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

// write writes the updates once nothing is left of what the write before removed. The error is errFinished if another has
// finished the deletion.
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

// cleanAgain removes what became visible of objects that were removed. One whose id has been taken anew is left alone. What is
// stubborn is under an id that another tool wrote and that is none of Sluice's: it goes by what it refers to.
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
		if errors.Is(err, errFinished) { // or it has been taken at this moment: the next attempt tells
			return nil
		}
		if err != nil {
			return err
		}
	}
	w.cleaned = again.cleaned
	return nil
}

// deleteReferences removes what still refers to the object when all that can be named is gone.
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

func (w *cleanup) underWay() []authz.Precondition {
	return append([]authz.Precondition{{Filter: authz.Exactly(w.deletion)}}, w.strays...)
}

func (w *cleanup) finished(err error) error {
	if errors.Is(err, authz.ErrPrecondition) {
		return errFinished
	}
	return err
}
