package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
)

// EraseUser removes every relationship of a person. What they created stays, without a creator, but for their private
// connections, which are disconnected. The backend itself performs it. The error is CodeConflict, with the subscriptions and
// accounts, while they are the last owner or administrator anywhere.
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

// eraseRemaining removes the relationships of every type that name a person without roles and creations, and reports
// whether there was anything. What is under way on behalf of the person is finished first.
func (s *Service) eraseRemaining(ctx context.Context, p *plan, by Caller, operation string, d offboarding) (more bool, err error) {
	rest := make(map[authz.Filter]bool)
	invitations := make(map[authz.ID]bool)
	for item, err := range s.engine.Read(ctx, authz.Filter{SubjectType: user, SubjectID: d.who}, p.Consistency(), authz.Page{}) {
		if err != nil {
			return false, err
		}
		r := item.Relationship
		switch {
		case r.Resource.Type == deletionType && r.Relation == deletionRequestedBy:
			if err := s.resumeDeletion(ctx, resumingCaller(r.Subject), deletedObject(r.Resource), r); err != nil && !errors.Is(err, authz.CodeConflict) {
				return false, err
			}
			more = true
		case r.Resource.Type == invitationType: // without a name in it, it would be for anybody, or from nobody
			invitations[r.Resource.ID] = true
		case r.Resource.Type == offboardingType:
			other, under, err := readOffboarding(ctx, p, r.Resource.ID)
			if err != nil {
				return false, err
			}
			if under {
				if _, err := s.runOffboarding(ctx, resumingCaller(other.requestedBy), operation, other); err != nil && !errors.Is(err, authz.CodeConflict) {
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
	for _, typ := range []authz.Type{inviteeType, removedType} { // whose id is that of the person
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
			if errors.Is(err, authz.ErrPrecondition) { // another ended it, as the next look tells
				return true, nil
			}
			return false, err
		}
		more = true
	}
	return more, nil
}
