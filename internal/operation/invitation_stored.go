package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// An invitation is stored as an object whose id is its handle. All of its relationships expire. It is open while it
// has an inviter.
const (
	invitationType     authz.Type     = "invitation"
	invitedTo          authz.Relation = "place"
	invitedBy          authz.Relation = "inviter"
	invitationFor      authz.Relation = "invitee"
	invitationOffers   authz.Relation = "role"
	invitationAccepted authz.Relation = "accepted"
	invitationDeclined authz.Relation = "declined"

	roleType authz.Type = "role"

	// inviteeType has an object for each invited person, with the person's id. It refers to the newest invitation of
	// the person, see replaceInvitations.
	inviteeType   authz.Type     = "invitee"
	inviteeLatest authz.Relation = "latest"
)

// rows returns the relationships that store an open invitation.
func (i Invitation) rows() []authz.Relationship {
	invitee := everybody
	if i.Invitee != "" {
		invitee = person(i.Invitee)
	}
	object := authz.Object{Type: invitationType, ID: i.Handle}
	rows := []authz.Relationship{
		{Resource: object, Relation: invitedTo, Subject: only(i.To), ExpiresAt: i.ExpiresAt},
		{Resource: object, Relation: invitedBy, Subject: i.Inviter.Subject(), ExpiresAt: i.ExpiresAt},
		{Resource: object, Relation: invitationFor, Subject: invitee, ExpiresAt: i.ExpiresAt},
	}
	for _, role := range i.Roles {
		subject := only(authz.Object{Type: roleType, ID: authz.ID(role)})
		if !authz.IsBuiltInRole(role) {
			subject = only(authz.CustomRoleObject(i.subscription, authz.ID(role)))
		}
		rows = append(
			rows,
			authz.Relationship{Resource: object, Relation: invitationOffers, Subject: subject, ExpiresAt: i.ExpiresAt},
		)
	}
	return rows
}

// storedInvitation is an invitation as it was read.
type storedInvitation struct {
	Invitation
	found              []authz.Relationship
	anybody            bool // whether anybody who knows the secret may accept it
	accepted, declined authz.ID
}

// open reports whether the invitation is open.
func (i storedInvitation) open() bool { return i.Inviter != "" && i.To.ID != "" && len(i.Roles) > 0 }

// openTo reports whether the invitation is open and the person may accept it.
func (i storedInvitation) openTo(who authz.ID) bool {
	return i.open() && (i.anybody || i.Invitee != "" && i.Invitee == who)
}

// readInvitation reads an invitation. The result is empty if none is stored under the handle.
func readInvitation(ctx context.Context, p *plan, handle authz.ID) (storedInvitation, error) {
	found, err := p.Find(ctx, authz.Filter{Type: invitationType, ID: handle})
	return invitationOf(handle, found), err
}

// invitationOf returns the invitation that the relationships store.
func invitationOf(handle authz.ID, found []authz.Relationship) storedInvitation {
	stored := storedInvitation{Invitation: Invitation{Handle: handle, ExpiresAt: firstEnd(found)}, found: found}
	for _, r := range found {
		switch r.Relation {
		case invitedTo:
			stored.To = r.Subject.Object
		case invitedBy:
			stored.Inviter = authz.ActorOf(r.Subject.Object)
		case invitationFor:
			stored.Invitee, stored.anybody = r.Subject.ID, r.Subject.Wildcard
		case invitationOffers:
			stored.Roles = append(stored.Roles, offeredRole(r.Subject.Object))
		case invitationAccepted:
			stored.accepted = r.Subject.ID
		case invitationDeclined:
			stored.declined = r.Subject.ID
		}
	}
	slices.Sort(stored.Roles)
	return stored
}

// offeredRole returns the role that the subject of a relationship invitationOffers stands for.
func offeredRole(subject authz.Object) authz.Role {
	if _, id, isCustom := authz.SplitCustomRole(subject); isCustom {
		return authz.Role(id)
	}
	return authz.Role(subject.ID)
}

// customOf returns the custom roles among the roles.
func customOf(roles Roles) []authz.Role {
	return slices.DeleteFunc(slices.Clone(roles), authz.IsBuiltInRole)
}

// offersOfRole returns a filter for the relationships of open invitations that offer a custom role.
func offersOfRole(role authz.Object) authz.Filter {
	return authz.Filter{
		Type: invitationType, Relation: invitationOffers, SubjectType: role.Type, SubjectID: role.ID, SubjectPlain: true,
	}
}

// closeInvitation plans to close an open invitation, and requires as preconditions that it is unchanged. flag is the
// relation that stores, until the given time, that the actor accepted or declined it. After an acceptance, the built-in
// roles and their account or subscription stay stored as well. A withdrawal has no flag and stores nothing.
func closeInvitation(p *plan, stored storedInvitation, flag authz.Relation, until time.Time) {
	for _, r := range stored.found {
		p.Require(r)
		if flag == invitationAccepted && (r.Relation == invitedTo || r.Subject.Type == roleType) {
			r.ExpiresAt = until
			p.Update(authz.Touch, r)
		} else {
			p.Delete(r)
		}
	}
	if stored.Invitee != "" {
		p.Delete(latestInvitation(stored.Invitation))
	}
	if flag != "" {
		object := authz.Object{Type: invitationType, ID: stored.Handle}
		p.Update(
			authz.Touch, authz.Relationship{Resource: object, Relation: flag, Subject: p.actor(), ExpiresAt: until},
		)
	}
}

// readOpenInvitations reads the open invitations to a place, by their handles.
func readOpenInvitations(ctx context.Context, p *plan, to authz.Object) (map[authz.ID]Invitation, error) {
	places, err := p.Find(ctx, invitationsTo(to))
	if err != nil {
		return nil, err
	}
	filters := make([]authz.Filter, len(places))
	for i, r := range places {
		filters[i] = authz.Filter{Type: invitationType, ID: r.Resource.ID}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return nil, err
	}
	closing, err := readClosingPlaces(ctx, p, to)
	if err != nil {
		return nil, err
	}
	lost, err := readLostRoles(ctx, p, closing)
	if err != nil {
		return nil, err
	}
	removed, err := readPeopleBeingRemoved(ctx, p, closing)
	if err != nil {
		return nil, err
	}
	open := make(map[authz.ID]Invitation)
	for i, filter := range filters {
		stored := invitationOf(filter.ID, found[i])
		if !stored.open() || removed[stored.Inviter.Person()] || removed[stored.Invitee] {
			continue
		}
		closed, err := lost.closesInvitation(ctx, p, stored)
		if err != nil {
			return nil, err
		}
		if !closed {
			open[filter.ID] = stored.Invitation
		}
	}
	return open, nil
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
