package operation

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// A deletion is stored as an object whose id is the type and id of the deleted object. While the deletion is under
// way, the relation deletionRequestedBy has the person who requested it, and nobody can create an object with the
// deleted id. After the deletion, the relation deletionDone has this person for a day, so that they can repeat the
// call.
const (
	deletionType        authz.Type     = "deletion"
	deletionRequestedBy authz.Relation = "requested_by"
	deletionDone        authz.Relation = "done"

	rememberFor = 24 * time.Hour
)

// deletionOf returns the object that stores the deletion of an object.
func deletionOf(object authz.Object) authz.Object {
	return authz.Object{Type: deletionType, ID: authz.ID(object.Type) + "/" + object.ID}
}

// leavingOf returns the object that stores that a member has left an object, that is, removed themselves.
func leavingOf(object authz.Object) authz.Object {
	return authz.Object{Type: deletionType, ID: "membership/" + authz.ID(object.Type) + "/" + object.ID}
}

// deletedObject returns the object that a stored deletion deletes.
func deletedObject(deletion authz.Object) authz.Object {
	typ, id, _ := strings.Cut(string(deletion.ID), "/")
	return authz.Object{Type: authz.Type(typ), ID: authz.ID(id)}
}

// Delete deletes an object, its contents, and every relationship that names it. The actor needs the permission
// kind.remove of the object's type. A deletion has three steps:
//
// 1. The cut-off deletes the object's own relationships. The same write stores a record that the deletion is under
// way. If the relationships do not fit one write, an earlier write stores the record. After the cut-off, nobody has
// access to the object or its contents, nothing can be created in it or refer to it, and nobody can create its id
// again.
//
// 2. The cleanup deletes the contents and the references to the object, including those written until the cut-off.
//
// 3. The last write stores that the deletion is done.
//
// After an interruption, a repeated call or Resume finishes the deletion.
func (s *Service) Delete(ctx context.Context, by Caller, object authz.Object) (Done, error) {
	if object.Type == serviceAccount && by.Actor.IsServiceAccount() {
		return Done{}, errOnlyPeople(by, "delete service accounts")
	}
	return s.deleteObject(ctx, by, object, func(context.Context, *plan) error { return nil })
}

// deleteObject does the work of Delete. The first write also requires that check returns no error.
func (s *Service) deleteObject(
	ctx context.Context, by Caller, object authz.Object, check func(context.Context, *plan) error,
) (Done, error) {
	operation := deleteOperation(object)
	var state job.State
	done, err := s.run(ctx, by, operation, func(ctx context.Context, p *plan) (err error) {
		if p.isReplay {
			state, err = readDeletionState(ctx, p, object)
			return err
		}
		if err := check(ctx, p); err != nil {
			return err
		}
		refusal := requireDeletePermission(ctx, p, object)
		if authz.CodeOf(refusal) == authz.CodeNotFound {
			if state, err = readDeletionState(ctx, p, object); err == nil && state == job.Canceled {
				err = refusal
			}
			return err
		}
		if refusal != nil {
			return refusal
		}
		p.Touch(deletionOf(object), deletionRequestedBy, p.actor())
		state, err = cutOff(ctx, p, object)
		return err
	})
	if err != nil || state == job.Done {
		return done, err
	}
	// The request is a repetition, but its deletion was canceled: perform it as a new request.
	if state == job.Canceled {
		by.Idempotency = nil
		return s.deleteObject(ctx, by, object, check)
	}
	record := authz.Relationship{Resource: deletionOf(object), Relation: deletionRequestedBy, Subject: by.Actor.Subject()}
	ended, token, err := job.Run(ctx, s.engine, s.deletionJob(by, operation, record, state))
	if err != nil && hasCutOff(ended.State()) {
		err = accessEnded(err)
	}
	done.Token = token
	return done, err
}

// deleteOperation returns the name of the operation that deletes an object.
func deleteOperation(object authz.Object) string { return "delete_" + string(object.Type) }

// requireDeletePermission returns an error unless the actor may delete the object.
func requireDeletePermission(ctx context.Context, p *plan, object authz.Object) error {
	kind := kindOf(object.Type)
	if !kind.removeOnPlace {
		return requirePermission(ctx, p, object, kind.remove)
	}
	if _, err := readPermissions(ctx, p, object); err != nil {
		return err
	}
	place, err := readPlaceOf(ctx, p, object)
	if err != nil {
		return err
	}
	return requirePermission(ctx, p, place, kind.remove)
}

// readDeletion reads a deletion that the actor requested. It reports whether this deletion is under way or done.
func readDeletion(ctx context.Context, p *plan, deletion authz.Object) (under, done bool, err error) {
	actor := p.by.Actor.Object()
	found, err := p.FindSome(
		ctx, authz.Filter{Type: deletionType, ID: deletion.ID, SubjectType: actor.Type, SubjectID: actor.ID}, 0,
	)
	for _, r := range found {
		under = under || r.Relation == deletionRequestedBy
		done = done || r.Relation == deletionDone
	}
	return under, done, err
}

// readDeletionState reads the state of a deletion that the actor requested. It returns job.Canceled if no such
// deletion is stored.
func readDeletionState(ctx context.Context, p *plan, object authz.Object) (job.State, error) {
	switch under, done, err := readDeletion(ctx, p, deletionOf(object)); {
	case err != nil:
		return job.Canceled, err
	case under:
		return job.Requested, nil
	case done:
		return job.Done, nil
	}
	return job.Canceled, nil
}

// cutOff plans the cut-off: it deletes the object's own relationships, and thereby all access to the object and its
// contents. It returns the state of the deletion after the write: job.Cleaning, or job.Requested if the relationships
// do not fit the write.
func cutOff(ctx context.Context, p *plan, object authz.Object) (job.State, error) {
	if object.Type == serviceAccount {
		return job.Cleaning, cutOffServiceAccount(ctx, p, object)
	}
	if object.Type == authz.TypeGroup {
		return job.Cleaning, cutOffGroup(ctx, p, object)
	}
	own, err := p.FindSome(ctx, authz.Filter{Type: object.Type, ID: object.ID}, authz.MaxUpdates)
	if err != nil || len(own) > p.Room() {
		return job.Requested, err
	}
	for _, r := range own {
		p.Delete(r)
	}
	return job.Cleaning, nil
}

// refused reports whether an error says that the actor lacks the permission for the operation.
func refused(err error) bool {
	return errors.Is(err, authz.CodeForbidden) || errors.Is(err, authz.CodeNotFound)
}

// rememberPlaceLeft plans to store for a day that the actor, a person, left an object.
func rememberPlaceLeft(p *plan, object authz.Object) {
	p.Update(authz.Touch, authz.Relationship{
		Resource: leavingOf(object), Relation: deletionDone, Subject: p.actor(), ExpiresAt: p.now.Add(rememberFor),
	})
}

// leavePlace plans to store for a day that the actor, a person, left an object; the caller plans the removal of the
// roles. isDone is true if the actor holds no role on the object, and is a member of none of its groups. Then the
// actor left earlier, or has access only through another object. Then leavePlace only plans to withdraw the open
// invitations that the actor received or sent. leavePlace returns an error with CodeNotFound if the actor may not view
// the object.
func leavePlace(ctx context.Context, p *plan, object authz.Object) (isDone bool, err error) {
	held, err := readHeld(ctx, p, object, authz.Person(p.by.Actor.Person()))
	if err != nil {
		return false, err
	}
	memberships, err := readMembershipsIn(ctx, p, object, p.by.Actor.Person())
	if err != nil {
		return false, err
	}
	if len(held)+len(memberships) > 0 {
		rememberPlaceLeft(p, object)
		return false, nil
	}
	who := p.by.Actor.Person()
	if err := finishRemoval(ctx, p, who); err != nil {
		return false, err
	}
	_, isDone, err = readDeletion(ctx, p, leavingOf(object))
	if err == nil && !isDone {
		_, err = readPermissions(ctx, p, object)
	}
	if err != nil {
		return isDone, err
	}
	return true, withdrawOwn(ctx, p, who, object)
}

// withdrawOwn plans to withdraw the open invitations that an actor who holds no role on an account or subscription
// received or sent there.
func withdrawOwn(ctx context.Context, p *plan, who authz.ID, object authz.Object) error {
	subscription := object
	if object.Type == "account" {
		places, err := p.Find(ctx, placeFilter(object))
		if err != nil || len(places) == 0 { // the account was deleted, with the invitations to it
			return err
		}
		subscription = places[0].Subject.Object
	}
	return withdrawInvitations(ctx, p, []authz.ID{who}, object, subscription)
}
