package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// A removal whose invitations do not fit its first write stores there that all of them are closed. The writes after
// it delete them.

// withdraws is the relationship that closes the invitations to and by a person whose departure is under way, to a
// place and to what is in it.
func withdraws(who authz.ID, from authz.Object) authz.Relationship {
	return authz.Relationship{Resource: departureOf(who), Relation: departureWithdraws, Subject: only(from)}
}

// requireNotClosed adds the precondition that no removal closes the invitations to a place to or by people, and
// returns those of the people whose removal does.
func (p *plan) requireNotClosed(
	ctx context.Context, to authz.Object, people ...authz.ID,
) (closed []authz.ID, err error) {
	places, err := p.closingPlaces(ctx, to)
	if err != nil {
		return nil, err
	}
	removed, err := p.closing(ctx, places)
	for _, who := range people {
		if who == "" {
			continue
		}
		for _, place := range places {
			p.forbid(authz.Exactly(withdraws(who, place)))
		}
		if removed[who] {
			closed = append(closed, who)
		}
	}
	return closed, err
}

// closingPlaces returns the places whose removals close the invitations to a place.
func (p *plan) closingPlaces(ctx context.Context, to authz.Object) ([]authz.Object, error) {
	places := []authz.Object{to, platform}
	if to.Type != "account" {
		return places, nil
	}
	above, err := p.find(ctx, authz.Filter{Type: to.Type, ID: to.ID, Relation: kindOf(to.Type).place})
	for _, r := range above {
		places = append(places, r.Subject.Object)
	}
	return places, err
}

// closing returns the people who are being removed from one of the places.
func (p *plan) closing(ctx context.Context, places []authz.Object) (map[authz.ID]bool, error) {
	filters := make([]authz.Filter, len(places))
	for i, place := range places {
		filters[i] = authz.Filter{
			Type: departureType, Relation: departureWithdraws, SubjectType: place.Type, SubjectID: place.ID,
		}
	}
	if err := p.findAll(ctx, filters); err != nil {
		return nil, err
	}
	removed := make(map[authz.ID]bool)
	for _, filter := range filters {
		for _, r := range p.reads[filter] {
			removed[r.Resource.ID] = true
		}
	}
	return removed, nil
}

// isClosed reports whether a removal closes an invitation.
func (p *plan) isClosed(ctx context.Context, stored storedInvitation) (bool, error) {
	if !stored.open() {
		return false, nil
	}
	closed, err := p.requireNotClosed(ctx, stored.To, stored.Inviter, stored.Invitee)
	return len(closed) > 0, err
}

// waitToInvite has the removal finished of an inviter or invitee whose invitations to a place are closed. The error is
// CodeConflict if it reassigns what they created.
func (p *plan) waitToInvite(ctx context.Context, to authz.Object, people ...authz.ID) error {
	closed, err := p.requireNotClosed(ctx, to, people...)
	if err != nil || len(closed) == 0 {
		return err
	}
	d, under, err := p.departure(ctx, closed[0])
	if err != nil || !under {
		return err
	}
	if d.reassigns() {
		return authz.Errorf(authz.CodeConflict, "%s is still being removed; try again shortly", d.who)
	}
	return p.waitFor(d)
}

// endInvitations plans the deletion of the invitations that the departure of a person closes, as far as there is room.
func (p *plan) endInvitations(ctx context.Context, who authz.ID) error {
	closed, err := p.withdrawnFrom(ctx, who)
	if err != nil || len(closed) == 0 {
		return err
	}
	places := make([]func(authz.Object) bool, len(closed))
	for i, r := range closed {
		if places[i], err = p.placesFrom(ctx, r.Subject.Object); err != nil {
			return err
		}
	}
	handles, err := p.invitationsNaming(ctx, []authz.ID{who})
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(handles[0], lookChunk) {
		open, err := p.openOf(ctx, chunk)
		if err != nil {
			return err
		}
		for _, stored := range open {
			if !slices.ContainsFunc(places, func(in func(authz.Object) bool) bool { return in(stored.To) }) {
				continue
			}
			if !p.fits(len(stored.found) + 1) {
				return nil
			}
			p.deleteInvitation(stored)
		}
	}
	return nil
}

// withdrawnFrom returns the relationships that close the invitations to and by a person.
func (p *plan) withdrawnFrom(ctx context.Context, who authz.ID) ([]authz.Relationship, error) {
	return p.find(ctx, authz.Filter{Type: departureType, ID: who, Relation: departureWithdraws})
}
