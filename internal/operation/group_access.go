package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

const (
	// maxAccountsOfGroups is the highest number of accounts for which Sluice stores that a person left groups with roles
	// there.
	maxAccountsOfGroups = 100

	// maxRolesOfGroup is the highest number of roles that a group holds on one account.
	maxRolesOfGroup = 8
)

// readAccountsOfGroups reads on which accounts groups hold roles, at most maxAccountsOfGroups in total.
func readAccountsOfGroups(
	ctx context.Context, p *plan, memberships []authz.Relationship,
) (map[authz.Object][]authz.Object, error) {
	accounts := make(map[authz.Object][]authz.Object) // of each group
	room := maxAccountsOfGroups
	for _, m := range memberships {
		group := m.Resource
		if _, known := accounts[group]; known || room == 0 {
			continue
		}
		rows, err := p.FindSome(ctx, authz.Filter{
			Type: "account", SubjectType: group.Type, SubjectID: group.ID, SubjectRelation: groupMember,
		}, room*maxRolesOfGroup)
		if err != nil {
			return nil, err
		}
		accounts[group] = nil
		seen := make(map[authz.Object]bool)
		for _, r := range rows {
			if !seen[r.Resource] && room > 0 {
				accounts[group] = append(accounts[group], r.Resource)
				seen[r.Resource] = true
				room--
			}
		}
	}
	return accounts, nil
}

// rememberLeaving plans to store, for people who leave groups, that they were removed from the accounts of the groups.
func rememberLeaving(p *plan, memberships []authz.Relationship, accounts map[authz.Object][]authz.Object) {
	for _, m := range memberships {
		for _, account := range accounts[m.Resource] {
			rememberRemoval(p, account, m.Subject.ID)
		}
	}
}

// planLeaving plans the effects of the memberships of one group that the next write deletes. It limits the size of this
// write.
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
	if hasRoles, err := hasRolesOnSubscription(ctx, p, deleted); err != nil || most == 0 && !hasRoles {
		return err
	}
	memberships, err := readStored(ctx, p, deleted)
	if err != nil {
		return err
	}
	rememberLeaving(p, memberships, accounts)
	return withdrawLeaving(ctx, p, memberships)
}

// hasRolesOnSubscription reports whether the group of the memberships holds a role on its subscription.
func hasRolesOnSubscription(ctx context.Context, p *plan, memberships []authz.Relationship) (bool, error) {
	if len(memberships) == 0 {
		return false, nil
	}
	group := memberships[0].Resource
	rows, err := p.FindSome(ctx, authz.Filter{
		Type: "subscription", SubjectType: group.Type, SubjectID: group.ID, SubjectRelation: groupMember,
	}, 1)
	return len(rows) > 0, err
}

// readStored returns those of the relationships that are stored.
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
