package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// RoleDefinition is a role that can be given on an account or subscription: a custom role, or a built-in role of the
// role set.
type RoleDefinition struct {
	CustomRole

	BuiltIn bool

	// IsRequired is set for the required role of the role set.
	IsRequired bool
}

// NewCustomRole describes a custom role to create in an account or subscription.
type NewCustomRole struct {
	ID          authz.ID
	Scope       authz.Object
	Title       authz.ID
	Description authz.ID

	// Grants are the permissions to grant, for example importer.run. If From is not empty, the role also grants what the
	// role with this id grants at the moment.
	Grants []string
	From   string
}

// RoleContent replaces the content of a custom role.
type RoleContent struct {
	Title       authz.ID
	Description authz.ID
	Grants      []string

	// Match has the versions that the caller accepts as the present version. If it is nil, the caller accepts each.
	Match []string
}

// CreateCustomRole creates a role in an account or subscription. The actor needs manage_roles there, and the
// subscription needs the feature custom_roles.
func (s *Service) CreateCustomRole(
	ctx context.Context, by Caller, in NewCustomRole,
) (RoleDefinition, Done, error) {
	named := CustomRole{ID: in.ID, Scope: in.Scope, Title: in.Title, Description: in.Description}
	grants, err := parseGrants(in.Grants, in.Scope.Type)
	if err != nil {
		return RoleDefinition{}, Done{}, err
	}
	build := func(ctx context.Context, p *plan) (RoleDefinition, error) {
		created := named
		place, err := requireManagedPlace(ctx, p, in.Scope)
		if err != nil {
			return RoleDefinition{}, err
		}
		if err := requireCustomRolesFeature(p, place.subscription); err != nil {
			return RoleDefinition{}, err
		}
		if created.Grants, err = withGrantsOf(ctx, p, place, in.From, grants); err != nil {
			return RoleDefinition{}, err
		}
		created.Object = place.roleObject(in.ID)
		if err := claimRoleID(ctx, p, created); err != nil {
			return RoleDefinition{}, err
		}
		if err := planSlot(ctx, p, created); err != nil {
			return RoleDefinition{}, err
		}
		for _, r := range created.rows() {
			p.Create(r.Resource, r.Relation, r.Subject)
		}
		return RoleDefinition{CustomRole: created}, nil
	}
	return runWithResult(ctx, s, by, "create_custom_role", s.roleResult(by, in.Scope, in.ID), build)
}

// withGrantsOf adds to the grants those of the role with the id from, unless from is empty. It requires as a
// precondition that this role does not change.
func withGrantsOf(
	ctx context.Context, p *plan, place rolePlace, from string, grants []authz.Grant,
) ([]authz.Grant, error) {
	if from == "" {
		return grants, nil
	}
	source, err := place.readRole(ctx, p, authz.ID(from))
	if authz.CodeOf(err) == authz.CodeNotFound {
		return nil, authz.Errorf(authz.CodeInvalid, "from: %q is no role of %s; built-in roles are %s", from, place.object,
			list(place.builtInNames()))
	}
	if err != nil {
		return nil, err
	}
	if !source.BuiltIn {
		p.Require(source.versionRow())
	}
	copied := inScope(source.Grants, place.object.Type)
	return slices.DeleteFunc(slices.Clone(authz.Grantable), func(g authz.Grant) bool {
		return !slices.Contains(grants, g) && !slices.Contains(copied, g)
	}), nil
}

// ReplaceCustomRole replaces the content of a custom role, in one write. It takes effect for all holders of the role.
// The actor needs manage_roles on the account or subscription that the role belongs to. If the present version is not
// in Match, the error has CodePreconditionFailed.
func (s *Service) ReplaceCustomRole(
	ctx context.Context, by Caller, scope authz.Object, id authz.ID, content RoleContent,
) (RoleDefinition, Done, error) {
	grants, err := parseGrants(content.Grants, scope.Type)
	if err != nil {
		return RoleDefinition{}, Done{}, err
	}
	build := func(ctx context.Context, p *plan) (RoleDefinition, error) {
		place, err := requireManagedPlace(ctx, p, scope)
		if err != nil {
			return RoleDefinition{}, err
		}
		present, err := place.readOwnRole(ctx, p, id)
		if err != nil {
			return RoleDefinition{}, err
		}
		if err := requireMatch(present, content.Match); err != nil {
			return RoleDefinition{}, err
		}
		replaced := CustomRole{
			ID: id, Scope: scope, Title: content.Title, Description: content.Description, Grants: grants,
			Object: present.Object,
		}
		added := slices.DeleteFunc(slices.Clone(grants), func(g authz.Grant) bool {
			return slices.Contains(present.Grants, g)
		})
		if err := requireMayAdd(ctx, p, place, present, added); err != nil {
			return RoleDefinition{}, err
		}
		planContent(p, present, replaced)
		return RoleDefinition{CustomRole: replaced}, nil
	}
	return runWithResult(ctx, s, by, "replace_custom_role", s.roleResult(by, scope, id), build)
}

// requireMatch returns an error with CodePreconditionFailed unless a role has one of the versions. A nil list accepts
// each version.
func requireMatch(role CustomRole, versions []string) error {
	if versions == nil || slices.Contains(versions, string(role.Version())) {
		return nil
	}
	return authz.Errorf(authz.CodePreconditionFailed,
		"the role %q has changed: its version is %q; read it again, and repeat the change", role.ID, role.Version())
}

// planContent plans to replace the content of a custom role. It requires the present version as a precondition.
func planContent(p *plan, present, replaced CustomRole) {
	p.Require(present.versionRow())
	old, wanted := present.rows(), replaced.rows()
	for _, r := range old {
		if !slices.Contains(wanted, r) {
			p.Delete(r)
		}
	}
	for _, r := range wanted {
		if !slices.Contains(old, r) {
			p.Touch(r.Resource, r.Relation, r.Subject)
		}
	}
}

// requireMayAdd returns an error with CodeForbidden if the actor may not add permissions to a custom role that somebody
// holds or is invited to: the change would give the permissions to these people, and the actor may not give them, see
// limitOfAdding. If there are no such people, it requires that as preconditions.
func requireMayAdd(
	ctx context.Context, p *plan, place rolePlace, role CustomRole, added []authz.Grant,
) error {
	if len(added) == 0 {
		return nil
	}
	limit, err := limitOfAdding(ctx, p, place, added)
	if err != nil || limit == "" {
		return err
	}
	for _, use := range []struct {
		rows authz.Filter
		text string
	}{
		{bindingsOfRole(role.Object), "which has been given"},
		{offersOfRole(role.Object), "which an open invitation offers"},
	} {
		found, err := p.FindSome(ctx, use.rows, 1)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return authz.Errorf(authz.CodeForbidden, "%s, so %s cannot add permissions to the role %q, %s", limit,
				p.by.Actor, role.ID, use.text)
		}
		p.Forbid(use.rows)
	}
	return nil
}

// limitOfAdding says why the actor, who may manage the roles of a place, may not give somebody some permissions there.
// It returns "" if the actor may.
//
// Who may manage the roles of an account may also give each role on it, perhaps only until the end of their own role.
// Owners may do everything on a subscription. Other actors there may give only what they have themselves.
func limitOfAdding(ctx context.Context, p *plan, place rolePlace, grants []authz.Grant) (string, error) {
	if place.object.Type == "account" {
		end, err := readGrantEnd(ctx, p, accountFacts(place))
		if err != nil || end.IsZero() {
			return "", err
		}
		return grantEndLimit(p, place.object, end), nil
	}
	return limitOnSubscription(ctx, p, place.subscription, grants)
}

// limitOnSubscription is limitOfAdding for a subscription.
func limitOnSubscription(
	ctx context.Context, p *plan, subscription subscriptionFacts, grants []authz.Grant,
) (string, error) {
	held, err := readPermissions(ctx, p, subscription.object, "invite_owner")
	if err != nil || held.allowed["invite_owner"] {
		return "", err
	}
	const manager authz.Role = "business_admin" // the only other role with manage_roles
	if lacked, ok := grantsAll(subscription.set.Grants(manager), grants); !ok {
		return "the role " + string(manager) + " does not have the permission " + lacked.String() + " everywhere", nil
	}
	return "", nil
}

// requireMayGiveCustom returns an error with CodeForbidden if the actor, who may manage the roles of a subscription,
// may not give one of its custom roles on the whole subscription: only an owner may give permissions that the actor
// lacks. It requires as a precondition that the permissions of the given roles do not change. gives reports whether
// the actor gives a role of the set.
func requireMayGiveCustom(
	ctx context.Context, p *plan, subscription authz.Object, set authz.RoleSet, gives func(authz.Role) bool,
) error {
	for _, id := range set.Custom() {
		if !gives(id) {
			continue
		}
		role, err := readRoleObject(ctx, p, authz.CustomRoleObject(subscription.ID, authz.ID(id)))
		if err != nil {
			return err
		}
		limit, err := limitOnSubscription(ctx, p, subscriptionFacts{object: subscription, set: set}, role.Grants)
		if err != nil {
			return err
		}
		if limit != "" {
			return authz.Errorf(authz.CodeForbidden, "%s, so only an owner of %s can give the role %q on it",
				limit, subscription, role.ID)
		}
		p.Require(role.versionRow())
	}
	return nil
}
