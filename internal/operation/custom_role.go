package operation

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// The relations of a custom role, apart from the flags of the permissions that it grants.
const (
	roleScope       authz.Relation = "scope"
	roleDescription authz.Relation = "description"
	roleVersion     authz.Relation = "version"
	roleSlot        authz.Relation = "slot"
	roleActive      authz.Relation = "active"
)

// The relations of a role binding.
const (
	bindingRole   authz.Relation = "role"
	bindingPlace  authz.Relation = "place"
	bindingHolder authz.Relation = "holder"
)

// CustomRole is a role that a customer defined, as operations show it.
type CustomRole struct {
	// ID is unique among the custom roles of a subscription and its accounts.
	ID authz.ID

	// Scope is the account or subscription that the role belongs to.
	Scope authz.Object

	Title       authz.ID
	Description authz.ID // empty if the role has none

	// Grants are the permissions that the role grants, in the order of authz.Grantable.
	Grants []authz.Grant

	// Object stores the role. It is empty in a request, and for a built-in role.
	Object authz.Object

	stored authz.ID // the stored version of a role that was read
}

// Version returns the version of the content of a role: the same for two roles with the same content.
func (r CustomRole) Version() authz.ID {
	content := []string{string(r.Title), string(r.Description)}
	for _, grant := range r.Grants {
		content = append(content, grant.String())
	}
	return digest(strings.Join(content, "\n")) // titles and descriptions contain no line breaks
}

// versionRow returns the relationship that stores the version of a role. An edit of the role replaces it.
func (r CustomRole) versionRow() authz.Relationship {
	version := authz.Object{Type: "custom_role_version", ID: cmp.Or(r.stored, r.Version())}
	return authz.Relationship{Resource: r.Object, Relation: roleVersion, Subject: only(version)}
}

// readCustomRole reads the custom role with an id that can be given on a place, an account or a subscription: a role of
// the place itself or, for an account, of its subscription. It requires as preconditions that the role belongs to its
// scope and is not being deleted. Without such a role, the error has CodeNotFound.
func readCustomRole(ctx context.Context, p *plan, place authz.Object, id authz.ID) (CustomRole, error) {
	subscription, err := readSubscriptionOfPlace(ctx, p, place)
	if err != nil {
		return CustomRole{}, err
	}
	if !mayBeRole(id) {
		return CustomRole{}, authz.Errorf(authz.CodeNotFound, "there is no role %q on %s", id, place)
	}
	role, err := readRoleObject(ctx, p, authz.CustomRoleObject(subscription.ID, id))
	if err == nil && role.Scope != place && role.Scope != subscription {
		err = authz.CodeNotFound
	}
	if errors.Is(err, authz.CodeNotFound) {
		return CustomRole{}, authz.Errorf(authz.CodeNotFound, "there is no role %q on %s", id, place)
	}
	return role, err
}

// mayBeRole reports whether a custom role can have an id.
func mayBeRole(id authz.ID) bool {
	_, err := authz.ParseRoleID(string(id))
	return err == nil
}

// readSubscriptionOfPlace returns the subscription of a place, which is a subscription or an account. It requires as a
// precondition that the account is in it.
func readSubscriptionOfPlace(ctx context.Context, p *plan, place authz.Object) (authz.Object, error) {
	if place.Type == "subscription" {
		return place, nil
	}
	return readPlaceOf(ctx, p, place)
}

// readRoleObject reads a custom role. It requires as preconditions that the role belongs to its scope and is not being
// deleted. The error has CodeNotFound if there is no such role.
func readRoleObject(ctx context.Context, p *plan, object authz.Object) (CustomRole, error) {
	found, err := p.Find(ctx, authz.Filter{Type: object.Type, ID: object.ID})
	if err != nil {
		return CustomRole{}, err
	}
	role, ok := customRoleOf(object, found)
	if !ok {
		return CustomRole{}, authz.Errorf(authz.CodeNotFound, "there is no %s", object)
	}
	p.Require(authz.Relationship{Resource: object, Relation: roleScope, Subject: only(role.Scope)})
	p.Require(authz.Relationship{Resource: object, Relation: roleActive, Subject: everybody})
	return role, nil
}

// customRoleOf returns the custom role that the relationships of an object store. It reports false if they store none,
// or if the role is being deleted.
func customRoleOf(object authz.Object, found []authz.Relationship) (CustomRole, bool) {
	role, active := CustomRole{Object: object, Grants: []authz.Grant{}}, false
	granted := make(map[authz.Relation]bool)
	for _, r := range found {
		switch r.Relation {
		case roleScope:
			role.Scope = r.Subject.Object
		case titleOf:
			role.Title = r.Subject.ID
		case roleDescription:
			role.Description = r.Subject.ID
		case roleVersion:
			role.stored = r.Subject.ID
		case roleActive:
			active = active || r.Subject == everybody
		default:
			granted[r.Relation] = granted[r.Relation] || r.Subject == everybody
		}
	}
	for _, grant := range authz.Grantable {
		if granted[grant.Flag()] {
			role.Grants = append(role.Grants, grant)
		}
	}
	_, id, ok := authz.SplitCustomRole(object)
	role.ID = id
	return role, ok && active && role.Scope != authz.Object{}
}

// rows returns the relationships that store a custom role, apart from its slot.
func (r CustomRole) rows() []authz.Relationship {
	rows := []authz.Relationship{
		{Resource: r.Object, Relation: roleScope, Subject: only(r.Scope)},
		{Resource: r.Object, Relation: titleOf, Subject: titleSubject(r.Title)},
		r.versionRow(),
	}
	if r.Description != "" {
		description := only(authz.Object{Type: "description", ID: r.Description})
		rows = append(rows, authz.Relationship{Resource: r.Object, Relation: roleDescription, Subject: description})
	}
	rows = append(rows, flagRows(r.Object, roleActive)...)
	for _, grant := range r.Grants {
		rows = append(rows, flagRows(r.Object, grant.Flag())...)
	}
	return rows
}

// grantsAll reports whether a list has all of the grants, and returns the first one that it lacks.
func grantsAll(list, grants []authz.Grant) (lacks authz.Grant, ok bool) {
	i := slices.IndexFunc(grants, func(g authz.Grant) bool { return !slices.Contains(list, g) })
	if i < 0 {
		return authz.Grant{}, true
	}
	return grants[i], false
}
