package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
)

// EraseUser deletes every relationship of a person, with no actor. Their creations stay, without a creator, except
// for their private connections, which are disconnected. It returns an error with CodeConflict that lists
// subscriptions and accounts if the person is the last owner or administrator of any.
func (s *Service) EraseUser(ctx context.Context, by Caller, who authz.ID) (authz.Token, error) {
	backend := func(ctx context.Context, p *plan) (bool, error) {
		_, err := p.head(ctx)
		return false, err
	}
	return s.offboard(ctx, by, "erase_user", who, backend, func(ctx context.Context, p *plan) (*offboarding, error) {
		d := offboarding{who: who, from: platform, requestedBy: only(platform), private: disconnectsPrivate}
		named, err := p.FindSome(ctx, authz.Filter{SubjectType: user, SubjectID: who}, 1)
		if err != nil || len(named) == 0 {
			return nil, err
		}
		return &d, endRoles(ctx, p, d)
	})
}

// eraseRemaining deletes the remaining relationships of any type that name the person, after their roles and
// creations. It reports whether there were any. Deletions and offboardings that the person requested, or gets
// creations from, are finished first.
func (s *Service) eraseRemaining(
	ctx context.Context, p *plan, by Caller, operation string, d offboarding,
) (more bool, err error) {
	rest := make(map[authz.Filter]bool)
	invitations := make(map[authz.ID]bool)
	about := authz.Filter{SubjectType: user, SubjectID: d.who}
	for item, err := range s.engine.Read(ctx, about, p.Consistency(), authz.Page{}) {
		if err != nil {
			return false, err
		}
		r := item.Relationship
		switch {
		case r.Resource.Type == deletionType && r.Relation == deletionRequestedBy:
			err := s.resumeDeletion(ctx, resumingCaller(r.Subject), deletedObject(r.Resource), r)
			if err != nil && !errors.Is(err, authz.CodeConflict) {
				return false, err
			}
			more = true
		case r.Resource.Type == invitationType: // deleted as a whole: without the person it is malformed
			invitations[r.Resource.ID] = true
		case r.Resource.Type == offboardingType:
			other, under, err := readOffboarding(ctx, p, r.Resource.ID)
			if err != nil {
				return false, err
			}
			if under {
				_, err := s.runOffboarding(ctx, resumingCaller(other.requestedBy), operation, other)
				if err != nil && !errors.Is(err, authz.CodeConflict) {
					return false, err
				}
			}
			more = true
		default:
			rest[authz.Filter{Type: r.Resource.Type, Relation: r.Relation, SubjectType: user, SubjectID: d.who}] = true
		}
	}
	for handle := range invitations {
		rest[authz.Filter{Type: invitationType, ID: handle}] = true
		rest[authz.Filter{Type: inviteeType, Relation: inviteeLatest, SubjectType: invitationType, SubjectID: handle}] = true
	}
	for _, typ := range []authz.Type{inviteeType, removedType} { // objects with the person's id
		filter := authz.Filter{Type: typ, ID: d.who}
		found, err := p.FindSome(ctx, filter, 1)
		if err != nil {
			return false, err
		}
		if len(found) > 0 {
			rest[filter] = true
		}
	}
	for filter := range rest {
		if _, err := s.engine.DeleteAll(ctx, filter, p.Preconditions(), by.metadata(operation)); err != nil {
			if errors.Is(err, authz.ErrPrecondition) { // another request ended the offboarding: read again
				return true, nil
			}
			return false, err
		}
		more = true
	}
	return more, nil
}
