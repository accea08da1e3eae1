package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// groupRole is a role that a person has on an object through a group.
type groupRole struct {
	role       authz.Relationship // stores the role of the group
	membership authz.Relationship // stores that the person is a member of the group
}

// readGroupRoles reads the roles that a person has on an object through groups. It reads the groups on the object and,
// if there are any, the person's memberships, but no other members of the groups.
func readGroupRoles(ctx context.Context, p *plan, object authz.Object, who authz.ID) ([]groupRole, error) {
	if who == "" { // the backend or a service account, which are in no group
		return nil, nil
	}
	rows, err := p.Find(ctx, holdersRows(object, authz.TypeGroup))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	memberships, err := p.Find(ctx, membershipsOf(who))
	if err != nil {
		return nil, err
	}
	joined := make(map[authz.Object]authz.Relationship, len(memberships))
	for _, m := range memberships {
		joined[m.Resource] = m
	}
	var roles []groupRole
	for _, r := range rows {
		if m, isMember := joined[r.Subject.Object]; isMember && r.Subject.Relation == groupMember {
			roles = append(roles, groupRole{r, m})
		}
	}
	return roles, nil
}

// membershipsOf returns a filter for the groups that a person is a member of.
func membershipsOf(who authz.ID) authz.Filter {
	return authz.Filter{Type: authz.TypeGroup, Relation: groupMember, SubjectType: user, SubjectID: who}
}

// requireGroupRoles adds, as preconditions, the roles that the actor has on an object through groups, and the actor's
// memberships of these groups. A decision about the actor and the object may depend on them.
func requireGroupRoles(ctx context.Context, p *plan, object authz.Object) error {
	roles, err := readGroupRoles(ctx, p, object, p.by.Actor.Person())
	for _, r := range roles {
		p.Require(r.role)
		p.Require(r.membership)
	}
	return err
}
