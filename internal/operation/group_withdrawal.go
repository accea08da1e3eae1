package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// If a group loses roles on an account or subscription, members may lose their last role there. Then the open
// invitations to it that they received or sent must end. A group can have any number of members, and there can be any
// number of invitations. So the write that ends the roles only closes the invitations: it stores a relationship from
// the group to the account or subscription, see withdrawsFrom. A groupWithdrawal deletes the closed invitations, and
// then this relationship.

// groupWithdraws is the relation from a group to an account or subscription on which it lost roles.
const groupWithdraws authz.Relation = "withdraws"

// withdrawsFrom returns the relationship that closes the open invitations of members of the group to an account or
// subscription, see lostRoles.closes.
func withdrawsFrom(group, place authz.Object) authz.Relationship {
	return authz.Relationship{Resource: group, Relation: groupWithdraws, Subject: only(place)}
}

// withdrawalsOf returns a filter for the relationships of withdrawsFrom that a group has.
func withdrawalsOf(group authz.Object) authz.Filter {
	return authz.Filter{Type: group.Type, ID: group.ID, Relation: groupWithdraws}
}

// withdrawalsTo returns a filter for the relationships of withdrawsFrom of all groups to an account or subscription.
func withdrawalsTo(place authz.Object) authz.Filter {
	return authz.Filter{
		Type: authz.TypeGroup, Relation: groupWithdraws, SubjectType: place.Type, SubjectID: place.ID,
	}
}

// closeInvitationsOfGroup plans to close the open invitations to an account or subscription, if they were received or
// sent by members of a group who hold no role there after the group lost roles. run deletes these invitations.
func closeInvitationsOfGroup(ctx context.Context, p *plan, group, place authz.Object) error {
	if place.Type == "account" {
		invited := invitationsTo(place)
		open, err := p.FindSome(ctx, invited, 1)
		if err != nil {
			return err
		}
		if len(open) == 0 {
			p.Forbid(invited)
			return nil
		}
	}
	p.Update(authz.Touch, withdrawsFrom(group, place))
	p.withdrawingGroups = append(p.withdrawingGroups, group)
	return nil
}

// invitationsTo returns a filter for the relationships of invitations to an account or subscription.
func invitationsTo(place authz.Object) authz.Filter {
	return authz.Filter{
		Type: invitationType, Relation: invitedTo, SubjectType: place.Type, SubjectID: place.ID, SubjectPlain: true,
	}
}

// finishGroupWithdrawal makes run finish the withdrawal of a group, if one is under way. Otherwise it requires as a
// precondition that none is under way.
func finishGroupWithdrawal(ctx context.Context, p *plan, group authz.Object) error {
	stored, err := p.FindSome(ctx, withdrawalsOf(group), 1)
	if err != nil {
		return err
	}
	if len(stored) > 0 {
		return &underWayError{groups: []authz.Object{group}}
	}
	p.Forbid(withdrawalsOf(group))
	return nil
}

// lostRoles has the groups that lost roles on an account or subscription, by this object. It has only groups whose
// withdrawals are under way.
type lostRoles map[authz.Object]map[authz.Object]bool

// readLostRoles reads which groups lost roles on the accounts and subscriptions among the places.
func readLostRoles(ctx context.Context, p *plan, places []authz.Object) (lostRoles, error) {
	filters := make([]authz.Filter, len(places))
	for i, place := range places {
		filters[i] = withdrawalsTo(place)
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return nil, err
	}
	return lostRolesIn(slices.Concat(found...)), nil
}

// lostRolesIn returns the lost roles that relationships of withdrawsFrom store.
func lostRolesIn(rows []authz.Relationship) lostRoles {
	lost := make(lostRoles)
	for _, r := range rows {
		if lost[r.Subject.Object] == nil {
			lost[r.Subject.Object] = make(map[authz.Object]bool)
		}
		lost[r.Subject.Object][r.Resource] = true
	}
	return lost
}

// groups returns all groups that lost roles.
func (l lostRoles) groups() (groups []authz.Object) {
	for _, of := range l {
		for group := range of {
			if !slices.Contains(groups, group) {
				groups = append(groups, group)
			}
		}
	}
	return groups
}

// closes reports whether the open invitations to an account or subscription that a person received or sent are closed,
// because the person lost their last role there with a group. The loss of the last role on a subscription also closes
// the invitations to those accounts of it on which the person holds no role.
func (l lostRoles) closes(ctx context.Context, p *plan, to authz.Object, who authz.ID) (bool, error) {
	if len(l) == 0 || who == "" {
		return false, nil
	}
	loses, keeps, err := l.rolesOn(ctx, p, to, who)
	if err != nil || keeps || loses || to.Type != "account" {
		return loses && !keeps, err
	}
	places, err := p.Find(ctx, placeFilter(to))
	if err != nil || len(places) == 0 {
		return false, err
	}
	loses, keeps, err = l.rolesOn(ctx, p, places[0].Subject.Object, who)
	return loses && !keeps, err
}

// rolesOn reports whether a person lost roles on an object with a group, and whether they hold others there.
func (l lostRoles) rolesOn(
	ctx context.Context, p *plan, object authz.Object, who authz.ID,
) (loses, keeps bool, err error) {
	direct, err := readHeld(ctx, p, object, authz.Person(who))
	if err != nil {
		return false, false, err
	}
	through, err := readGroupRoles(ctx, p, object, who)
	if err != nil {
		return false, false, err
	}
	keeps = len(direct) > 0 || slices.ContainsFunc(through, func(r groupRole) bool {
		return !l[object][r.membership.Resource]
	})
	if len(l[object]) == 0 {
		return false, keeps, nil
	}
	memberships, err := p.Find(ctx, membershipsOf(who))
	loses = slices.ContainsFunc(memberships, func(m authz.Relationship) bool { return l[object][m.Resource] })
	return loses, keeps, err
}

// closesInvitation reports whether an open invitation is closed because its inviter or invitee lost their last role.
func (l lostRoles) closesInvitation(ctx context.Context, p *plan, stored storedInvitation) (bool, error) {
	closed, err := l.closes(ctx, p, stored.To, stored.Inviter.Person())
	if err != nil || closed {
		return closed, err
	}
	return l.closes(ctx, p, stored.To, stored.Invitee)
}

// requireRolesThroughGroups requires as preconditions that the people keep the roles that they have through groups on
// the places, and that no other group has lost roles there. So the loss of these roles and an invitation of the people
// cannot miss each other. It returns the lost roles whose withdrawals are under way.
func requireRolesThroughGroups(
	ctx context.Context, p *plan, places []authz.Object, people ...authz.ID,
) (lostRoles, error) {
	lost, err := readLostRoles(ctx, p, places)
	if err != nil {
		return nil, err
	}
	for _, place := range places {
		if len(lost[place]) == 0 {
			requireSome(p, []authz.Precondition{{Absent: true, Filter: withdrawalsTo(place)}})
		}
		for _, who := range people {
			through, err := readGroupRoles(ctx, p, place, who)
			if err != nil {
				return nil, err
			}
			for _, r := range through {
				requireSome(p, []authz.Precondition{{Filter: authz.Exactly(r.role)}, {Filter: authz.Exactly(r.membership)}})
			}
		}
	}
	return lost, nil
}

// groupWithdrawal is the job that deletes the invitations that a loss of roles of a group closed. Its last write for an
// account or subscription deletes the relationship that closes them. It finds every such invitation: a write that
// creates one requires as a precondition that the relationship is not stored.
type groupWithdrawal struct {
	service   *Service
	by        Caller
	operation string
	group     authz.Object
	state     job.State
}

func (s *Service) groupWithdrawal(by Caller, operation string, group authz.Object) groupWithdrawal {
	return groupWithdrawal{service: s, by: by, operation: operation, group: group, state: job.Cleaning}
}

// Record implements job.Job.
func (j groupWithdrawal) Record() authz.Object { return j.group }

// State implements job.Job.
func (j groupWithdrawal) State() job.State { return j.state }

// Conflict implements job.Job.
func (j groupWithdrawal) Conflict() string {
	return "other requests kept changing the roles of the group; repeat the call to finish it"
}

// Next implements job.Job.
func (j groupWithdrawal) Next(ctx context.Context, failed int) (job.Step, error) {
	p := newPlan(j.service.engine, j.by.withoutKey())
	p.LimitWriteTime(maxWriteTime)
	p.halved = failed
	if _, err := p.head(ctx); err != nil {
		return job.Step{}, err
	}
	stored, err := p.Find(ctx, withdrawalsOf(j.group))
	if err != nil {
		return job.Step{}, err
	}
	step := job.Step{Unit: p.Unit, Metadata: j.by.metadata(j.operation), Then: j}
	if len(stored) == 0 {
		j.state = job.Done
		step.Then = j
		return step, nil
	}
	return step, j.planPlaces(ctx, p, stored)
}

// planPlaces plans to delete closed invitations to the accounts and subscriptions of withdrawsFrom, as many as fit the
// write. It plans to delete the relationship of each account or subscription whose invitations are complete.
func (j groupWithdrawal) planPlaces(ctx context.Context, p *plan, stored []authz.Relationship) error {
	lost := lostRolesIn(stored)
	for chunk := range slices.Chunk(stored, readChunk) {
		filters := make([]authz.Filter, len(chunk))
		for i, r := range chunk {
			filters[i] = invitationsTo(r.Subject.Object)
		}
		if _, err := p.FindAll(ctx, filters); err != nil { // so that plan finds them in memory
			return err
		}
		for _, r := range chunk {
			if !fitsOffboarding(p, 1) {
				return nil
			}
			p.Require(r)
			complete, err := j.plan(ctx, p, r.Subject.Object, lost)
			if err != nil || !complete {
				return err
			}
			p.Delete(r)
		}
	}
	return nil
}

// plan plans to delete closed invitations to an account or subscription, as many as fit the write. It returns false if
// some are left. For a subscription, this includes invitations to its accounts.
func (j groupWithdrawal) plan(ctx context.Context, p *plan, place authz.Object, lost lostRoles) (bool, error) {
	places := []authz.Object{place}
	if place.Type == "subscription" {
		accounts, err := readAccountsOf(ctx, p, place.ID)
		if err != nil {
			return false, err
		}
		for _, id := range accounts {
			places = append(places, accountObject(id))
		}
	}
	for chunk := range slices.Chunk(places, readChunk) {
		filters := make([]authz.Filter, len(chunk))
		for i, to := range chunk {
			filters[i] = invitationsTo(to)
		}
		found, err := p.FindAll(ctx, filters)
		if err != nil {
			return false, err
		}
		for invited := range slices.Chunk(slices.Concat(found...), readChunk) {
			if complete, err := j.planSome(ctx, p, invited, lost); err != nil || !complete {
				return false, err
			}
		}
	}
	return true, nil
}

// planSome does what plan does, for the invitations of some relationships.
func (j groupWithdrawal) planSome(
	ctx context.Context, p *plan, invited []authz.Relationship, lost lostRoles,
) (complete bool, err error) {
	handles := make([]authz.ID, len(invited))
	for i, r := range invited {
		handles[i] = r.Resource.ID
	}
	open, err := filterOpen(ctx, p, handles)
	if err != nil {
		return false, err
	}
	if open, err = j.ofMembers(ctx, p, open); err != nil {
		return false, err
	}
	for _, stored := range open {
		closed, err := lost.closesInvitation(ctx, p, stored)
		if err != nil {
			return false, err
		}
		if !closed {
			continue
		}
		if !fitsOffboarding(p, len(stored.found)+2) {
			return false, nil
		}
		deleteInvitation(p, stored)
	}
	return true, nil
}

// ofMembers returns those of the invitations whose inviter or invitee is a member of the group.
func (j groupWithdrawal) ofMembers(
	ctx context.Context, p *plan, open []storedInvitation,
) (of []storedInvitation, err error) {
	var memberships []authz.Relationship
	for _, stored := range open {
		for _, who := range []authz.ID{stored.Inviter.Person(), stored.Invitee} {
			if who != "" {
				m := authz.Relationship{Resource: j.group, Relation: groupMember, Subject: person(who)}
				memberships = append(memberships, m)
			}
		}
	}
	if memberships, err = readStored(ctx, p, memberships); err != nil {
		return nil, err
	}
	members := make(map[authz.ID]bool)
	for _, m := range memberships {
		members[m.Subject.ID] = true
	}
	for _, stored := range open {
		if members[stored.Inviter.Person()] || members[stored.Invitee] {
			of = append(of, stored)
		}
	}
	return of, nil
}

// readGroupWithdrawals reads the withdrawals of groups that are under way.
func (s *Service) readGroupWithdrawals(ctx context.Context) (jobs []job.Job, err error) {
	p := newPlan(s.engine, Caller{})
	found, err := p.FindSome(ctx, authz.Filter{Type: authz.TypeGroup, Relation: groupWithdraws}, 0)
	for _, group := range lostRolesIn(found).groups() {
		jobs = append(jobs, s.groupWithdrawal(Caller{Key: "resume"}, "resume_withdrawal", group))
	}
	return jobs, err
}
