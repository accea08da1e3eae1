package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// The cut-off of a group deletes its roles, and its relationship to the subscription, so that nobody can give it roles
// or members. The members stay stored at first: the cleanup needs them to withdraw invitations and to store who was
// removed from which account.

// membersRemovedFrom is the relation from a group that is being deleted to the accounts from which its members count as
// removed, see requireNotRemoved.
const membersRemovedFrom authz.Relation = "removed_from"

// maxAccountsOfDeletedGroup limits the accounts for which the deletion of a group stores that each member was removed
// there. If the group holds roles on more accounts, the deletion stores it for the subscription, and thereby for all
// accounts of the subscription.
const maxAccountsOfDeletedGroup = 8

// cutOffGroup plans the cut-off of a group.
func cutOffGroup(ctx context.Context, p *plan, group authz.Object) error {
	titles := authz.Filter{Type: group.Type, ID: group.ID, Relation: titleOf}
	found, err := p.FindAll(ctx, []authz.Filter{placeFilter(group), titles})
	if err != nil {
		return err
	}
	for _, rows := range found {
		deleteIf(p, true, rows)
	}
	accounts, err := endRolesOfGroup(ctx, p, group)
	if err != nil {
		return err
	}
	if len(accounts) > maxAccountsOfDeletedGroup {
		accounts = nil
		for _, r := range found[0] {
			accounts = append(accounts, r.Subject.Object)
		}
	}
	for _, place := range accounts {
		p.Touch(group, membersRemovedFrom, only(place))
	}
	return nil
}

// endRolesOfGroup plans to delete roles of a group on its subscription and on accounts, as many as fit the write. It
// also plans to close the invitations of members there, see withdrawsFrom. It returns the accounts.
func endRolesOfGroup(ctx context.Context, p *plan, group authz.Object) (accounts []authz.Object, err error) {
	const reserved = maxAccountsOfDeletedGroup + 2 // for the other updates of the cut-off
	roles, err := readRolesOn(ctx, p, authz.Holder(group), "subscription", "account")
	if err != nil {
		return nil, err
	}
	places := make(map[authz.Object]bool)
	for _, role := range roles {
		if p.Room() < reserved {
			break
		}
		p.Delete(role.row)
		if place := role.place; !places[place] {
			places[place] = true
			p.Update(authz.Touch, withdrawsFrom(group, place))
			if place.Type == "account" {
				accounts = append(accounts, place)
			}
		}
	}
	return accounts, nil
}

// planGroup plans the next step of the deletion of a group after the cut-off. Access ends first: the job deletes roles
// that the cut-off left, and then all other relationships whose subject is the group. Then it withdraws the invitations
// of the members, and deletes the members. planGroup returns false if nothing of this is left to do.
func (j deletionJob) planGroup(ctx context.Context, p *plan) (step job.Step, found bool, err error) {
	group := j.object()
	if _, err := endRolesOfGroup(ctx, p, group); err != nil {
		return step, false, err
	}
	if len(p.Updates()) > 0 {
		return j.step(p), true, nil
	}
	b := newBatch(p, j)
	if _, err := b.addContents(ctx, group); err != nil {
		return step, false, err
	}
	if !b.isEmpty() {
		return b.step(j.emptied), true, nil
	}
	closing, err := p.FindSome(ctx, withdrawalsOf(group), 1)
	if err != nil {
		return step, false, err
	}
	if len(closing) > 0 {
		withdrawal := j.service.groupWithdrawal(j.by, j.operation, group)
		return job.Step{WaitFor: []job.Job{withdrawal}}, true, nil
	}
	if err := planMembersRemoved(ctx, p, group); err != nil || len(p.Updates()) == 0 {
		return step, false, err
	}
	return j.step(p), true, nil
}

// planMembersRemoved plans to delete members of a group that is being deleted, as many as fit the write, and to store
// that they were removed from the accounts on which the group held roles. If the group held none, it plans nothing.
func planMembersRemoved(ctx context.Context, p *plan, group authz.Object) error {
	places, err := p.Find(ctx, authz.Filter{Type: group.Type, ID: group.ID, Relation: membersRemovedFrom})
	if err != nil || len(places) == 0 {
		return err
	}
	members, err := p.FindSome(ctx, authz.Filter{
		Type: group.Type, ID: group.ID, Relation: groupMember, SubjectType: user,
	}, p.Room()/(1+len(places)))
	if err != nil {
		return err
	}
	for _, m := range members {
		p.Delete(m)
		for _, place := range places {
			rememberRemoval(p, place.Subject.Object, m.Subject.ID)
		}
	}
	return nil
}
