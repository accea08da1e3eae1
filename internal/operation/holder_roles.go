package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// HolderRoles are the roles of a holder on an account or a subscription.
type HolderRoles struct {
	Holder authz.Holder
	Roles  Roles

	// ExpiresAt is when the last of the roles ends; zero if one of them is permanent.
	ExpiresAt time.Time
}

// AccountGroups is a page of the groups that hold roles on an account; NextCursor is empty at the end.
type AccountGroups struct {
	Groups     []HolderRoles
	NextCursor string
}

// AccountGroups returns a page of the groups that hold roles on an account, sorted by id. The actor needs
// list_members.
func (s *Service) AccountGroups(
	ctx context.Context, by Caller, id authz.ID, page Page,
) (AccountGroups, authz.Token, error) {
	var groups AccountGroups
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		place, err := readListedPlace(ctx, p, accountObject(id))
		if err != nil {
			return err
		}
		found, err := readHoldersOf(ctx, p, place.object, authz.TypeGroup)
		if err != nil {
			return err
		}
		all := rolesOfHolders(found, place.set)
		ids := make([]authz.ID, len(all))
		for i, h := range all {
			ids[i] = h.Holder.ID
		}
		ids, next, err := page.of("account groups", id).cut(ids)
		groups = AccountGroups{NextCursor: next}
		for _, h := range all {
			if _, onPage := slices.BinarySearch(ids, h.Holder.ID); onPage {
				groups.Groups = append(groups.Groups, h)
			}
		}
		return err
	})
	return answered(groups, token, err)
}

// GetHolderRoles returns the roles of a group or service account on an account or subscription. It returns an error
// with CodeNotFound if the holder has none. The actor needs list_members on the account, or list_users on the
// subscription.
func (s *Service) GetHolderRoles(
	ctx context.Context, by Caller, on authz.Object, holder authz.Holder,
) (HolderRoles, authz.Token, error) {
	var roles HolderRoles
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		place, err := readListedPlace(ctx, p, on)
		if err != nil {
			return err
		}
		held, err := readHolderRoles(ctx, p, on, place.set, holder)
		if err == nil && len(held) == 0 {
			err = authz.Errorf(authz.CodeNotFound, "%s holds no role on %s", holder, on)
		}
		roles = holderRolesOf(holder, held)
		return err
	})
	return answered(roles, token, err)
}

// PutHolderRoles sets the roles of a group or service account on an account or subscription to exactly these. If an
// end is given, the roles expire then; roles on a subscription have no end. On an account, the actor needs
// assign_roles. On a subscription, the actor needs list_users, and the permission invite_ROLE for each role that
// the call adds or removes.
//
// The holder must belong to the subscription, or to the account itself. If the holder has no role there yet, the
// actor must be allowed to view the holder.
func (s *Service) PutHolderRoles(
	ctx context.Context, by Caller, on authz.Object, holder authz.Holder, roles []string, until time.Time,
) (HolderRoles, Done, error) {
	until = fullSecond(until)
	build := func(ctx context.Context, p *plan) (HolderRoles, error) {
		if err := s.inFuture(until); err != nil {
			return HolderRoles{}, err
		}
		place, err := readChangedPlace(ctx, p, on)
		if err != nil {
			return HolderRoles{}, err
		}
		change, err := readHolderChange(ctx, p, place, holder, roles, until)
		if err != nil {
			return HolderRoles{}, err
		}
		if err := requireKnownHolder(ctx, p, place, change); err != nil {
			return HolderRoles{}, err
		}
		return HolderRoles{Holder: holder, Roles: change.wanted, ExpiresAt: change.until}, change.plan(ctx, p)
	}
	named := HolderRoles{Holder: holder}
	again := result[HolderRoles]{named, func(ctx context.Context) (HolderRoles, authz.Token, error) {
		return s.GetHolderRoles(ctx, by, on, holder)
	}}
	return runWithResult(ctx, s, by, "put_"+holderOperation(on, holder), again, build)
}

// RemoveHolderRoles deletes all roles of a group or service account on an account or subscription. The actor needs
// the same permissions as for PutHolderRoles.
func (s *Service) RemoveHolderRoles(
	ctx context.Context, by Caller, on authz.Object, holder authz.Holder,
) (Done, error) {
	return s.run(ctx, by, "remove_"+holderOperation(on, holder), func(ctx context.Context, p *plan) error {
		place, err := readChangedPlace(ctx, p, on)
		if err != nil {
			return err
		}
		change := holderChange{object: on, set: place.set, holder: holder}
		if change.held, err = readHolderRoles(ctx, p, on, place.set, holder); err != nil {
			return err
		}
		if err := requireMayChangeHolder(ctx, p, change); err != nil {
			return err
		}
		return change.plan(ctx, p)
	})
}

// holderOperation returns the name in the audit log, without its verb, of an operation that changes roles of a
// holder.
func holderOperation(on authz.Object, holder authz.Holder) string {
	name := string(on.Type) + "_" + string(holder.Type)
	if name == "account_group" {
		return name
	}
	return name + "_roles"
}

// rolePlace has the facts about an account or subscription on which holders have roles.
type rolePlace struct {
	object authz.Object
	set    authz.RoleSet

	// subscription is the place itself, or the subscription of the account.
	subscription subscriptionFacts
}

// readRolePlace reads an account or subscription.
func readRolePlace(ctx context.Context, p *plan, object authz.Object) (rolePlace, error) {
	if object.Type == "account" {
		account, err := readAccount(ctx, p, object.ID)
		return rolePlace(account), err
	}
	facts, err := readSubscription(ctx, p, object.ID)
	return rolePlace{object, facts.set, facts}, err
}

// readListedPlace reads an account or subscription whose members the actor may list.
func readListedPlace(ctx context.Context, p *plan, object authz.Object) (rolePlace, error) {
	if err := viewOf(p).Require(ctx, visibility.Roles(object)); err != nil {
		return rolePlace{}, err
	}
	return readRolePlace(ctx, p, object)
}

// readChangedPlace reads an account or subscription on which the actor changes roles of holders. It returns an
// error unless the actor has assign_roles on the account, or list_users on the subscription. For the roles on a
// subscription, requireMayChangeHolder checks further permissions.
func readChangedPlace(ctx context.Context, p *plan, object authz.Object) (rolePlace, error) {
	needed := kindOf(object.Type).list
	if object.Type == "account" {
		needed = "assign_roles"
	}
	if err := requirePermission(ctx, p, object, needed); err != nil {
		return rolePlace{}, err
	}
	return readRolePlace(ctx, p, object)
}

// requireKnownHolder requires as a precondition that the holder of a change belongs to the subscription of a place,
// or to the place itself. If it does not, the error has CodeNotFound. So does the error if the holder has no role
// there, and the actor may not view the holder: a role shows the holder to everybody who may list the members of
// the place.
func requireKnownHolder(ctx context.Context, p *plan, place rolePlace, change holderChange) error {
	holder := change.holder.Object()
	if len(change.held) == 0 {
		if _, err := readPermissions(ctx, p, holder); err != nil {
			return err
		}
	}
	owner, err := readPlaceOf(ctx, p, holder)
	if err == nil && owner != place.object && owner != place.subscription.object {
		err = notFoundError(p, holder)
	}
	return err
}

// readHolderChange returns the change after which a group or service account holds the named roles on a place. It
// returns an error if the role set, a missing feature, a missing permission or the end of the actor's own right
// forbids one of the roles.
func readHolderChange(
	ctx context.Context, p *plan, place rolePlace, holder authz.Holder, roles []string, until time.Time,
) (change holderChange, err error) {
	change = holderChange{object: place.object, holder: holder, until: until}
	if place.set, err = withCustomRoles(ctx, p, place.object, place.set, roles); err != nil {
		return change, err
	}
	change.set = place.set
	if change.wanted, err = parseHolderRoles(place.set, roles, holder); err != nil {
		return change, err
	}
	if change.held, err = readHolderRoles(ctx, p, place.object, place.set, holder); err != nil {
		return change, err
	}
	for _, role := range place.set.Roles {
		if !change.gives(role.Name) {
			continue
		}
		if err := requireFeature(p, place.subscription, role); err != nil {
			return change, err
		}
	}
	if place.object.Type == "account" {
		return limitHolderEnd(ctx, p, accountFacts(place), change)
	}
	return change, requireMayChangeHolder(ctx, p, change)
}

// requireMayChangeHolder returns an error unless the actor may give and remove each changed role on a subscription.
// On an account, assign_roles is enough, see readChangedPlace.
func requireMayChangeHolder(ctx context.Context, p *plan, change holderChange) error {
	if change.object.Type == "account" {
		return nil
	}
	for _, role := range change.set.Names() {
		if !change.changes(role) {
			continue
		}
		if err := requirePermission(ctx, p, change.object, neededToGive(change.set, role)); err != nil {
			return err
		}
	}
	return requireMayGiveCustom(ctx, p, change.object, change.set, change.gives)
}
