package operation

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// A deletion is itself an object, type/id of what is deleted. While it is under way it holds by whom (deletionBy), and
// the id cannot be taken; afterwards it holds for a day who finished it (deletionDone), so that they may repeat the call.
const (
	deletionType authz.Type     = "deletion"
	deletionBy   authz.Relation = "requested_by"
	deletionDone authz.Relation = "done"

	remembered = 24 * time.Hour
)

func deletionOf(object authz.Object) authz.Object {
	return authz.Object{Type: deletionType, ID: authz.ID(object.Type) + "/" + object.ID}
}

// leavingOf is the deletion of somebody's own membership.
func leavingOf(object authz.Object) authz.Object {
	return authz.Object{Type: deletionType, ID: "membership/" + authz.ID(object.Type) + "/" + object.ID}
}

func deletedObject(deletion authz.Object) authz.Object {
	typ, id, _ := strings.Cut(string(deletion.ID), "/")
	return authz.Object{Type: authz.Type(typ), ID: authz.ID(id)}
}

// Delete deletes an object with everything in it and every relationship that names it. It needs the permission that
// the object's kind says.
//
// Deleting has three steps. The cut removes the object's own relationships and marks it as being deleted, as one change:
// nothing in it can be reached from then on, nothing can be created in it or refer to it, and its id cannot be taken.
// The sweep removes what is in it and what refers to it, including what came in until the cut. The last step remembers that
// it is done. After an interruption, repeating the call or Resume finishes it.
func (s *Service) Delete(ctx context.Context, by Caller, object authz.Object) (authz.Token, error) {
	operation := "delete_" + string(object.Type)
	var repeated, large bool
	token, err := s.run(ctx, by, operation, func(ctx context.Context, p *plan) error {
		if by.replayed() {
			under, done, err := p.deletion(ctx, deletionOf(object))
			repeated, large = true, under || !done
			return err
		}
		if err := p.mayDelete(ctx, object); err != nil {
			if authz.CodeOf(err) != authz.CodeNotFound {
				return err
			}
			under, done, seen := p.deletion(ctx, deletionOf(object))
			if seen != nil {
				return seen
			}
			if repeated = under || done; !repeated {
				return err
			}
			large = under
			return nil
		}
		p.touch(deletionOf(object), deletionBy, p.actor())
		var err error
		large, err = p.cut(ctx, object)
		return err
	})
	if err != nil || repeated && !large {
		return token, err
	}
	if by.replayed() { // it was begun before, and goes on
		by.Once = nil
		return s.Delete(ctx, by, object)
	}
	deletion := authz.Relationship{Resource: deletionOf(object), Relation: deletionBy, Subject: person(by.Actor)}
	if large && !repeated {
		err := s.cutLarge(ctx, by, operation, object)
		if refused(err) {
			return "", errors.Join(err, s.withdraw(ctx, by, deletion))
		}
		if err != nil {
			return "", err
		}
	}
	return s.sweep(ctx, by, operation, deletion)
}

// mayDelete returns an error unless the actor may delete the object.
func (p *plan) mayDelete(ctx context.Context, object authz.Object) error {
	kind := kindOf(object.Type)
	if !kind.removeOnPlace {
		return p.allow(ctx, object, kind.remove)
	}
	if _, err := p.permissions(ctx, object); err != nil {
		return err
	}
	place, err := p.placeOf(ctx, object)
	if err != nil {
		return err
	}
	return p.allow(ctx, place, kind.remove)
}

// deletion reads whether the actor is deleting something or has done so.
func (p *plan) deletion(ctx context.Context, deletion authz.Object) (under, done bool, err error) {
	found, err := p.findSome(ctx, authz.Filter{Type: deletionType, ID: deletion.ID, SubjectType: user, SubjectID: p.by.Actor}, 0)
	for _, r := range found {
		under = under || r.Relation == deletionBy
		done = done || r.Relation == deletionDone
	}
	return under, done, err
}

// cut plans the removal of the object's own relationships, and with them of all access to it and to what is in it. What
// does not fit one write is left to cutLarge.
func (p *plan) cut(ctx context.Context, object authz.Object) (large bool, err error) {
	own, err := p.findSome(ctx, authz.Filter{Type: object.Type, ID: object.ID}, authz.MaxUpdates)
	if err != nil || len(own) > p.room() {
		return err == nil, err
	}
	for _, r := range own {
		p.delete(r)
	}
	return false, nil
}

// cutLarge removes all of an object's own relationships by filter, however many they are, provided that the deletion
// is marked and the actor still may.
func (s *Service) cutLarge(ctx context.Context, by Caller, operation string, object authz.Object) error {
	for attempt := range maxAttempts {
		if err := pause(ctx, attempt); err != nil {
			return err
		}
		p := newPlan(s.engine, by)
		if err := p.mayDelete(ctx, object); err != nil {
			return err
		}
		p.require(authz.Relationship{Resource: deletionOf(object), Relation: deletionBy, Subject: p.actor()})
		_, err := s.engine.DeleteAll(ctx, authz.Filter{Type: object.Type, ID: object.ID}, p.preconditions, by.metadata(operation))
		if !errors.Is(err, authz.ErrPrecondition) {
			return err
		}
	}
	return authz.Errorf(authz.CodeConflict, "others kept changing what this operation rests on; try again")
}

// leave plans what leaving by oneself needs, and reports whether there is nothing left to do because the actor has no
// role: they have left before, or they reach the object another way. The error is CodeNotFound if they may not see it.
func (p *plan) leave(ctx context.Context, object authz.Object, now time.Time) (nothing bool, err error) {
	held, err := p.find(ctx, authz.Filter{Type: object.Type, ID: object.ID, SubjectType: user, SubjectID: p.by.Actor})
	if err != nil {
		return false, err
	}
	if len(held) > 0 {
		p.update(authz.Touch, authz.Relationship{Resource: leavingOf(object), Relation: deletionDone, Subject: p.actor(), ExpiresAt: now.Add(remembered)})
		return false, nil
	}
	if err := p.finishRemoval(ctx, p.by.Actor); err != nil {
		return false, err
	}
	if _, done, err := p.deletion(ctx, leavingOf(object)); done || err != nil {
		return done, err
	}
	_, err = p.permissions(ctx, object)
	return true, err
}
