package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// A built-in role is stored as a relationship of the account or subscription itself. A custom role is stored as a
// relationship of a role binding, which exists once for each pair of a role and a place. Operations handle both
// alike: RoleSet.Row returns the relationship that stores a role, and authz.RoleOf the role that a relationship
// stores. The role set of a place contains the custom roles that are bound to the place, see withBoundRoles.

// boundBy is the relation from a place to its role bindings.
const boundBy authz.Relation = "role_binding"

// lastBinding is the relation from an account or subscription to the newest of its role bindings.
const lastBinding authz.Relation = "last_role_binding"

// bindingsOf returns a filter for the role bindings of a place.
func bindingsOf(place authz.Object) authz.Filter {
	return authz.Filter{Type: place.Type, ID: place.ID, Relation: boundBy}
}

// readRoleObjects reads the objects whose relationships store roles on a place: the place itself and its role
// bindings.
func readRoleObjects(ctx context.Context, p *plan, place authz.Object) ([]authz.Object, error) {
	if place == platform { // it has no role bindings
		return []authz.Object{place}, nil
	}
	bindings, err := p.Find(ctx, bindingsOf(place))
	return append([]authz.Object{place}, bindingsIn(bindings)...), err
}

// bindingsIn returns the role bindings of a place, according to relationships of the place.
func bindingsIn(rows []authz.Relationship) (bindings []authz.Object) {
	for _, r := range rows {
		if r.Relation == boundBy {
			bindings = append(bindings, r.Subject.Object)
		}
	}
	return bindings
}

// readHeld reads the relationships that can store a role of one holder on a place, built-in or custom. It reads no
// other holder.
func readHeld(
	ctx context.Context, p *plan, place authz.Object, holder authz.Holder,
) ([]authz.Relationship, error) {
	return readRoleRows(ctx, p, place, func(of authz.Object) authz.Filter { return rolesFilterOf(of, holder) })
}

// readHoldersOf reads the relationships that can store a role on a place, of all holders of a type.
func readHoldersOf(
	ctx context.Context, p *plan, place authz.Object, holders authz.Type,
) ([]authz.Relationship, error) {
	return readRoleRows(ctx, p, place, func(of authz.Object) authz.Filter { return holdersRows(of, holders) })
}

// readRoleRows reads the relationships that match the filter of each object that readRoleObjects returns.
func readRoleRows(
	ctx context.Context, p *plan, place authz.Object, filterOf func(authz.Object) authz.Filter,
) ([]authz.Relationship, error) {
	objects, err := readRoleObjects(ctx, p, place)
	if err != nil {
		return nil, err
	}
	filters := make([]authz.Filter, len(objects))
	for i, object := range objects {
		filters[i] = filterOf(object)
	}
	found, err := p.FindAll(ctx, filters)
	return slices.Concat(found...), err
}

// forbidHeld requires as preconditions that a person holds no role on a place.
func forbidHeld(ctx context.Context, p *plan, place authz.Object, who authz.ID) error {
	absent, err := absentRoles(ctx, p, place, authz.Person(who))
	for _, precondition := range absent {
		p.AddPrecondition(precondition)
	}
	return err
}

// absentRoles returns the preconditions that a holder has no role on a place.
func absentRoles(
	ctx context.Context, p *plan, place authz.Object, holder authz.Holder,
) ([]authz.Precondition, error) {
	objects, err := readRoleObjects(ctx, p, place)
	absent := make([]authz.Precondition, len(objects))
	for i, object := range objects {
		absent[i] = authz.Precondition{Absent: true, Filter: rolesFilterOf(object, holder)}
	}
	if err != nil {
		return nil, err
	}
	known, err := knownBindings(ctx, p, place)
	return append(absent, known...), err
}

// placedRole is a relationship that stores a role, with the account, subscription or other object on which it gives
// the role.
type placedRole struct {
	place authz.Object
	row   authz.Relationship
}

// readRolesOn reads the roles of a holder on all accounts, subscriptions and other objects of the types. For a
// group, it reads no members.
func readRolesOn(
	ctx context.Context, p *plan, holder authz.Holder, types ...authz.Type,
) (roles []placedRole, err error) {
	for _, typ := range types {
		rows, err := p.Find(ctx, authz.Filter{Type: typ, SubjectType: holder.Type, SubjectID: holder.ID})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			roles = append(roles, placedRole{r.Resource, r})
		}
	}
	rows, err := p.Find(ctx, authz.Filter{
		Type: authz.TypeRoleBinding, SubjectType: holder.Type, SubjectID: holder.ID,
	})
	if err != nil {
		return nil, err
	}
	custom, err := readPlacesOf(ctx, p, rows)
	for _, role := range custom {
		if slices.Contains(types, role.place.Type) {
			roles = append(roles, role)
		}
	}
	return roles, err
}

// readPlacesOf reads the places of the role bindings that the relationships belong to.
func readPlacesOf(ctx context.Context, p *plan, rows []authz.Relationship) (roles []placedRole, err error) {
	for chunk := range slices.Chunk(rows, readChunk) {
		filters := make([]authz.Filter, len(chunk))
		for i, r := range chunk {
			filters[i] = placeFilter(r.Resource)
		}
		places, err := p.FindAll(ctx, filters)
		if err != nil {
			return nil, err
		}
		for i, r := range chunk {
			for _, place := range places[i] {
				roles = append(roles, placedRole{place.Subject.Object, r})
			}
		}
	}
	return roles, nil
}

// builtInOf returns the relationships that store built-in roles.
func builtInOf(rows []authz.Relationship) []authz.Relationship {
	return slices.DeleteFunc(slices.Clone(rows), func(r authz.Relationship) bool {
		return r.Resource.Type == authz.TypeRoleBinding
	})
}

// withBoundRoles returns the role set of a place with the custom roles that are bound to the place, even if nobody
// holds them.
func withBoundRoles(
	ctx context.Context, p *plan, place authz.Object, set authz.RoleSet, subscription authz.ID,
) (authz.RoleSet, error) {
	objects, err := readRoleObjects(ctx, p, place)
	return set.WithCustom(subscription, rolesBoundBy(objects[1:], subscription)...), err
}

// rolesBoundBy returns the ids of the custom roles of a subscription that the role bindings give.
func rolesBoundBy(bindings []authz.Object, subscription authz.ID) (ids []authz.Role) {
	for _, binding := range bindings {
		role, isBinding := authz.RoleOfBinding(binding)
		if in, id, _ := authz.SplitCustomRole(role); isBinding && in == subscription {
			ids = append(ids, authz.Role(id))
		}
	}
	return ids
}

// withCustomRoles returns the role set of a place with the custom roles among the names, so that an operation can
// give them. It requires as preconditions that these roles exist and are not being deleted. For each role that is
// not bound to the place yet, it plans the role binding. Names that are no role remain unknown to the set. If a
// role is being deleted, the error has CodeInvalid.
func withCustomRoles(
	ctx context.Context, p *plan, place authz.Object, set authz.RoleSet, names []string,
) (authz.RoleSet, error) {
	for _, name := range names {
		info, isKnown := set.Role(authz.Role(name))
		id, err := authz.ParseRoleID(name)
		if err != nil || isKnown && !info.IsCustom() {
			continue
		}
		role, err := readCustomRole(ctx, p, place, id)
		if errors.Is(err, authz.CodeNotFound) {
			if _, err := set.BuiltIn().ParseAdded([]string{name}); isKnown {
				return set, err
			}
			continue
		}
		if err != nil {
			return set, err
		}
		if !isKnown {
			subscription, _, _ := authz.SplitCustomRole(role.Object)
			set = set.WithCustom(subscription, authz.Role(id))
			if err := planBinding(ctx, p, role.Object, place); err != nil {
				return set, err
			}
		}
	}
	return set, nil
}

// knownBindings returns the preconditions that a place has no role binding besides those that the plan reads. Without
// them, a concurrent request could give a role for the first time on the place, to a holder whose roles the plan
// changes: then the holder would keep this role.
func knownBindings(ctx context.Context, p *plan, place authz.Object) ([]authz.Precondition, error) {
	if place.Type != "account" && place.Type != "subscription" {
		return nil, nil
	}
	last, err := readLastBinding(ctx, p, place)
	if len(last) == 0 {
		return []authz.Precondition{{Absent: true, Filter: lastBindingOf(place)}}, err
	}
	unchanged := make([]authz.Precondition, len(last))
	for i, r := range last {
		unchanged[i].Filter = authz.Exactly(r)
	}
	return unchanged, err
}

// requireKnownBindings adds the preconditions of knownBindings.
func requireKnownBindings(ctx context.Context, p *plan, place authz.Object) error {
	unchanged, err := knownBindings(ctx, p, place)
	for _, precondition := range unchanged {
		p.AddPrecondition(precondition)
	}
	return err
}

func lastBindingOf(place authz.Object) authz.Filter {
	return authz.Filter{Type: place.Type, ID: place.ID, Relation: lastBinding}
}

func readLastBinding(ctx context.Context, p *plan, place authz.Object) ([]authz.Relationship, error) {
	return p.Find(ctx, lastBindingOf(place))
}

// planBinding plans the first binding of a custom role to a place, without holders.
func planBinding(ctx context.Context, p *plan, role, place authz.Object) error {
	binding := authz.RoleBindingObject(role, place)
	p.Touch(binding, bindingRole, only(role))
	p.Touch(binding, bindingPlace, only(place))
	p.Touch(place, boundBy, only(binding))
	if err := requireKnownBindings(ctx, p, place); err != nil {
		return err
	}
	last, err := readLastBinding(ctx, p, place)
	for _, r := range last {
		if r.Subject.Object != binding {
			p.Delete(r)
		}
	}
	p.Touch(place, lastBinding, only(binding))
	return err
}

// neededToGive returns the permission that an actor needs to give or remove a role on a subscription.
func neededToGive(set authz.RoleSet, role authz.Role) authz.Permission {
	if info, _ := set.Role(role); info.IsCustom() {
		return "manage_roles"
	}
	return authz.Permission("invite_" + role)
}
