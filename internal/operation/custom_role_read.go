package operation

import (
	"context"
	"fmt"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// RoleDefinitions is a page of roles; NextCursor is empty at the end.
type RoleDefinitions struct {
	Roles      []RoleDefinition
	NextCursor string
}

// GetRole returns a role that can be given on an account or subscription: a built-in role of its role set, or a custom
// role of the place or of its subscription. The actor needs view.
func (s *Service) GetRole(
	ctx context.Context, by Caller, place authz.Object, id authz.ID,
) (RoleDefinition, authz.Token, error) {
	var role RoleDefinition
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		facts, err := readVisiblePlace(ctx, p, place)
		if err != nil {
			return err
		}
		if role, err = facts.readRole(ctx, p, id); err != nil {
			return err
		}
		return hideScopes(ctx, p, place, &role)
	})
	return answered(role, token, err)
}

// readVisiblePlace is readRolePlace for an actor who must be able to view the place.
func readVisiblePlace(ctx context.Context, p *plan, place authz.Object) (rolePlace, error) {
	if err := viewOf(p).Require(ctx, visibility.Existence(place)); err != nil {
		return rolePlace{}, err
	}
	return readRolePlace(ctx, p, place)
}

// hideScopes removes the scope of roles that belong to the subscription of an account, if the actor may not view the
// subscription.
func hideScopes(ctx context.Context, p *plan, place authz.Object, roles ...*RoleDefinition) error {
	for _, role := range roles {
		if role.Scope == place {
			continue
		}
		seen, err := mayViewSubscriptions(ctx, p, role.Scope.ID)
		if err != nil {
			return err
		}
		if !seen[role.Scope.ID] {
			role.Scope = authz.Object{}
		}
	}
	return nil
}

// The keys of a list of roles, which sort it: first the built-in roles in the order of the role set, then the custom
// roles of the place, and then those of its subscription.
const (
	builtInKey      = "0/"
	ownKey          = "1/"
	subscriptionKey = "2/"
)

// ListRoles returns a page of the roles that can be given on an account or subscription, see GetRole. The actor needs
// view.
func (s *Service) ListRoles(
	ctx context.Context, by Caller, place authz.Object, page Page,
) (RoleDefinitions, authz.Token, error) {
	var roles RoleDefinitions
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		facts, err := readVisiblePlace(ctx, p, place)
		if err != nil {
			return err
		}
		found := make(map[authz.ID]*RoleDefinition)
		for i, name := range facts.builtInNames() {
			role, _ := facts.builtIn(authz.ID(name))
			found[authz.ID(fmt.Sprintf("%s%02d", builtInKey, i))] = &role
		}
		if err := addCustomRoles(ctx, p, ownKey, place, found); err != nil {
			return err
		}
		if place != facts.subscription.object {
			if err := addCustomRoles(ctx, p, subscriptionKey, facts.subscription.object, found); err != nil {
				return err
			}
		}
		keys, next, err := page.of("roles of "+string(place.Type), place.ID).cut(sortedKeys(found))
		if err != nil {
			return err
		}
		shown := make([]*RoleDefinition, len(keys))
		for i, key := range keys {
			shown[i] = found[key]
		}
		roles.NextCursor = next
		if roles.Roles, err = readContents(ctx, p, shown); err != nil {
			return err
		}
		for i := range roles.Roles {
			err = hideScopes(ctx, p, place, &roles.Roles[i])
			if err != nil {
				return err
			}
		}
		return nil
	})
	return answered(roles, token, err)
}

// addCustomRoles adds the custom roles of an account or subscription, with their ids only.
func addCustomRoles(
	ctx context.Context, p *plan, key string, scope authz.Object, to map[authz.ID]*RoleDefinition,
) error {
	objects, err := readRolesOfScope(ctx, p, scope)
	for _, object := range objects {
		if _, id, ok := authz.SplitCustomRole(object); ok {
			to[authz.ID(key)+id] = &RoleDefinition{CustomRole: CustomRole{ID: id, Object: object}}
		}
	}
	return err
}

// readContents returns the roles with the contents of the custom roles. It leaves out incomplete custom roles, which
// only another tool can have stored.
func readContents(ctx context.Context, p *plan, roles []*RoleDefinition) ([]RoleDefinition, error) {
	filters := make([]authz.Filter, 0, len(roles))
	for _, role := range roles {
		if !role.BuiltIn {
			filters = append(filters, authz.Filter{Type: role.Object.Type, ID: role.Object.ID})
		}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return nil, err
	}
	read := make([]RoleDefinition, 0, len(roles))
	for _, role := range roles {
		if role.BuiltIn {
			read = append(read, *role)
			continue
		}
		var ok bool
		role.CustomRole, ok = customRoleOf(role.Object, found[0])
		if found = found[1:]; ok {
			read = append(read, *role)
		}
	}
	return read, nil
}

func (s *Service) roleResult(by Caller, place authz.Object, id authz.ID) result[RoleDefinition] {
	named := RoleDefinition{CustomRole: CustomRole{ID: id}}
	return result[RoleDefinition]{named, func(ctx context.Context) (RoleDefinition, authz.Token, error) {
		return s.GetRole(ctx, by, place, id)
	}}
}
