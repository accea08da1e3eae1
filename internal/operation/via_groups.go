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
	return rolesOfGroups(rows, set), err
}

// rolesOfGroups returns the groups that hold roles, with these roles, sorted by id. rows are the relationships of one
// object.
func rolesOfGroups(rows []authz.Relationship, set authz.RoleSet) (groups []HolderRoles) {
	held := make(map[authz.ID][]authz.Relationship)
	for _, r := range inOrder(rows, set) {
		held[r.Subject.ID] = append(held[r.Subject.ID], r)
	}
	for _, group := range sortedKeys(held) {
		groups = append(groups, holderRolesOf(groupHolder(group), held[group]))
	}
	return groups
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
	groups := rolesOfGroups(rows, set)
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

// keepRole deletes the people who have the role neither directly nor through a group. It returns an error with
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
