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
// invitations at once, one comes after the other. The error is CodeForbidden if the actor may not withdraw an older one: nobody
// takes away what others offer by offering less. It names nothing hidden, as everybody who may invite may list the invitations.
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
	invited := authz.Filter{Type: invitationType, Relation: invitationFor, SubjectType: user, SubjectID: invitation.Invitee}
	rows, err := p.find(ctx, invited)
	if err != nil {
		return err
	}
	older, err := p.openOf(ctx, handlesIn(rows))
	if err != nil {
		return err
	}
	for _, stored := range older {
		if stored.To != invitation.To {
			continue
		}
		if err := p.mayWithdraw(ctx, stored); err != nil {
			return err
		}
		p.closeInvitation(stored, "", time.Time{})
	}
	return nil
}

// mayWithdraw returns an error with CodeForbidden unless the actor may withdraw an invitation to replace it.
func (p *plan) mayWithdraw(ctx context.Context, stored storedInvitation) error {
	if stored.Inviter == p.by.Actor {
		return nil
	}
	needed := kindOf(stored.To.Type).withdraw
	g, err := p.permissions(ctx, stored.To, needed)
	if err == nil && !g.allowed[needed] {
		err = lacks(needed, "%s has an open invitation to %s that somebody else made; replacing it needs the permission %s, which %s lacks",
			stored.Invitee, stored.To, needed, p.by.Actor)
	}
	return err
}

// withdrawal is the end of the open invitations to and by a person to a place and, if it is a subscription, to its accounts.
type withdrawal struct {
	who          authz.ID
	from         authz.Object
	subscription authz.Object // from, or what from is in
	open         []storedInvitation
	many         bool // they are not read before the write, see mostReadFirst
}

// size is how many updates deleting the invitations takes.
func (w withdrawal) size() int {
	if w.many {
		return authz.MaxUpdates
	}
	size := 0
	for _, stored := range w.open {
		size += len(stored.found) + 1
	}
	return size
}

const (
	// mostGuarded is of how many people, who are removed at once, the write requires that nobody invites them in the meantime.
	// Of more it would take too many preconditions.
	mostGuarded = 20

	// mostReadFirst is how many invitations to and by a person are read before they are removed. More would not fit the write,
	// and are read after it.
	mostReadFirst = 200
)

// withdrawInvitations plans that every open invitation to or by people ends who are removed from a place, see endRest. It
// also withdraws those that others made and that the actor may not withdraw otherwise.
func (p *plan) withdrawInvitations(ctx context.Context, people []authz.ID, from, subscription authz.Object) error {
	if len(people) == 0 {
		return nil
	}
	in, err := p.placesFrom(ctx, from)
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
	handles, err := p.invitationsNaming(ctx, people)
	if err != nil {
		return err
	}
	for i, who := range people {
		w := withdrawal{who: who, from: from, subscription: subscription, many: len(handles[i]) > mostReadFirst}
		if !w.many {
			open, err := p.openOf(ctx, handles[i])
			if err != nil {
				return err
			}
			w.open = slices.DeleteFunc(open, func(stored storedInvitation) bool { return !in(stored.To) })
		}
		if w.many || len(w.open) > 0 {
			p.withdrawing = append(p.withdrawing, w)
		}
	}
	return nil
}

// withdrawFirst plans the end of the open invitations to and by somebody who stops being the owner of a subscription and holds no
// other role on it: those to the subscription, and to its accounts on which they hold no role. If they do not fit the write that
// does it, they end in writes before.
func (p *plan) withdrawFirst(ctx context.Context, who authz.ID, from authz.Object) error {
	if err := p.requireNoneInvited(ctx, who); err != nil {
		return err
	}
	in, err := p.accountsFrom(ctx, from)
	if err != nil {
		return err
	}
	if in, err = p.withoutRole(ctx, who, in); err != nil {
		return err
	}
	return p.withdrawTo(ctx, who, func(to authz.Object) bool { return to == from || to.Type == "account" && in(to.ID) })
}

// withdrawFromMembership plans the end of the open invitations to a subscription to and by somebody whose membership of it ends
// with their last role on an account. Those to its accounts stay. If they do not fit the write that does it, they end in writes
// before.
func (p *plan) withdrawFromMembership(ctx context.Context, who authz.ID, subscription authz.Object) error {
	if p.memberships++; p.memberships <= mostGuarded {
		if err := p.requireNoneInvited(ctx, who); err != nil {
			return err
		}
	}
	return p.withdrawTo(ctx, who, func(to authz.Object) bool { return to == subscription })
}

// withdrawTo plans the end of the open invitations to and by a person to some places, in writes before the plan's if it does not
// hold them.
func (p *plan) withdrawTo(ctx context.Context, who authz.ID, in func(to authz.Object) bool) error {
	handles, err := p.invitationsNaming(ctx, []authz.ID{who})
	if err != nil {
		return err
	}
	open, err := p.openOf(ctx, handles[0])
	for _, stored := range open {
		if in(stored.To) {
			p.first = append(p.first, deletedWith(stored))
		}
	}
	return err
}

// withdrawLeft plans the end of the open invitations to an account by people who are given a first role on it: a role that
// ended by itself left them behind, and they are not to come back with the role. Those of people who may invite without a role
// stay. If they do not fit the write, they end in writes before.
func (p *plan) withdrawLeft(ctx context.Context, people []authz.ID, account authz.Object) error {
	filters := make([]authz.Filter, len(people))
	for i, who := range people {
		filters[i] = authz.Filter{Type: invitationType, Relation: invitedBy, SubjectType: user, SubjectID: who}
	}
	if err := p.findAll(ctx, filters); err != nil {
		return err
	}
	for i, who := range people {
		open, err := p.openOf(ctx, handlesIn(p.reads[filters[i]]))
		if err != nil {
			return err
		}
		open = slices.DeleteFunc(open, func(stored storedInvitation) bool { return stored.To != account })
		if len(open) == 0 {
			continue
		}
		invites, err := p.decide(ctx, []authz.Check{{Subject: person(who), Permission: "invite_members", Resource: account}})
		if err != nil {
			return err
		}
		if invites[0] {
			continue
		}
		for _, stored := range open {
			p.first = append(p.first, deletedWith(stored))
		}
	}
	return nil
}

// invitationsNaming returns the handles of the invitations to and by each of the people, open or being made, sorted.
func (p *plan) invitationsNaming(ctx context.Context, people []authz.ID) ([][]authz.ID, error) {
	filters := make([]authz.Filter, len(people))
	for i, who := range people {
		filters[i] = authz.Filter{Type: invitationType, SubjectType: user, SubjectID: who}
	}
	if err := p.findAll(ctx, filters); err != nil {
		return nil, err
	}
	handles := make([][]authz.ID, len(people))
	for i, filter := range filters {
		handles[i] = handlesIn(p.reads[filter])
	}
	return handles, nil
}

// handlesIn returns the handles of the invitations that name an inviter or invitee in the relationships, sorted.
func handlesIn(rows []authz.Relationship) []authz.ID {
	handles := make(map[authz.ID]bool)
	for _, r := range rows {
		if r.Relation == invitedBy || r.Relation == invitationFor {
			handles[r.Resource.ID] = true
		}
	}
	return sortedKeys(handles)
}

// openOf returns those of the invitations that are open.
func (p *plan) openOf(ctx context.Context, handles []authz.ID) ([]storedInvitation, error) {
	filters := make([]authz.Filter, len(handles))
	for i, handle := range handles {
		filters[i] = authz.Filter{Type: invitationType, ID: handle}
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

// deletedWith returns the relationships of an invitation, without their ends, that go when it is withdrawn.
func deletedWith(stored storedInvitation) []authz.Relationship {
	rows := slices.Clone(stored.found)
	if stored.Invitee != "" {
		rows = append(rows, latestInvitation(stored.Invitation))
	}
	for i := range rows {
		rows[i].ExpiresAt = time.Time{}
	}
	return rows
}

func (p *plan) deleteInvitation(stored storedInvitation) {
	for _, r := range deletedWith(stored) {
		p.delete(r)
	}
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
	if place == platform {
		return func(authz.Object) bool { return true }, nil
	}
	in, err := p.accountsFrom(ctx, place)
	return func(to authz.Object) bool { return to == place || to.Type == "account" && in(to.ID) }, err
}
