package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// A removal may have to close more invitations than its first write can delete. The first write then stores that all of
// them are closed, and later writes delete them.

// withdraws returns a relationship that closes the open invitations that a person received or sent: those to the object
// from, and to the objects in it. It is stored while the person's offboarding is under way.
func withdraws(who authz.ID, from authz.Object) authz.Relationship {
	return authz.Relationship{Resource: offboardingObject(who), Relation: offboardingWithdraws, Subject: only(from)}
}

// requireInvitationsNotClosed requires as preconditions that no removal closes an invitation of these people to the
// account or subscription. It returns the people whose invitations a removal already closes.
func requireInvitationsNotClosed(
	ctx context.Context, p *plan, to authz.Object, people ...authz.ID,
) (closed []authz.ID, err error) {
	places, err := readClosingPlaces(ctx, p, to)
	if err != nil {
		return nil, err
	}
	removed, err := readPeopleBeingRemoved(ctx, p, places)
	for _, who := range people {
		if who == "" {
			continue
		}
		for _, place := range places {
			p.Forbid(authz.Exactly(withdraws(who, place)))
		}
		if removed[who] {
			closed = append(closed, who)
		}
	}
	return closed, err
}

// readClosingPlaces returns the objects from which a removal closes invitations to an account or subscription: this
// object, the subscription of the account, and the platform.
func readClosingPlaces(ctx context.Context, p *plan, to authz.Object) ([]authz.Object, error) {
	places := []authz.Object{to, platform}
	if to.Type != "account" {
		return places, nil
	}
	above, err := p.Find(ctx, authz.Filter{Type: to.Type, ID: to.ID, Relation: kindOf(to.Type).place})
	for _, r := range above {
		places = append(places, r.Subject.Object)
	}
	return places, err
}

// readPeopleBeingRemoved returns the people whose removal from one of the objects closes their invitations.
func readPeopleBeingRemoved(ctx context.Context, p *plan, places []authz.Object) (map[authz.ID]bool, error) {
	filters := make([]authz.Filter, len(places))
	for i, place := range places {
		filters[i] = authz.Filter{
			Type: offboardingType, Relation: offboardingWithdraws, SubjectType: place.Type, SubjectID: place.ID,
		}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return nil, err
	}
	removed := make(map[authz.ID]bool)
	for _, rows := range found {
		for _, r := range rows {
			removed[r.Resource.ID] = true
		}
	}
	return removed, nil
}

// isInvitationClosed reports whether a removal or a withdrawal of a group that is under way closes an invitation.
func isInvitationClosed(ctx context.Context, p *plan, stored storedInvitation) (bool, error) {
	if !stored.open() {
		return false, nil
	}
	closed, err := requireInvitationsNotClosed(ctx, p, stored.To, stored.Inviter.Person(), stored.Invitee)
	if err != nil || len(closed) > 0 {
		return true, err
	}
	lost, err := requireRolesOfInvited(ctx, p, stored.To, stored.Inviter.Person(), stored.Invitee)
	if err != nil {
		return false, err
	}
	return lost.closesInvitation(ctx, p, stored)
}

// requireRolesOfInvited is requireRolesThroughGroups for the account or subscription of an invitation, and for the
// subscription of the account.
func requireRolesOfInvited(ctx context.Context, p *plan, to authz.Object, people ...authz.ID) (lostRoles, error) {
	places, err := readClosingPlaces(ctx, p, to)
	if err != nil {
		return nil, err
	}
	places = slices.DeleteFunc(places, func(place authz.Object) bool { return place == platform })
	return requireRolesThroughGroups(ctx, p, places, people...)
}

// finishRemovalsBeforeInviting makes run finish each removal, and each withdrawal of a group, that closes invitations
// of the inviter or the invitee, before it plans the new invitation. If such a removal also reassigns creations,
// finishRemovalsBeforeInviting returns an error with CodeConflict instead.
func finishRemovalsBeforeInviting(ctx context.Context, p *plan, to authz.Object, people ...authz.ID) error {
	lost, err := requireRolesOfInvited(ctx, p, to, people...)
	if err != nil {
		return err
	}
	for _, who := range people {
		if closes, err := lost.closes(ctx, p, to, who); err != nil {
			return err
		} else if closes {
			return &underWayError{groups: lost.groups()}
		}
	}
	closed, err := requireInvitationsNotClosed(ctx, p, to, people...)
	if err != nil || len(closed) == 0 {
		return err
	}
	d, under, err := readOffboarding(ctx, p, closed[0])
	if err != nil || !under {
		return err
	}
	if d.reassigns() {
		return authz.Errorf(authz.CodeConflict, "%s is still being removed; try again shortly", d.who)
	}
	return waitForOffboarding(d)
}

// deleteClosedInvitations plans to delete the invitations that a person's offboarding closes, as many as fit the
// write.
func deleteClosedInvitations(ctx context.Context, p *plan, who authz.ID) error {
	closed, err := readWithdrawals(ctx, p, who)
	if err != nil || len(closed) == 0 {
		return err
	}
	places := make([]func(authz.Object) bool, len(closed))
	for i, r := range closed {
		if places[i], err = placesOfRemoval(ctx, p, r.Subject.Object); err != nil {
			return err
		}
	}
	handles, err := readInvitationsNaming(ctx, p, []authz.ID{who})
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(handles[0], readChunk) {
		open, err := filterOpen(ctx, p, chunk)
		if err != nil {
			return err
		}
		for _, stored := range open {
			if !slices.ContainsFunc(places, func(in func(authz.Object) bool) bool { return in(stored.To) }) {
				continue
			}
			if !fitsOffboarding(p, len(stored.found)+1) {
				return nil
			}
			deleteInvitation(p, stored)
		}
	}
	return nil
}

// readWithdrawals returns the stored relationships that close invitations of a person, see withdraws.
func readWithdrawals(ctx context.Context, p *plan, who authz.ID) ([]authz.Relationship, error) {
	return p.Find(ctx, authz.Filter{Type: offboardingType, ID: who, Relation: offboardingWithdraws})
}
