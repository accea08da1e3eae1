package operation

import (
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// readGroupsOf reads the groups through which a person has roles on an object, sorted by id.
func readGroupsOf(
	ctx context.Context, p *plan, object authz.Object, set authz.RoleSet, who authz.ID,
) ([]HolderRoles, error) {
	found, err := readGroupRoles(ctx, p, object, who)
	rows := make([]authz.Relationship, len(found))
	for i, r := range found {
		rows[i] = r.role
	}
	return rolesOfHolders(rows, set), err
}

// rolesOfHolders returns the holders of roles, with these roles, sorted by id. rows are the relationships of one
// place to holders of one type.
func rolesOfHolders(rows []authz.Relationship, set authz.RoleSet) (holders []HolderRoles) {
	held := make(map[authz.ID][]authz.Relationship)
	for _, r := range inOrder(rows, set) {
		held[r.Subject.ID] = append(held[r.Subject.ID], r)
	}
	for _, id := range sortedKeys(held) {
		holder := authz.Holder{Type: held[id][0].Subject.Type, ID: id}
		holders = append(holders, holderRolesOf(holder, held[id]))
	}
	return holders
}

// readOtherMembers reads the groups or service accounts that hold roles on a place, with these roles.
func readOtherMembers(
	ctx context.Context, p *plan, place authz.Object, set authz.RoleSet, holders authz.Type,
) (map[authz.ID]Member, error) {
	rows, err := readHoldersOf(ctx, p, place, holders)
	members := make(map[authz.ID]Member)
	for _, h := range rolesOfHolders(rows, set) {
		members[h.Holder.ID] = Member{Holder: h.Holder, Roles: h.Roles, ExpiresAt: h.ExpiresAt}
	}
	return members, err
}

// addGroupMembers adds to the members of an object the people who have roles there through groups. It sets Via of
// each of these people. It reads several groups in one call.
func addGroupMembers(
	ctx context.Context, p *plan, object authz.Object, set authz.RoleSet, people map[authz.ID]Member,
) error {
	rows, err := readHoldersOf(ctx, p, object, authz.TypeGroup)
	if err != nil {
		return err
	}
	groups := rolesOfHolders(rows, set)
	filters := make([]authz.Filter, len(groups))
	for i, group := range groups {
		filters[i] = authz.Filter{
			Type: authz.TypeGroup, ID: group.Holder.ID, Relation: groupMember, SubjectType: user,
		}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return err
	}
	for i, group := range groups {
		for _, r := range found[i] {
			member := people[r.Subject.ID]
			member.User = r.Subject.ID
			member.Via = append(member.Via, group)
			people[r.Subject.ID] = member
		}
	}
	return nil
}

// keepRole deletes the members who have the role neither directly nor through a group. It returns an error with
// CodeInvalid if the role set has no such role. If role is empty, it keeps everybody.
func keepRole(people map[authz.ID]Member, set authz.RoleSet, role string) error {
	if role == "" {
		return nil
	}
	wanted, err := set.ParseAdded([]string{role})
	if err != nil {
		return err
	}
	holds := func(m Member) bool {
		return slices.Contains(m.Roles, wanted[0]) || slices.ContainsFunc(m.Via, func(via HolderRoles) bool {
			return slices.Contains(via.Roles, wanted[0])
		})
	}
	maps.DeleteFunc(people, func(_ authz.ID, m Member) bool { return !holds(m) })
	return nil
}

// readMembersOf reads the members of an account that are of a type of holders.
func readMembersOf(
	ctx context.Context, p *plan, account accountFacts, holders authz.Type,
) (map[authz.ID]Member, error) {
	if holders != user {
		return readOtherMembers(ctx, p, account.object, account.set, holders)
	}
	people, err := readPeople(ctx, p, account.object, account.set)
	if err != nil {
		return nil, err
	}
	return people, addGroupMembers(ctx, p, account.object, account.set, people)
}
