package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// leaver is a person who leaves groups.
type leaver struct {
	who    authz.ID
	groups map[authz.Object]bool // the groups that the person leaves
}

// leaversIn returns the people who leave groups, each of them once, in the order of the memberships that end.
func leaversIn(memberships []authz.Relationship) (leavers []leaver, people []authz.ID) {
	indexes := make(map[authz.ID]int)
	for _, m := range memberships {
		who := m.Subject.ID
		i, known := indexes[who]
		if !known {
			i = len(leavers)
			indexes[who] = i
			leavers = append(leavers, leaver{who, make(map[authz.Object]bool)})
			people = append(people, who)
		}
		leavers[i].groups[m.Resource] = true
	}
	return leavers, people
}

// withdrawLeaving plans to withdraw the open invitations that people received or sent, to the accounts and
// subscriptions on which they lose their last role because they leave groups. If a person loses their last role on a
// subscription, it also withdraws the invitations to those accounts of it on which the person holds no role. If the
// invitations do not fit the operation's write, earlier writes withdraw them.
func withdrawLeaving(ctx context.Context, p *plan, memberships []authz.Relationship) error {
	leavers, people := leaversIn(memberships)
	handles, err := readInvitationsNaming(ctx, p, people)
	if err != nil {
		return err
	}
	for i, l := range leavers {
		if p.memberships++; p.memberships <= maxGuardedMemberships {
			if err := requireNoneInvited(ctx, p, l.who); err != nil {
				return err
			}
		}
		open, err := filterOpen(ctx, p, handles[i])
		if err != nil {
			return err
		}
		for _, stored := range open {
			ends, err := l.endsInvitationsTo(ctx, p, stored.To)
			if err != nil {
				return err
			}
			if ends {
				p.DeleteFirst(deletedWith(stored))
			}
		}
	}
	return nil
}

// endsInvitationsTo reports whether the invitations to an account or subscription end when the person leaves the
// groups.
func (l leaver) endsInvitationsTo(ctx context.Context, p *plan, to authz.Object) (bool, error) {
	loses, keeps, err := l.rolesOn(ctx, p, to)
	if err != nil || keeps || loses || to.Type != "account" {
		return loses && !keeps, err
	}
	places, err := p.Find(ctx, placeFilter(to))
	if err != nil || len(places) == 0 {
		return false, err
	}
	loses, keeps, err = l.rolesOn(ctx, p, places[0].Subject.Object)
	return loses && !keeps, err
}

// rolesOn reports whether the person loses roles on an object by leaving the groups, and whether they keep others,
// which they hold directly or through other groups.
func (l leaver) rolesOn(ctx context.Context, p *plan, object authz.Object) (loses, keeps bool, err error) {
	direct, err := readHeld(ctx, p, object, authz.Person(l.who))
	if err != nil {
		return false, false, err
	}
	for _, r := range direct {
		keeps = keeps || !isPlanned(p, r) // a planned update deletes the role
	}
	// A group that the person leaves may have lost roles before, while the withdrawal of this is still under way.
	lost, err := requireRolesThroughGroups(ctx, p, []authz.Object{object}, l.who)
	if err != nil {
		return false, false, err
	}
	for group := range lost[object] {
		loses = loses || l.groups[group]
	}
	through, err := readGroupRoles(ctx, p, object, l.who)
	for _, r := range through {
		isLeft := l.groups[r.membership.Resource]
		loses, keeps = loses || isLeft, keeps || !isLeft
	}
	return loses, keeps, err
}
