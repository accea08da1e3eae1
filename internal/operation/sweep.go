package operation

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// sweeper removes what a cut object leaves behind. Every write of it rests on the deletion being under way: where
// another has finished it in the meantime, and the id may have been taken anew, nothing is touched.
type sweeper struct {
	*plan
	operation string
	deletion  authz.Relationship
	pending   []authz.Update
	seen      map[authz.Filter]bool
}

// errFinished ends a sweep that another has finished.
var errFinished = errors.New("the deletion was finished by another")

// sweep removes everything in the deleted object and everything that refers to it, and then remembers the deletion as
// done. What is in an object goes before the relationship that says that it is in there, so that an interrupted sweep
// finds the rest again.
func (s *Service) sweep(ctx context.Context, by Caller, operation string, deletion authz.Relationship) (authz.Token, error) {
	w := &sweeper{plan: newPlan(s.engine, by), operation: operation, deletion: deletion, seen: make(map[authz.Filter]bool)}
	err := w.object(ctx, deletedObject(deletion.Resource))
	if err == nil {
		err = w.flush(ctx)
	}
	done := deletion
	done.Relation, done.ExpiresAt = deletionDone, s.now().Add(remembered)
	last := authz.Write{Updates: []authz.Update{{Action: authz.Touch, Relationship: done}}, Metadata: by.metadata(operation)}
	switch {
	case errors.Is(err, errFinished):
	case err != nil:
		return "", err
	default:
		last.Updates = append(last.Updates, authz.Update{Action: authz.Delete, Relationship: deletion})
	}
	return s.engine.Write(ctx, last)
}

// withdraw takes back the mark of a deletion that its actor may no longer carry out.
func (s *Service) withdraw(ctx context.Context, by Caller, deletion authz.Relationship) error {
	_, err := s.engine.Write(ctx, authz.Write{
		Updates:  []authz.Update{{Action: authz.Delete, Relationship: deletion}},
		Metadata: by.metadata("withdraw_deletion"),
	})
	return err
}

// refused reports whether an actor may not do what they tried.
func refused(err error) bool {
	return errors.Is(err, authz.CodeForbidden) || errors.Is(err, authz.CodeNotFound)
}

// contents removes everything that has the object as its subject: what is in it with all that is in that, and what
// refers to it. Of a type that is not the product's, it removes the references at once, whatever the form of the ids.
func (w *sweeper) contents(ctx context.Context, object authz.Object) error {
	foreign := make(map[authz.Type]bool)
	for item, err := range w.engine.Read(ctx, authz.Filter{SubjectType: object.Type, SubjectID: object.ID}, authz.Fully(), authz.Page{}) {
		if err != nil {
			return err
		}
		r := item.Relationship
		kind, product := kinds[r.Resource.Type]
		switch {
		case !product:
			foreign[r.Resource.Type] = true
		case r.Relation == kind.place:
			err = w.object(ctx, r.Resource)
		default:
			err = w.remove(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	for typ := range foreign {
		references := authz.Filter{Type: typ, SubjectType: object.Type, SubjectID: object.ID}
		if _, err := w.engine.DeleteAll(ctx, references, w.marked(), w.by.metadata(w.operation)); err != nil {
			return w.finished(err)
		}
	}
	return nil
}

// object removes the deleted object or one in it: first what gives anybody access to it, then what is in it, and last
// the relationship to its place.
func (w *sweeper) object(ctx context.Context, object authz.Object) error {
	kind := kindOf(object.Type)
	if kind.crowded {
		if err := w.flush(ctx); err != nil {
			return err
		}
		people := authz.Filter{Type: object.Type, ID: object.ID, SubjectType: user}
		if _, err := w.engine.DeleteAll(ctx, people, w.marked(), w.by.metadata(w.operation)); err != nil {
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
	return nil
}

func (w *sweeper) remove(ctx context.Context, r authz.Relationship) error {
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

func (w *sweeper) flush(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	_, err := w.engine.Write(ctx, authz.Write{Updates: w.pending, Preconditions: w.marked(), Metadata: w.by.metadata(w.operation)})
	w.pending = w.pending[:0:0]
	clear(w.seen)
	return w.finished(err)
}

func (w *sweeper) marked() []authz.Precondition {
	return []authz.Precondition{{Filter: authz.Exactly(w.deletion)}}
}

func (w *sweeper) finished(err error) error {
	if errors.Is(err, authz.ErrPrecondition) {
		return errFinished
	}
	return err
}

// Resume finishes the deletions that were interrupted, by this server or another. One that was only announced, whose
// object still stands, is carried out if whoever announced it still may, and else withdrawn.
func (s *Service) Resume(ctx context.Context) error {
	filter := authz.Filter{Type: deletionType, Relation: deletionBy}
	for item, err := range s.engine.Read(ctx, filter, authz.Fully(), authz.Page{}) {
		if err != nil {
			return err
		}
		deletion := item.Relationship
		object := deletedObject(deletion.Resource)
		by := Caller{Actor: deletion.Subject.ID, Key: "resume"}
		s.log.InfoContext(ctx, "finishing an interrupted deletion", "object", object.String(), "by", string(by.Actor))
		if err := s.resume(ctx, by, object, deletion); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) resume(ctx context.Context, by Caller, object authz.Object, deletion authz.Relationship) error {
	p := newPlan(s.engine, by)
	standing, err := p.findSome(ctx, authz.Filter{Type: object.Type, ID: object.ID, Relation: kindOf(object.Type).place}, 1)
	if err != nil {
		return err
	}
	if len(standing) == 0 {
		_, err = s.sweep(ctx, by, "resume_deletion", deletion)
		return err
	}
	_, err = s.Delete(ctx, by, object)
	if refused(err) {
		return s.withdraw(ctx, by, deletion)
	}
	return err
}
