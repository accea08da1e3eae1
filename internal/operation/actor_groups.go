package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// groupRole is a role that a person has on an object through a group.
type groupRole struct {
	role       authz.Relationship // stores the role of the group
	membership authz.Relationship // stores that the person is a member of the group
}

// readGroupRoles reads the roles that a person has on an object through groups. It reads the groups on the object
// and, if there are any, the person's memberships, but no other members of the groups.
func readGroupRoles(ctx context.Context, p *plan, object authz.Object, who authz.ID) ([]groupRole, error) {
	if who == "" { // the backend or a service account, which are in no group
		return nil, nil
	}
	rows, err := readHoldersOf(ctx, p, object, authz.TypeGroup)
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

// requireCustomRoles adds, as preconditions, the custom roles that the actor has on a place, directly or through
// groups: the holder, the role binding, and that the role is neither edited nor deleted. A decision about the actor
// and the place may depend on them. For a role through a group, requireGroupRoles requires the holder.
func requireCustomRoles(ctx context.Context, p *plan, place authz.Object) error {
	bindings, err := p.Find(ctx, bindingsOf(place))
	if err != nil || len(bindings) == 0 || p.by.Actor == "" {
		return err
	}
	held, err := readHeld(ctx, p, place, authz.Holder(p.by.Actor.Object()))
	if err != nil {
		return err
	}
	through, err := readGroupRoles(ctx, p, place, p.by.Actor.Person())
	if err != nil {
		return err
	}
	holds := make(map[authz.Object]bool)
	for _, r := range held {
		if r.Resource != place {
			holds[r.Resource] = true
			p.Require(r)
		}
	}
	for _, r := range through {
		holds[r.role.Resource] = true
	}
	for _, bound := range bindings {
		if binding := bound.Subject.Object; holds[binding] {
			p.Require(bound)
			if err := requireUnchangedRole(ctx, p, binding); err != nil {
				return err
			}
		}
	}
	return nil
}

// requireUnchangedRole requires as preconditions that the role of a role binding is neither edited nor deleted.
// Every edit replaces the version of a role, so the version stands for all permissions that the role grants. If
// another tool stored the role without a version, requireUnchangedRole requires all relationships of the role.
func requireUnchangedRole(ctx context.Context, p *plan, binding authz.Object) error {
	roles, err := p.Find(ctx, authz.Filter{Type: binding.Type, ID: binding.ID, Relation: bindingRole})
	if err != nil {
		return err
	}
	for _, bound := range roles {
		p.Require(bound)
		role := bound.Subject.Object
		rows, err := p.Find(ctx, authz.Filter{Type: role.Type, ID: role.ID})
		if err != nil {
			return err
		}
		hasVersion := slices.ContainsFunc(rows, func(r authz.Relationship) bool { return r.Relation == roleVersion })
		for _, r := range rows {
			if r.Relation == roleVersion || r.Relation == roleActive || !hasVersion {
				p.Require(r)
			}
		}
	}
	return nil
}
