package operation

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// places are those that would be left without their last owner or administrator.
type places struct{ subscriptions, accounts []authz.ID }

// err is the refusal to leave them so; nil if there are none.
func (o places) err() error {
	if len(o.subscriptions) == 0 {
		return lastGuardian(o.accounts)
	}
	what := "subscription " + list(o.subscriptions)
	if len(o.accounts) > 0 {
		what += " and account " + list(o.accounts)
	}
	err := authz.Errorf(authz.CodeConflict, "the last owner or administrator would go; make somebody else one first, on %s", what)
	err.Subscriptions, err.Accounts = o.subscriptions[:min(len(o.subscriptions), maxNamed)], o.accounts[:min(len(o.accounts), maxNamed)]
	return err
}

// holding is what a person holds on one object.
type holding struct {
	object authz.Object
	rows   []authz.Relationship
}

func (h holding) guards() bool {
	return slices.ContainsFunc(h.rows, func(r authz.Relationship) bool {
		return r.Relation == authz.Relation(authz.RoleOwner) || r.Relation == authz.Relation(authz.RoleAdministrator)
	})
}

// holdings reads what a person holds on the place and on what is in it, where they keep others out first.
func (p *plan) holdings(ctx context.Context, place authz.Object, who authz.ID) ([]holding, error) {
	in, err := p.accountsFrom(ctx, place)
	if err != nil {
		return nil, err
	}
	var found []holding
	at := make(map[authz.Object]int)
	for _, typ := range []authz.Type{"subscription", "account"} {
		rows, err := p.find(ctx, authz.Filter{Type: typ, SubjectType: user, SubjectID: who})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if r.Resource != place && place != platform && (typ != "account" || !in(r.Resource.ID)) {
				continue
			}
			i, known := at[r.Resource]
			if !known {
				i, found = len(found), append(found, holding{object: r.Resource})
				at[r.Resource] = i
			}
			found[i].rows = append(found[i].rows, r)
		}
	}
	slices.SortStableFunc(found, func(a, b holding) int {
		rank := func(h holding) int { return map[bool]int{true: 0, false: 1}[h.guards()] }
		return cmp.Compare(rank(a), rank(b))
	})
	return found, nil
}

// mostOfRoles is how many updates, and how many preconditions, the roles on one object take, and the marks of a departure.
const mostOfRoles = 30

// manyRoles is on how many objects the roles of a person may be that one write ends as any other change of roles.
const manyRoles = 64

// departFrom plans that all roles on the place and what is in it end by a offboarding: as many as fit in this write.
func (p *plan) departFrom(ctx context.Context, place authz.Object, who authz.ID) error {
	if p.repeated {
		if err := p.waitForDeparture(ctx, who); err != nil {
			return err
		}
	}
	p.forbid(authz.Filter{Type: departureType, ID: who})
	d := departure{who: who, from: place, by: p.requester()}
	if err := p.endRoles(ctx, d); err != nil {
		return err
	}
	p.depart(d, d.from)
	return nil
}

// endRoles plans the end of the roles, as many as fit, once it is known that all of them can end.
func (p *plan) endRoles(ctx context.Context, d departure) error {
	var orphaned places
	if err := p.observer().takeRoles(ctx, d, func() bool { return true }, &orphaned); err != nil {
		return err
	}
	if err := orphaned.err(); err != nil {
		return err
	}
	if !d.erases() { // erasing deletes all of them
		if err := p.withdrawInvitations(ctx, []authz.ID{d.who}, d.from, d.from); err != nil {
			return err
		}
	}
	return p.takeRoles(ctx, d, func() bool { return p.fits(mostOfRoles) }, &orphaned)
}

// observer is a plan that reads the same state, for decisions that the write does not depend on.
func (p *plan) observer() *plan {
	observer := newPlan(p.engine, p.by)
	observer.snapshot, observer.reads = p.snapshot, p.reads
	return observer
}

// takeRoles plans that the person holds nothing on the place and what is in it any more, as long as there is room; what
// would be left without its last owner or administrator is added to orphaned. The write depends only on others holding those
// roles: a departure reads again what is left until nothing is.
func (p *plan) takeRoles(ctx context.Context, d departure, room func() bool, orphaned *places) error {
	held, err := p.holdings(ctx, d.from, d.who)
	if err != nil {
		return err
	}
	if d.erases() {
		administers, err := p.find(ctx, authz.Filter{Type: platform.Type, SubjectType: user, SubjectID: d.who})
		if err != nil {
			return err
		}
		p.deleteIf(true, administers)
	}
	observer := p.observer()
	for _, h := range held {
		if !room() {
			return nil
		}
		set, guarded, err := observer.guarded(ctx, h.object)
		if errors.Is(err, authz.CodeNotFound) { // it is being deleted
			p.deleteIf(d.erases(), h.rows)
			continue
		}
		if err != nil {
			return err
		}
		change, err := p.change(ctx, h.object, set, d.who, nil)
		if err != nil {
			return err
		}
		if guarded {
			if guarded, err = p.guard(ctx, h.object, set.Guardian, []roleChange{change}); err != nil {
				return err
			}
			if !guarded && h.object.Type == "account" {
				orphaned.accounts = append(orphaned.accounts, h.object.ID)
			} else if !guarded {
				orphaned.subscriptions = append(orphaned.subscriptions, h.object.ID)
			}
		}
		if h.object.Type == "account" && d.from.Type == "subscription" && len(change.held) > 0 {
			p.noteRemoval(h.object, d.who)
		}
		p.deleteIf(true, change.held)
		if err := p.deleteReasons(ctx, h.object, change.held); err != nil {
			return err
		}
		p.deleteIf(d.erases(), h.rows) // roles of another set, which other tools wrote
	}
	return nil
}

// deleteReasons plans that roles on an account are no reason for a membership any more.
func (p *plan) deleteReasons(ctx context.Context, account authz.Object, held []authz.Relationship) error {
	for _, r := range held {
		if account.Type != "account" || !makesMembers(r.Relation) {
			continue
		}
		subscription, err := p.subscriptionOf(ctx, account)
		if err != nil {
			return err
		}
		stored, err := p.find(ctx, reasonsOf(membershipOf(r.Subject.ID, subscription)))
		if err != nil {
			return err
		}
		p.deleteIf(
			true,
			slices.DeleteFunc(slices.Clone(stored), func(r authz.Relationship) bool { return r.Subject.Object != account }),
		)
	}
	return nil
}

func (p *plan) deleteIf(all bool, rows []authz.Relationship) {
	for _, r := range rows {
		if all {
			p.delete(r)
		}
	}
}

// guarded reads the role set of a subscription or an account, and whether its guardian role must not die out.
func (p *plan) guarded(ctx context.Context, object authz.Object) (authz.RoleSet, bool, error) {
	if object.Type == "account" {
		account, err := p.account(ctx, object.ID)
		return account.set, account.needsGuardian(), err
	}
	subscription, err := p.subscription(ctx, object.ID)
	return subscription.set, true, err
}
