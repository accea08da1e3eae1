package operation

import (
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// endShares are connection shares and workspace memberships that an operation deletes: those of one person in an
// account, or in the accounts of a subscription.
type endShares struct {
	who authz.ID
	// from is the account, or the subscription that has the accounts.
	from authz.Object
	// subscription is from, or the subscription that contains it.
	subscription authz.Object
	arrives      bool
	rows         []authz.Relationship
	// many is set if one write cannot delete the relationships: there are too many to read before the write, or the
	// deletion needs too many preconditions.
	many bool
}

// size returns how many updates the deletion needs.
func (e endShares) size() int {
	if e.many {
		return authz.MaxUpdates
	}
	return len(e.rows)
}

// endNamed plans to delete the person's connection shares and workspace memberships in the account. It runs if the
// person leaves or is removed, even if their role has already expired. It also runs if the person gets their first
// role, since an expired role may have left shares behind. If they have a role through a group, their shares count and
// stay.
func endNamed(ctx context.Context, p *plan, c roleChange, account accountFacts) error {
	if c.arrives() {
		through, err := readGroupRoles(ctx, p, account.object, c.who)
		if err != nil {
			return err
		}
		if len(through) > 0 {
			p.Require(through[0].role)
			p.Require(through[0].membership)
			return nil
		}
	}
	ends := endShares{
		who: c.who, from: account.object, subscription: account.subscription.object, arrives: c.arrives(),
	}
	switch {
	case c.ends():
		p.endsRoles = true
	case c.isEmpty() && !p.isReplay: // endSharesAndInvitations reads them
		p.leftovers = append(p.leftovers, ends)
		return nil
	}
	return ends.addAll(ctx, p, c.ends())
}

// addAll plans to delete the person's shares and workspace memberships in the account. endsRoles is documented at
// read.
func (e *endShares) addAll(ctx context.Context, p *plan, endsRoles bool) error {
	f := formerMember{e.who, e.from}
	isNamed, err := e.read(ctx, p, f.in, endsRoles)
	if err == nil && !e.arrives {
		excludeNaming(p, f, isNamed)
	}
	return err
}

// endNamedWithoutRole plans to delete the person's shares and workspace memberships in accounts of the subscription
// where they hold no role. Expired roles left these behind. holds says whether the plan ends roles of the person.
func endNamedWithoutRole(ctx context.Context, p *plan, who authz.ID, subscription authz.Object, holds bool) error {
	in, err := accountsOfPlace(ctx, p, subscription)
	if err != nil {
		return err
	}
	without, err := accountsWithoutRole(ctx, p, who, in)
	if err != nil {
		return err
	}
	accounts := make(map[authz.ID]bool)
	ends := endShares{who: who, from: subscription, subscription: subscription}
	_, err = ends.read(ctx, p, func(id authz.ID) bool {
		accounts[id] = without(id)
		return accounts[id]
	}, holds)
	if err != nil {
		return err
	}
	maps.DeleteFunc(accounts, func(_ authz.ID, isWithout bool) bool { return !isWithout })
	if len(accounts) > maxRolesAtOnce { // too many preconditions
		p.ending[len(p.ending)-1].many = true
		return nil
	}
	for _, id := range sortedKeys(accounts) {
		if err := forbidHeld(ctx, p, accountObject(id), who); err != nil {
			return err
		}
	}
	return nil
}

// read reads the person's shares and workspace memberships in the accounts for which in returns true. It adds them to
// e, and e to the plan. It reports whether the person has any, in any account.
//
// If endsRoles is set, read reads a bounded number, see readNamedFirst, since access must end soon. Otherwise it
// reads until it finds more than one write can delete.
func (e *endShares) read(
	ctx context.Context, p *plan, in func(authz.ID) bool, endsRoles bool,
) (isNamed bool, err error) {
	if endsRoles {
		named, err := readNamedFirst(ctx, p, e.who)
		if err != nil {
			return false, err
		}
		for i, r := range named.rows {
			if in(named.accounts[i]) {
				e.rows = append(e.rows, r)
			}
		}
		e.many, isNamed = named.many, named.many || len(named.rows) > 0
	} else {
		err := forEachNamed(ctx, p, e.who, func(id authz.ID) bool { isNamed = true; return in(id) },
			func(r authz.Relationship) bool {
				e.rows = append(e.rows, r)
				return len(e.rows) < authz.MaxUpdates
			})
		if err != nil {
			return false, err
		}
	}
	if e.many || len(e.rows) > 0 {
		p.ending = append(p.ending, *e)
	}
	return isNamed, nil
}

// completePlan adds to the plan the updates that follow from its changes of roles.
func completePlan(ctx context.Context, p *plan) error {
	if err := settleMemberships(ctx, p); err != nil {
		return err
	}
	return endSharesAndInvitations(ctx, p)
}

// endSharesAndInvitations plans to delete shares and invitations. If they do not fit one write, the write ends the
// roles and stores that an offboarding is under way; the offboarding deletes the rest later. Until it has ended, the
// shares give no access without a role, the invitations are closed, and the person gets no new role.
func endSharesAndInvitations(ctx context.Context, p *plan) error {
	// The offboarding that this plan begins deletes the shares and invitations.
	if len(p.offboardings) > 0 {
		return nil
	}
	for _, ends := range p.leftovers {
		if err := ends.addAll(ctx, p, p.endsRoles); err != nil {
			return err
		}
	}
	left := len(p.Updates())
	for _, ends := range p.ending {
		left += ends.size()
	}
	for _, w := range p.withdrawing {
		left += w.size()
	}
	if left < authz.MaxUpdates { // one update stores the idempotency key
		for _, ends := range p.ending {
			for _, r := range ends.rows {
				p.Delete(r)
			}
		}
		for _, w := range p.withdrawing {
			for _, stored := range w.open {
				deleteInvitation(p, stored)
			}
		}
		return nil
	}
	offboardings, err := readEndingOffboardings(ctx, p)
	if err != nil {
		return err
	}
	for _, d := range offboardings {
		if p.isRetry {
			if err := finishOffboardingOf(ctx, p, d.who); err != nil {
				return err
			}
		}
		p.Forbid(authz.Filter{Type: offboardingType, ID: d.who})
		var closes []authz.Object
		for _, w := range p.withdrawing {
			if w.who == d.who {
				closes = append(closes, w.from)
			}
		}
		startOffboarding(p, d, closes...)
	}
	// An offboarding also deletes the shares that were written between the read and the write of the plan.
	p.formerMembers = slices.DeleteFunc(p.formerMembers, func(f formerMember) bool {
		return slices.ContainsFunc(offboardings, func(d offboarding) bool { return d.who == f.who })
	})
	return nil
}

// readEndingOffboardings returns the offboardings that delete the shares and invitations, one for each person. An
// operation that gives a person their first role must wait for the offboarding of this person.
func readEndingOffboardings(ctx context.Context, p *plan) ([]offboarding, error) {
	var offboardings []offboarding
	add := func(who authz.ID, from, subscription authz.Object) {
		i := slices.IndexFunc(offboardings, func(d offboarding) bool { return d.who == who })
		switch {
		case i < 0:
			offboardings = append(
				offboardings,
				offboarding{who: who, from: from, requestedBy: p.requester(), keepsRoles: from == platform},
			)
		// The shares are in several accounts of one subscription.
		case offboardings[i].from != from:
			offboardings[i].from, offboardings[i].keepsRoles = subscription, true
		}
	}
	for _, ends := range p.ending {
		if ends.arrives {
			return nil, clearShares(ctx, p, ends)
		}
		add(ends.who, ends.from, ends.subscription)
	}
	for _, w := range p.withdrawing {
		add(w.who, w.from, w.subscription)
	}
	return offboardings, nil
}

// requester returns the subject who performs the operation: the actor, or the platform for the backend itself.
func (p *plan) requester() authz.Subject {
	if p.by.Actor == "" {
		return only(platform)
	}
	return p.actor()
}

// finishOffboardingOf makes run finish the person's offboarding, if one is under way.
func finishOffboardingOf(ctx context.Context, p *plan, who authz.ID) error {
	d, under, err := readOffboarding(ctx, p, who)
	if err != nil || !under {
		return err
	}
	return waitForOffboarding(d)
}

// clearShares returns the error that makes run delete the shares that a person left behind in an account. run deletes
// them in an offboarding, and then plans the operation again.
func clearShares(ctx context.Context, p *plan, left endShares) error {
	if err := finishOffboardingOf(ctx, p, left.who); err != nil {
		return err
	}
	d := offboarding{who: left.who, from: left.from, requestedBy: p.requester(), keepsRoles: true}
	return &underWayError{offboardings: []offboarding{d}, state: job.Requested}
}
