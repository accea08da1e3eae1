package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// If a role ends on its date, the invitations that its holder sent stay stored, but nobody can accept them. A later
// role on the same account, direct or through a group, must not make them valid again. So the write that gives the
// role withdraws them. If they do not fit this write, earlier writes withdraw them.

// withdrawLeft is for people who get a role on an account. It plans to withdraw the open invitations to the account
// that they sent. If a person may already invite to the account, their invitations stay.
func withdrawLeft(ctx context.Context, p *plan, people []authz.ID, account authz.Object) error {
	filters := make([]authz.Filter, len(people))
	for i, who := range people {
		filters[i] = invitationsBy(who)
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return err
	}
	for i, who := range people {
		open, err := filterOpen(ctx, p, handlesIn(found[i]))
		if err != nil {
			return err
		}
		open = slices.DeleteFunc(open, func(stored storedInvitation) bool { return stored.To != account })
		if err := withdrawUnlessInviting(ctx, p, who, account, open); err != nil {
			return err
		}
	}
	return nil
}

// withdrawLeftByJoining does what withdrawLeft does, for a person who joins a group and all accounts on which the group
// holds roles. For the other accounts, it requires as preconditions that the group gets no role there at the same time.
func withdrawLeftByJoining(ctx context.Context, p *plan, group, who authz.ID) error {
	found, err := p.Find(ctx, invitationsBy(who))
	if err != nil || len(found) == 0 {
		return err
	}
	member := authz.Relationship{Resource: groupObject(group), Relation: groupMember, Subject: person(who)}
	isMember, err := p.Find(ctx, authz.Exactly(member))
	if err != nil || len(isMember) > 0 {
		return err
	}
	open, err := filterOpen(ctx, p, handlesIn(found))
	if err != nil {
		return err
	}
	sent := make(map[authz.ID][]storedInvitation)
	for _, stored := range open {
		if stored.To.Type == "account" {
			sent[stored.To.ID] = append(sent[stored.To.ID], stored)
		}
	}
	holds, err := readAccountsOfGroup(ctx, p, group)
	if err != nil {
		return err
	}
	for _, id := range sortedKeys(sent) {
		if holds[id] {
			err = withdrawUnlessInviting(ctx, p, who, accountObject(id), sent[id])
		} else {
			err = requireNoRoles(ctx, p, accountObject(id), groupHolder(group))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// withdrawLeftByMembers does what withdrawLeft does, for the members of a group that gets a role on an account. It
// reads the invitations to the account, and no members of the group who sent none. It requires as preconditions that
// the other inviters do not join the group at the same time.
func withdrawLeftByMembers(ctx context.Context, p *plan, account authz.Object, group authz.ID) error {
	invited, err := p.Find(ctx, invitationsTo(account))
	if err != nil {
		return err
	}
	sent := make(map[authz.ID][]storedInvitation)
	for chunk := range slices.Chunk(invited, readChunk) {
		handles := make([]authz.ID, len(chunk))
		for i, r := range chunk {
			handles[i] = r.Resource.ID
		}
		open, err := filterOpen(ctx, p, handles)
		if err != nil {
			return err
		}
		for _, stored := range open {
			if who := stored.Inviter.Person(); who != "" {
				sent[who] = append(sent[who], stored)
			}
		}
	}
	for _, who := range sortedKeys(sent) {
		isMember, err := readIsMember(ctx, p, group, who)
		if err != nil {
			return err
		}
		if !isMember {
			continue
		}
		if err := withdrawUnlessInviting(ctx, p, who, account, sent[who]); err != nil {
			return err
		}
	}
	return nil
}

// invitationsBy returns a filter for the relationships of the invitations that a person sent.
func invitationsBy(who authz.ID) authz.Filter {
	return authz.Filter{Type: invitationType, Relation: invitedBy, SubjectType: user, SubjectID: who}
}

// withdrawUnlessInviting plans to withdraw open invitations to an account that a person sent, unless the person may
// invite there now.
func withdrawUnlessInviting(
	ctx context.Context, p *plan, who authz.ID, account authz.Object, open []storedInvitation,
) error {
	if len(open) == 0 {
		return nil
	}
	invites, err := readInvites(ctx, p, who, account)
	if err != nil || invites {
		return err
	}
	for _, stored := range open {
		p.DeleteFirst(deletedWith(stored))
	}
	return nil
}

// readInvites reports whether a person may invite to an account. A decision about invite_members can come from the
// cache of a remote SpiceDB, and then be older than the end of a role. So for a person without a role on the account,
// readInvites asks for the permissions that give the right to invite there without a role.
func readInvites(ctx context.Context, p *plan, who authz.ID, account authz.Object) (bool, error) {
	isPresent, err := readIsPresent(ctx, p, account, who)
	if err != nil {
		return false, err
	}
	permissions := []authz.Permission{"invite_members"}
	if !isPresent {
		permissions = []authz.Permission{"as_subscription_owner", "as_platform_administrator"}
	}
	checks := make([]authz.Check, len(permissions))
	for i, permission := range permissions {
		checks[i] = authz.Check{Subject: person(who), Permission: permission, Resource: account}
	}
	allowed, err := decide(ctx, p, checks)
	return slices.Contains(allowed, true), err
}
