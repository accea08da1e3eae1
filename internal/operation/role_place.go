package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// requireManagedPlace reads an account or subscription on which the actor must have the permission manage_roles.
func requireManagedPlace(ctx context.Context, p *plan, place authz.Object) (rolePlace, error) {
	if err := requirePermission(ctx, p, place, "manage_roles"); err != nil {
		return rolePlace{}, err
	}
	return readRolePlace(ctx, p, place)
}

// roleObject returns the object of the custom role with an id in the subscription of the place.
func (f rolePlace) roleObject(id authz.ID) authz.Object {
	return authz.CustomRoleObject(f.subscription.object.ID, id)
}

// builtIn returns a built-in role of the place. It reports false if the id is not the name of one.
func (f rolePlace) builtIn(id authz.ID) (RoleDefinition, bool) {
	info, ok := f.set.Role(authz.Role(id))
	if !ok || !authz.IsBuiltInRole(info.Name) {
		return RoleDefinition{}, false
	}
	return RoleDefinition{
		CustomRole: CustomRole{
			ID: id, Scope: f.object, Title: authz.ID(info.Title), Grants: f.set.Grants(info.Name),
		},
		BuiltIn: true, IsRequired: info.Name == f.set.Required,
	}, true
}

// builtInNames returns the names of the built-in roles of the place, in the order of its role set.
func (f rolePlace) builtInNames() []authz.Role {
	return slices.DeleteFunc(f.set.Names(), func(name authz.Role) bool { return !authz.IsBuiltInRole(name) })
}

// readRole reads a role that can be given on the place: a built-in role of its role set, or a custom role of the place
// or its subscription. Without such a role, the error has CodeNotFound.
func (f rolePlace) readRole(ctx context.Context, p *plan, id authz.ID) (RoleDefinition, error) {
	if builtIn, ok := f.builtIn(id); ok {
		return builtIn, nil
	}
	role, err := readCustomRole(ctx, p, f.object, id)
	return RoleDefinition{CustomRole: role}, err
}

// readOwnRole reads a custom role that belongs to the place, for an operation that changes it. For a built-in role, and
// for a role of the subscription if the place is an account, the error has CodeInvalid.
func (f rolePlace) readOwnRole(ctx context.Context, p *plan, id authz.ID) (CustomRole, error) {
	if err := f.requireCustom(id); err != nil {
		return CustomRole{}, err
	}
	role, err := readCustomRole(ctx, p, f.object, id)
	if err == nil && role.Scope != f.object {
		err = authz.Errorf(authz.CodeInvalid,
			"the role %q belongs to the subscription of %s; change it through the subscription", id, f.object)
	}
	return role, err
}

// requireCustom returns an error with CodeInvalid if the id is the name of a built-in role of the place.
func (f rolePlace) requireCustom(id authz.ID) error {
	if _, ok := f.builtIn(id); ok {
		return authz.Errorf(authz.CodeInvalid, "%s is a built-in role; only custom roles can be changed and deleted", id)
	}
	return nil
}

// requireCustomRolesFeature requires as a precondition that the subscription has the feature that custom roles need.
// Without the feature, no custom role is created or given.
func requireCustomRolesFeature(p *plan, subscription subscriptionFacts) error {
	if !subscription.has(authz.FeatureCustomRoles) {
		return authz.Errorf(authz.CodeFeatureRequired,
			"custom roles require the feature %s, which the subscription lacks", authz.FeatureCustomRoles)
	}
	p.Require(authz.Relationship{
		Resource: subscription.object, Relation: authz.Relation(authz.FeatureCustomRoles), Subject: everybody,
	})
	return nil
}

// claimRoleID is claimID for the id of a custom role, which is unique in its subscription. In a preview, it also
// reveals a role of the account or subscription in which the actor creates the new one.
func claimRoleID(ctx context.Context, p *plan, role CustomRole) error {
	own, err := p.FindSome(ctx, authz.Filter{
		Type: role.Object.Type, ID: role.Object.ID, Relation: roleScope,
		SubjectType: role.Scope.Type, SubjectID: role.Scope.ID,
	}, 1)
	switch {
	case err != nil:
	case len(own) > 0:
		err = requireFreeID(ctx, p, role.Object)
	default:
		err = claimID(ctx, p, role.Object)
	}
	var known *authz.Error
	if errors.As(err, &known) && known.Code == authz.CodeConflict {
		return authz.Errorf(authz.CodeConflict,
			"the subscription has a role with the id %q already, perhaps in another account, or is still deleting it; "+
				"choose another id", role.ID)
	}
	return err
}
