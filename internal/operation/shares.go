package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// endShares are relationships that an operation deletes: those that name a person in an account, or in the accounts of
// a subscription.
type endShares struct {
	who authz.ID
	// from is the account, or the subscription that has the accounts.
	from authz.Object
	// subscription is from, or the subscription that contains it.
	subscription authz.Object
	arrives      bool
	rows         []authz.Relationship
	// many is set if the deletion needs too many preconditions for one write.
	many bool
}

// size returns how many updates the deletion needs.
func (e endShares) size() int {
	if e.many {
		return authz.MaxUpdates
	}
	return len(e.rows)
}

// endNamed plans to delete every relationship in the account that names the person: shares of connections and
// memberships of workspaces. It runs when a person leaves or is removed, even if their role has already expired. It
// also runs when a person is given their first role, since an expired role may have left shares behind.
func endNamed(ctx context.Context, p *plan, who authz.ID, account accountFacts, arrives bool) error {
	ends := endShares{
		who: who, from: account.object, subscription: account.subscription.object, arrives: arrives,
	}
	in := func(id authz.ID) bool { return id == account.object.ID }
	if err := ends.read(ctx, p, in); err != nil || arrives {
		return err
	}
	return excludeNaming(ctx, p, formerMember{who, account.object})
}

// endNamedWithoutRole plans to delete every relationship that names the person in accounts of the subscription on
// which they hold no role. Roles that expired left them behind.
func endNamedWithoutRole(ctx context.Context, p *plan, who authz.ID, subscription authz.Object) error {
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
	err = ends.read(ctx, p, func(id authz.ID) bool {
		accounts[id] = without(id)
		return accounts[id]
	})
	if ends.many = len(accounts) > maxRolesAtOnce; err != nil || ends.many {
		return err
	}
	for _, id := range sortedKeys(accounts) {
		if accounts[id] {
			p.Forbid(rolesFilter(accountObject(id), who))
		}
	}
	return nil
}

// read reads the relationships that name the person in the accounts for which the function in returns true. It adds
// them to e, and e to the plan.
func (e *endShares) read(ctx context.Context, p *plan, in func(authz.ID) bool) error {
	err := forEachNamed(ctx, p, e.who, in, func(r authz.Relationship) bool {
		e.rows = append(e.rows, r)
		return true
	})
	if len(e.rows) > 0 {
		p.ending = append(p.ending, *e)
	}
	return err
}

// completePlan adds to the plan the updates that follow from its changes of roles.
func completePlan(ctx context.Context, p *plan) error {
	if err := settleMemberships(ctx, p); err != nil {
		return err
	}
	return endSharesAndInvitations(ctx, p)
}

// endSharesAndInvitations plans to delete shares and invitations. If these do not fit one write, the write ends the
// roles and stores that an offboarding is under way. The offboarding deletes the shares and invitations later. Until it
// has ended, the shares give nothing without a role, the invitations are closed, and the person gets no new role.
func endSharesAndInvitations(ctx context.Context, p *plan) error {
	// The offboarding that this plan begins deletes the shares and invitations.
	if len(p.offboardings) > 0 {
		return nil
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
	return nil
}

// readEndingOffboardings returns the offboardings that delete the shares and invitations, one for each person. An
// operation that gives a person their first role must wait for this person's offboarding.
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

// requester returns the subject that an operation is attributed to: the actor, or the platform for the backend
// itself.
func (p *plan) requester() authz.Subject {
	if p.by.Actor == "" {
		return only(platform)
	}
	return p.actor()
}

// finishOffboardingOf lets run finish the person's offboarding, if one is under way.
func finishOffboardingOf(ctx context.Context, p *plan, who authz.ID) error {
	d, under, err := readOffboarding(ctx, p, who)
	if err != nil || !under {
		return err
	}
	return waitForOffboarding(d)
}

// clearShares returns the error that makes run delete the shares which a person left behind in an account. run deletes
// them in an offboarding, and then plans the operation again.
func clearShares(ctx context.Context, p *plan, left endShares) error {
	if err := finishOffboardingOf(ctx, p, left.who); err != nil {
		return err
	}
	d := offboarding{who: left.who, from: left.from, requestedBy: p.requester(), keepsRoles: true}
	return &underWayError{offboardings: []offboarding{d}, state: job.Requested}
}
