package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// grants says which of the requested permissions the actor has on an object.
type grants struct {
	actor   authz.Actor
	object  authz.Object
	allowed map[authz.Permission]bool
}

// need returns an error with CodeForbidden that names the permission, unless the actor has it.
func (g grants) need(permission authz.Permission) error {
	if g.allowed[permission] {
		return nil
	}
	return visibility.Lacks(g.actor, permission, g.object)
}

// lacks returns an error with CodeForbidden that names the permission.
func lacks(permission authz.Permission, format string, args ...any) *authz.Error {
	err := authz.Errorf(authz.CodeForbidden, format, args...)
	err.Permission = permission
	return err
}

// readPermissions checks which of the permissions the actor has on an object. It requires, as preconditions, every
// relationship that the answer may depend on. If the actor may not view the object, it returns an error with
// CodeNotFound, the same as for a missing object.
func readPermissions(
	ctx context.Context, p *plan, object authz.Object, permissions ...authz.Permission,
) (grants, error) {
	allowed, err := viewOf(p).Permissions(ctx, object, permissions...)
	if err != nil {
		return grants{}, err
	}
	return grants{actor: p.by.Actor, object: object, allowed: allowed}, requireDecision(ctx, p, object)
}

// requirePermission returns an error unless the actor has the permission: with CodeNotFound if they may not view the
// object, otherwise with CodeForbidden.
func requirePermission(ctx context.Context, p *plan, object authz.Object, permission authz.Permission) error {
	g, err := readPermissions(ctx, p, object, permission)
	if err != nil {
		return err
	}
	return g.need(permission)
}

// notFoundError returns the error for an object that does not exist or that the actor may not view.
func notFoundError(p *plan, object authz.Object) *authz.Error {
	if p.by.Actor == "" {
		return authz.Errorf(authz.CodeNotFound, "there is no %s", object)
	}
	return visibility.NotFound(object)
}

// requireDecision adds, as preconditions, every relationship that a decision about the actor and the object may
// depend on: the object's relationships to the actor, to groups of the actor, to custom roles of the actor and to
// subjects other than holders of roles, and the same relationships of every object that contains it.
func requireDecision(ctx context.Context, p *plan, object authz.Object) error {
	if p.decided[object] {
		return nil
	}
	p.decided[object] = true
	kind, actor := kindOf(object.Type), p.by.Actor.Object()
	filters := []authz.Filter{{Type: object.Type, ID: object.ID}}
	if kind.dependsOnPlace {
		filters[0].Relation = kind.place
	} else if kind.hasUnboundedMembers {
		filters[0].SubjectType, filters[0].SubjectID = actor.Type, actor.ID
		if kind.place != "" {
			filters = append(filters,
				authz.Filter{Type: object.Type, ID: object.ID, SubjectType: actor.Type, SubjectWildcard: true},
				authz.Filter{Type: object.Type, ID: object.ID, Relation: kind.place})
		}
	}
	hasRoles := kind.list != "" && kind.place != ""
	if hasRoles {
		filters = append(filters, bindingsOf(object))
	}
	if hasRoles && actor.Type == user && actor.ID != "" {
		filters = append(filters, holdersRows(object, authz.TypeGroup))
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return err
	}
	if hasRoles {
		if err := requireGroupRoles(ctx, p, object); err != nil {
			return err
		}
	}
	isBound := false
	for _, rows := range found {
		for _, r := range rows {
			isBound = isBound || r.Relation == boundBy
			_, isHolder := authz.HolderOf(r.Subject)
			if isHolder && r.Subject.Object != actor || r.Relation == boundBy { // see requireCustomRoles
				continue
			}
			p.Require(r)
			if r.Relation == kind.place {
				if err := requireDecision(ctx, p, r.Subject.Object); err != nil {
					return err
				}
			}
		}
	}
	if !isBound {
		return nil
	}
	return requireCustomRoles(ctx, p, object)
}

// decide answers checks at the plan's snapshot. If one check cannot be decided, decide returns only the error of this
// check.
func decide(ctx context.Context, p *plan, checks []authz.Check) ([]bool, error) {
	results, err := p.Check(ctx, checks)
	if err != nil {
		return nil, err
	}
	allowed := make([]bool, len(results))
	for i, result := range results {
		if result.Err != nil {
			return nil, result.Err
		}
		allowed[i] = result.Decision.Allowed()
	}
	return allowed, nil
}
