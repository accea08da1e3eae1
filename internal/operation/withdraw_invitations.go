package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// latestInvitation returns the relationship from an invited person to their newest invitation.
func latestInvitation(i Invitation) authz.Relationship {
	return authz.Relationship{
		Resource: authz.Object{Type: inviteeType, ID: i.Invitee}, Relation: inviteeLatest,
		Subject: only(authz.Object{Type: invitationType, ID: i.Handle}),
	}
}

// requireLatestInvitation requires as a precondition that nobody else invites the person at the same time. It returns
// the stored relationship from the person to their newest invitation.
func requireLatestInvitation(ctx context.Context, p *plan, invitee authz.ID) ([]authz.Relationship, error) {
	filter := authz.Filter{Type: inviteeType, ID: invitee}
	latest, err := p.Find(ctx, filter)
	if len(latest) == 0 {
		p.Forbid(filter)
	}
	for _, r := range latest {
		p.Require(r)
	}
	return latest, err
}

// replaceInvitations plans to close every older invitation of the same invitee to the same account or subscription. If
// two people invite at the same time, one of the operations is retried. It returns an error with CodeForbidden if the
// actor may not withdraw an older invitation, so that nobody can reduce the offer of another inviter. The error reveals
// nothing hidden, since everybody who may invite may list the open invitations.
func replaceInvitations(ctx context.Context, p *plan, invitation Invitation, now time.Time) error {
	if invitation.Invitee == "" {
		return nil
	}
	latest, err := requireLatestInvitation(ctx, p, invitation.Invitee)
	if err != nil {
		return err
	}
	for _, r := range latest {
		p.Delete(r)
	}
	newest := latestInvitation(invitation)
	newest.ExpiresAt = now.Add(rememberFor)
	p.Update(authz.Touch, newest)
	invited := authz.Filter{
		Type:        invitationType,
		Relation:    invitationFor,
		SubjectType: user,
		SubjectID:   invitation.Invitee,
	}
	rows, err := p.Find(ctx, invited)
	if err != nil {
		return err
	}
	older, err := filterOpen(ctx, p, handlesIn(rows))
	if err != nil {
		return err
	}
	for _, stored := range older {
		if stored.To != invitation.To {
			continue
		}
		if err := requireMayWithdraw(ctx, p, stored); err != nil {
			return err
		}
		closeInvitation(p, stored, "", time.Time{})
	}
	return nil
}

// requireMayWithdraw returns an error with CodeForbidden unless the actor may withdraw an invitation to replace it.
func requireMayWithdraw(ctx context.Context, p *plan, stored storedInvitation) error {
	if stored.Inviter == p.by.Actor {
		return nil
	}
	needed := kindOf(stored.To.Type).withdraw
	g, err := readPermissions(ctx, p, stored.To, needed)
	if err == nil && !g.allowed[needed] {
		err = lacks(
			needed,
			"%s has an open invitation to %s that somebody else made; replacing it needs the permission %s, which %s lacks",
			stored.Invitee, stored.To, needed, p.by.Actor,
		)
	}
	return err
}

// withdrawal ends the open invitations that a person received or sent: those to the object from and, if this is a
// subscription, those to its accounts.
type withdrawal struct {
	who  authz.ID
	from authz.Object
	// subscription is from, or the subscription that contains it.
	subscription authz.Object
	open         []storedInvitation
	// many is set if there are too many invitations to read before the write, see mostReadFirst.
	many bool
}

// size returns how many updates the withdrawal needs.
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
	// maxGuardedMemberships is the highest number of removed people for whom one write requires as preconditions that
	// nobody invites them at the same time. A write with more people could not hold the preconditions.
	maxGuardedMemberships = 20

	// mostReadFirst is the highest number of invitations, received and sent, that are read before a person is removed.
	// If there are more, they would not fit the removal's write, and are read after it.
	mostReadFirst = 200

	// mostReadByPlan is the same limit for all people that one write removes.
	mostReadByPlan = 10 * mostReadFirst

	// maxRowsOfInvitation is how many relationships of one invitation can name the same person.
	maxRowsOfInvitation = 4
)

// withdrawInvitations plans to close every open invitation of people who are being removed, received or sent, see
// endSharesAndInvitations. It also closes invitations of other inviters that the actor could not withdraw directly.
func withdrawInvitations(ctx context.Context, p *plan, people []authz.ID, from, subscription authz.Object) error {
	if len(people) == 0 {
		return nil
	}
	in, err := placesOfRemoval(ctx, p, from)
	if err != nil {
		return err
	}
	if len(people) <= maxGuardedMemberships {
		for _, who := range people {
			if err := requireNoneInvited(ctx, p, who); err != nil {
				return err
			}
		}
	}
	filters := make([]authz.Filter, len(people))
	for i, who := range people {
		filters[i] = invitationsNaming(who)
	}
	found, err := p.FindSomeOfEach(ctx, filters, maxRowsOfInvitation*mostReadFirst+1)
	if err != nil {
		return err
	}
	for i, who := range people {
		handles := handlesIn(found[i])
		many := len(handles) > mostReadFirst || len(found[i]) > maxRowsOfInvitation*mostReadFirst ||
			len(handles) > 0 && p.invitationsRead+len(handles) > mostReadByPlan
		w := withdrawal{who: who, from: from, subscription: subscription, many: many}
		if !w.many {
			p.invitationsRead += len(handles)
			open, err := filterOpen(ctx, p, handles)
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

// withdrawFirst is for a person who stops being the owner of a subscription and holds no other role on it. It plans to
// withdraw the open invitations that the person received or sent: those to the subscription, and those to its accounts
// on which the person holds no role. If they do not fit the operation's write, earlier writes withdraw them.
func withdrawFirst(ctx context.Context, p *plan, who authz.ID, from authz.Object) error {
	if err := requireNoneInvited(ctx, p, who); err != nil {
		return err
	}
	in, err := accountsOfPlace(ctx, p, from)
	if err != nil {
		return err
	}
	if in, err = accountsWithoutRole(ctx, p, who, in); err != nil {
		return err
	}
	return withdrawTo(
		ctx, p, who, func(to authz.Object) bool { return to == from || to.Type == "account" && in(to.ID) },
	)
}

// withdrawFromMembership is for a person whose membership of a subscription ends with their last role on an account. It
// plans to withdraw the open invitations to the subscription that the person received or sent, but not those to its
// accounts. If they do not fit the operation's write, earlier writes withdraw them.
func withdrawFromMembership(ctx context.Context, p *plan, who authz.ID, subscription authz.Object) error {
	if p.memberships++; p.memberships <= maxGuardedMemberships {
		if err := requireNoneInvited(ctx, p, who); err != nil {
			return err
		}
	}
	return withdrawTo(ctx, p, who, func(to authz.Object) bool { return to == subscription })
}

// withdrawTo plans to withdraw the open invitations that a person received or sent, to the objects for which in returns
// true. If they do not fit the operation's write, earlier writes withdraw them.
func withdrawTo(ctx context.Context, p *plan, who authz.ID, in func(to authz.Object) bool) error {
	handles, err := readInvitationsNaming(ctx, p, []authz.ID{who})
	if err != nil {
		return err
	}
	open, err := filterOpen(ctx, p, handles[0])
	for _, stored := range open {
		if in(stored.To) {
			p.DeleteFirst(deletedWith(stored))
		}
	}
	return err
}

// invitationsNaming returns a filter for the relationships of invitations that name a person.
func invitationsNaming(who authz.ID) authz.Filter {
	return authz.Filter{Type: invitationType, SubjectType: user, SubjectID: who}
}

// readInvitationsNaming returns, for each of the people, the sorted handles of the stored invitations that they
// received or sent.
func readInvitationsNaming(ctx context.Context, p *plan, people []authz.ID) ([][]authz.ID, error) {
	filters := make([]authz.Filter, len(people))
	for i, who := range people {
		filters[i] = invitationsNaming(who)
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return nil, err
	}
	handles := make([][]authz.ID, len(people))
	for i, rows := range found {
		handles[i] = handlesIn(rows)
	}
	return handles, nil
}

// handlesIn returns the sorted handles of the invitations whose inviter or invitee is among the relationships.
func handlesIn(rows []authz.Relationship) []authz.ID {
	handles := make(map[authz.ID]bool)
	for _, r := range rows {
		if r.Relation == invitedBy || r.Relation == invitationFor {
			handles[r.Resource.ID] = true
		}
	}
	return sortedKeys(handles)
}

// filterOpen returns those of the invitations that are open.
func filterOpen(ctx context.Context, p *plan, handles []authz.ID) ([]storedInvitation, error) {
	filters := make([]authz.Filter, len(handles))
	for i, handle := range handles {
		filters[i] = authz.Filter{Type: invitationType, ID: handle}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return nil, err
	}
	var open []storedInvitation
	for i, filter := range filters {
		if stored := invitationOf(filter.ID, found[i]); stored.open() {
			open = append(open, stored)
		}
	}
	return open, nil
}

// deletedWith returns the relationships that withdrawing an invitation deletes, without their expiry.
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

// deleteInvitation plans to delete an invitation.
func deleteInvitation(p *plan, stored storedInvitation) {
	for _, r := range deletedWith(stored) {
		p.Delete(r)
	}
}

// requireNoneInvited requires as preconditions that nobody invites the person at the same time. If the person has
// invited nobody yet, it also requires that they invite nobody at the same time.
func requireNoneInvited(ctx context.Context, p *plan, who authz.ID) error {
	inviting := invitationsBy(who)
	invited, err := p.FindSome(ctx, inviting, 1)
	if err != nil {
		return err
	}
	if len(invited) == 0 {
		p.Forbid(inviting)
	}
	_, err = requireLatestInvitation(ctx, p, who)
	return err
}

// placesOfRemoval returns a function that reports whether a removal from the given object also withdraws invitations to
// another object.
func placesOfRemoval(ctx context.Context, p *plan, place authz.Object) (func(authz.Object) bool, error) {
	if place == platform {
		return func(authz.Object) bool { return true }, nil
	}
	in, err := accountsOfPlace(ctx, p, place)
	return func(to authz.Object) bool { return to == place || to.Type == "account" && in(to.ID) }, err
}
