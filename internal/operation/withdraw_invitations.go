package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// latestInvitation is the relationship from an invited person to their newest invitation.
func latestInvitation(i Invitation) authz.Relationship {
	return authz.Relationship{
		Resource: authz.Object{Type: inviteeType, ID: i.Invitee}, Relation: inviteeLatest,
		Subject: only(authz.Object{Type: invitationType, ID: i.Handle}),
	}
}

// requireLatest adds the precondition that nobody invites the person in the meantime, and returns the newest invitation that
// is stored.
func (p *plan) requireLatest(ctx context.Context, invitee authz.ID) ([]authz.Relationship, error) {
	filter := authz.Filter{Type: inviteeType, ID: invitee}
	latest, err := p.find(ctx, filter)
	if len(latest) == 0 {
		p.forbid(filter)
	}
	for _, r := range latest {
		p.require(r)
	}
	return latest, err
}

// replaceInvitations plans that an invitation of one person ends every older one of theirs to the same place. Of two
// invitations at once, one comes after the other.
func (p *plan) replaceInvitations(ctx context.Context, invitation Invitation, now time.Time) error {
	if invitation.Invitee == "" {
		return nil
	}
	latest, err := p.requireLatest(ctx, invitation.Invitee)
	if err != nil {
		return err
	}
	for _, r := range latest {
		p.delete(r)
	}
	newest := latestInvitation(invitation)
	newest.ExpiresAt = now.Add(remembered)
	p.update(authz.Touch, newest)
	older, err := p.invitationsNaming(ctx, []authz.ID{invitation.Invitee})
	if err != nil {
		return err
	}
	for _, stored := range older {
		if stored.To == invitation.To && stored.Invitee == invitation.Invitee {
			p.closeInvitation(stored, "", time.Time{})
		}
	}
	return nil
}

// invitationsNaming reads the open invitations to and by people, sorted by handle.
func (p *plan) invitationsNaming(ctx context.Context, people []authz.ID) ([]storedInvitation, error) {
	byPerson := make([]authz.Filter, len(people))
	for i, who := range people {
		byPerson[i] = authz.Filter{Type: invitationType, SubjectType: user, SubjectID: who}
	}
	if err := p.findAll(ctx, byPerson); err != nil {
		return nil, err
	}
	handles := make(map[authz.ID]bool)
	for _, filter := range byPerson {
		for _, r := range p.reads[filter] {
			if r.Relation == invitedBy || r.Relation == invitationFor {
				handles[r.Resource.ID] = true
			}
		}
	}
	var filters []authz.Filter
	for _, handle := range sortedKeys(handles) {
		filters = append(filters, authz.Filter{Type: invitationType, ID: handle})
	}
	if err := p.findAll(ctx, filters); err != nil {
		return nil, err
	}
	var open []storedInvitation
	for _, filter := range filters {
		if stored := invitationOf(filter.ID, p.reads[filter]); stored.open() {
			open = append(open, stored)
		}
	}
	return open, nil
}

// Of as many people who are removed at once, the write requires that nobody invites them in the meantime; of more it would
// take too many preconditions. Up to as many invitations are removed with all that they hold; of more, each ends and the rest
// of it expires.
const (
	mostGuarded   = 20
	mostCleanedUp = 50
)

// withdrawInvitations plans that every open invitation to or by people ends who are removed from places. It withdraws those
// that others made, too, whatever the actor may withdraw otherwise.
func (p *plan) withdrawInvitations(ctx context.Context, people []authz.ID, from func(authz.Object) bool) error {
	if len(people) == 0 {
		return nil
	}
	open, err := p.invitationsNaming(ctx, people)
	if err != nil {
		return err
	}
	if len(people) <= mostGuarded {
		for _, who := range people {
			if err := p.requireNoneInvited(ctx, who); err != nil {
				return err
			}
		}
	}
	open = slices.DeleteFunc(open, func(stored storedInvitation) bool { return !from(stored.To) })
	for _, stored := range open {
		for _, r := range stored.found {
			if r.Relation == invitedBy || len(open) <= mostCleanedUp {
				p.delete(r)
			}
		}
		if stored.Invitee != "" {
			p.delete(latestInvitation(stored.Invitation))
		}
	}
	return nil
}

// requireNoneInvited adds the preconditions that nobody invites the person in the meantime, and that they invite nobody if
// they have invited nobody yet.
func (p *plan) requireNoneInvited(ctx context.Context, who authz.ID) error {
	inviting := authz.Filter{Type: invitationType, Relation: invitedBy, SubjectType: user, SubjectID: who}
	invited, err := p.find(ctx, inviting)
	if err != nil {
		return err
	}
	if len(invited) == 0 {
		p.forbid(inviting)
	}
	_, err = p.requireLatest(ctx, who)
	return err
}

// placesFrom returns which places people lose their invitations of who are removed from an account or a subscription.
func (p *plan) placesFrom(ctx context.Context, place authz.Object) (func(authz.Object) bool, error) {
	in, err := p.accountsFrom(ctx, place)
	return func(to authz.Object) bool { return to == place || to.Type == "account" && in(to.ID) }, err
}
