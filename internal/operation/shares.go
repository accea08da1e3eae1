package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// endShares are the relationships that name a person in an account and that end with an operation.
type endShares struct {
	who     authz.ID
	account accountFacts
	arrives bool
	rows    []authz.Relationship
}

// dropNamed plans the end of everything in the account that names the person: shares of connections and entries to
// workspaces. It runs when somebody leaves, and again when somebody arrives, for shares that were written while they left or
// that a role with an end left behind.
func (p *plan) dropNamed(ctx context.Context, who authz.ID, account accountFacts, arrives bool) error {
	ends := endShares{who: who, account: account, arrives: arrives}
	in := func(id authz.ID) bool { return id == account.object.ID }
	err := p.namedIn(ctx, who, in, func(r authz.Relationship) bool {
		ends.rows = append(ends.rows, r)
		return true
	})
	if len(ends.rows) > 0 {
		p.ending = append(p.ending, ends)
	}
	return err
}

// complete adds to the plan what follows from its changes of roles.
func (p *plan) complete(ctx context.Context) error {
	if err := p.settleMemberships(ctx); err != nil {
		return err
	}
	return p.endRest(ctx)
}

// endRest adds the end of shares and of invitations to the plan. If they do not fit one write, the write ends the roles and says
// that a departure is under way, which deletes them: shares give nothing without a role, invitations are closed by what the write
// says, and the person gets neither before the departure has ended.
func (p *plan) endRest(ctx context.Context) error {
	if len(p.departing) > 0 { // it deletes them
		return nil
	}
	left := len(p.updates)
	for _, ends := range p.ending {
		left += len(ends.rows)
	}
	for _, w := range p.withdrawing {
		left += w.size()
	}
	if left < authz.MaxUpdates { // one is for what remembers the call
		for _, ends := range p.ending {
			for _, r := range ends.rows {
				p.delete(r)
			}
		}
		for _, w := range p.withdrawing {
			for _, stored := range w.open {
				p.deleteInvitation(stored)
			}
		}
		return nil
	}
	departures, err := p.endingDepartures(ctx)
	if err != nil {
		return err
	}
	for _, d := range departures {
		if p.repeated {
			if err := p.waitForDeparture(ctx, d.who); err != nil {
				return err
			}
		}
		p.forbid(authz.Filter{Type: departureType, ID: d.who})
		var closes []authz.Object
		for _, w := range p.withdrawing {
			if w.who == d.who {
				closes = append(closes, w.from)
			}
		}
		p.depart(d, closes...)
	}
	return nil
}

// endingDepartures returns the departures that end the shares and invitations, one a person. Somebody who arrives has to wait for
// theirs.
func (p *plan) endingDepartures(ctx context.Context) ([]departure, error) {
	var departures []departure
	add := func(who authz.ID, from, subscription authz.Object) {
		i := slices.IndexFunc(departures, func(d departure) bool { return d.who == who })
		switch {
		case i < 0:
			departures = append(departures, departure{who: who, from: from, by: p.requester(), keepsRoles: from == platform})
		case departures[i].from != from: // from several accounts of one subscription
			departures[i].from, departures[i].keepsRoles = subscription, true
		}
	}
	for _, ends := range p.ending {
		if ends.arrives {
			return nil, p.clearShares(ctx, ends)
		}
		add(ends.who, ends.account.object, ends.account.subscription.object)
	}
	for _, w := range p.withdrawing {
		add(w.who, w.from, w.subscription)
	}
	return departures, nil
}

// requester is who an operation is attributed to.
func (p *plan) requester() authz.Subject {
	if p.by.Actor == "" {
		return only(platform)
	}
	return p.actor()
}

// waitForDeparture has a departure of the person finished, if one is under way.
func (p *plan) waitForDeparture(ctx context.Context, who authz.ID) error {
	d, under, err := p.departure(ctx, who)
	if err != nil || !under {
		return err
	}
	return p.waitFor(d)
}

// clearShares begins the departure that ends shares which somebody left behind in an account, and has run wait for it.
func (p *plan) clearShares(ctx context.Context, left endShares) error {
	if err := p.waitForDeparture(ctx, left.who); err != nil {
		return err
	}
	first := newPlan(p.engine, p.by)
	first.snapshot = p.snapshot
	first.forbid(authz.Filter{Type: departureType, ID: left.who})
	d := departure{who: left.who, from: left.account.object, by: p.requester(), keepsRoles: true}
	first.depart(d)
	if _, err := first.commit(ctx, "end_shares"); err != nil && !errors.Is(err, authz.ErrPrecondition) {
		return err
	}
	return p.waitFor(d)
}
