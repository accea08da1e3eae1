package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// Leftovers finds the relationships that an expired role left behind: connection shares and workspace memberships of
// the person, and open invitations that the person sent. They give nobody access. Operations that end a role delete
// them, but an expiry does not. Leftovers reads one state of an engine.
type Leftovers struct{ plan *plan }

// NewLeftovers returns the leftovers of the state at a token.
func NewLeftovers(engine Engine, at authz.Token) *Leftovers {
	return &Leftovers{newPlan(engine, Caller{}, tx.AtSnapshot(at))}
}

// MayHave reports whether a relationship of this type and relation can be a leftover.
func (l *Leftovers) MayHave(t authz.Type, relation authz.Relation) bool {
	return isNaming(t, relation) || t == invitationType || t == inviteeType
}

// isNaming reports whether a relation stores connection shares or workspace memberships.
func isNaming(t authz.Type, relation authz.Relation) bool {
	return slices.ContainsFunc(naming, func(f authz.Filter) bool { return f.Type == t && f.Relation == relation })
}

// Has reports whether a stored relationship is a leftover.
func (l *Leftovers) Has(ctx context.Context, r authz.Relationship) (bool, error) {
	switch {
	case isNaming(r.Resource.Type, r.Relation):
		account, found, err := l.placeOf(ctx, r.Resource)
		if err != nil || !found {
			return false, err
		}
		return l.isGone(ctx, r.Subject.Object, account)
	case r.Resource.Type == inviteeType:
		return l.isLeft(ctx, r.Subject.Object)
	case r.Resource.Type == invitationType:
		return l.isLeft(ctx, r.Resource)
	}
	return false, nil
}

// isLeft reports whether an invitation is open although its inviter no longer holds a role that allows sending it.
func (l *Leftovers) isLeft(ctx context.Context, invitation authz.Object) (bool, error) {
	found, err := l.plan.FindSome(ctx, authz.Filter{Type: invitationType, ID: invitation.ID}, 0)
	if err != nil {
		return false, err
	}
	stored := invitationOf(invitation.ID, found)
	if !stored.open() {
		return false, nil
	}
	places := []authz.Object{stored.To, platform}
	if stored.To.Type == "account" {
		subscription, found, err := l.placeOf(ctx, stored.To)
		if err != nil || !found {
			return false, err
		}
		places = append(places, subscription)
	}
	return l.isGone(ctx, stored.Inviter.Object(), places...)
}

// placeOf reads the object that contains the given one.
func (l *Leftovers) placeOf(ctx context.Context, object authz.Object) (place authz.Object, found bool, err error) {
	rows, err := l.plan.FindSome(
		ctx, authz.Filter{Type: object.Type, ID: object.ID, Relation: kindOf(object.Type).place}, 1,
	)
	if err != nil || len(rows) == 0 {
		return place, false, err
	}
	return rows[0].Subject.Object, true, nil
}

// isGone reports whether a person or service account holds no role on any of the places, and is not being removed.
func (l *Leftovers) isGone(ctx context.Context, who authz.Object, places ...authz.Object) (bool, error) {
	filters := []authz.Filter{{Type: offboardingType, ID: who.ID, Relation: offboardingFrom}}
	if who.Type == serviceAccount {
		filters[0] = authz.Filter{Type: deletionType, ID: deletionOf(who).ID, Relation: deletionRequestedBy}
	}
	for _, place := range places {
		objects, err := readRoleObjects(ctx, l.plan, place)
		if err != nil {
			return false, err
		}
		for _, object := range objects {
			filters = append(filters, rolesFilterOf(object, authz.Holder(who)))
		}
	}
	for _, filter := range filters {
		found, err := l.plan.FindSome(ctx, filter, 1)
		if err != nil || len(found) > 0 {
			return false, err
		}
	}
	return true, nil
}
