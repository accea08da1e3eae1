package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

const (
	// maxAccountsOfGroups limits the accounts for which one write stores that people left groups with roles there.
	maxAccountsOfGroups = 100

	// maxRolesOfGroup is the highest number of roles that a group holds on one account.
	maxRolesOfGroup = 8
)

// readAccountsOfGroups reads the accounts on which the groups of the memberships hold roles. It returns at most
// maxAccountsOfGroups accounts, by group.
func readAccountsOfGroups(
	ctx context.Context, p *plan, memberships []authz.Relationship,
) (map[authz.Object][]authz.Object, error) {
	accounts := make(map[authz.Object][]authz.Object) // of each group
	var filters []authz.Filter
	for _, m := range memberships {
		group := m.Resource
		if _, known := accounts[group]; !known {
			accounts[group] = nil
			filters = append(filters, authz.Filter{
				Type: "account", SubjectType: group.Type, SubjectID: group.ID, SubjectRelation: groupMember,
			})
		}
	}
	room := maxAccountsOfGroups
	add := func(group, account authz.Object) {
		if !slices.Contains(accounts[group], account) && room > 0 {
			accounts[group] = append(accounts[group], account)
			room--
		}
	}
	for chunk := range slices.Chunk(filters, readChunk) {
		if room == 0 {
			break
		}
		found, err := p.FindSomeOfEach(ctx, chunk, room*maxRolesOfGroup)
		if err != nil {
			return nil, err
		}
		for _, r := range slices.Concat(found...) {
			add(r.Subject.Object, r.Resource)
		}
	}
	for i := range filters {
		filters[i].Type = authz.TypeRoleBinding
	}
	for chunk := range slices.Chunk(filters, readChunk) {
		if room == 0 {
			break
		}
		found, err := p.FindSomeOfEach(ctx, chunk, room*maxRolesOfGroup)
		if err != nil {
			return nil, err
		}
		placed, err := readPlacesOf(ctx, p, slices.Concat(found...))
		if err != nil {
			return nil, err
		}
		for _, role := range placed {
			if role.place.Type == "account" {
				add(role.row.Subject.Object, role.place)
			}
		}
	}
	return accounts, nil
}

// rememberLeaving plans to store, for people who leave groups, that they were removed from the accounts on which
// these groups hold roles.
func rememberLeaving(p *plan, memberships []authz.Relationship, accounts map[authz.Object][]authz.Object) {
	for _, m := range memberships {
		for _, account := range accounts[m.Resource] {
			rememberRemoval(p, account, m.Subject.ID)
		}
	}
}

// planLeaving plans to store that people left a group, for the memberships that the next write deletes. It reduces
// the number of people in this write, so that all updates fit.
func planLeaving(ctx context.Context, p *plan, left *chunks) error {
	left.size = membersPerWrite
	accounts, err := readAccountsOfGroups(ctx, p, left.deleted())
	if err != nil {
		return err
	}
	most := 0
	for _, of := range accounts {
		most = max(most, len(of))
	}
	left.size = membersPerWrite / (1 + most)
	deleted := left.deleted()
	if endsMore, err := hasOrHadRoles(ctx, p, deleted); err != nil || most == 0 && !endsMore {
		return err
	}
	memberships, err := readStored(ctx, p, deleted)
	if err != nil {
		return err
	}
	rememberLeaving(p, memberships, accounts)
	return withdrawLeaving(ctx, p, memberships)
}

// hasOrHadRoles reports whether the group of the memberships holds a role on its subscription, or lost roles while the
// withdrawal of this loss is still under way.
func hasOrHadRoles(ctx context.Context, p *plan, memberships []authz.Relationship) (bool, error) {
	if len(memberships) == 0 {
		return false, nil
	}
	group := memberships[0].Resource
	closing, err := p.FindSome(ctx, withdrawalsOf(group), 1)
	if err != nil || len(closing) > 0 {
		return true, err
	}
	roles, err := readRolesOn(ctx, p, authz.Holder(group), "subscription")
	return len(roles) > 0, err
}

// readStored reads which of the relationships are stored.
func readStored(ctx context.Context, p *plan, rows []authz.Relationship) (stored []authz.Relationship, err error) {
	filters := make([]authz.Filter, len(rows))
	for i, r := range rows {
		filters[i] = authz.Exactly(r)
	}
	found, err := p.FindAll(ctx, filters)
	for _, rows := range found {
		stored = append(stored, rows...)
	}
	return stored, err
}
