package operation

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// maxHoldersCounted is how many holders an error counts exactly. maxHoldersNamed is how many it names.
const (
	maxHoldersCounted = 10_000
	maxHoldersNamed   = 10
)

// DeleteCustomRole deletes a custom role of an account or subscription. The actor needs manage_roles there. If somebody
// holds the role, the error has CodeConflict, unless cascade is set. With cascade, the first write ends all access
// through the role, and later ones delete its bindings, see Delete.
//
// If match is not nil, it has the versions that the caller accepts, see RoleContent.
func (s *Service) DeleteCustomRole(
	ctx context.Context, by Caller, scope authz.Object, id authz.ID, cascade bool, match []string,
) (Done, error) {
	object, isReplay, err := s.readDeletedRole(ctx, by, scope, id)
	switch {
	case isReplay && authz.CodeOf(err) == authz.CodeNotFound: // the account is deleted, with its roles
		return s.run(ctx, by, deleteOperation(object), func(context.Context, *plan) error { return nil })
	case err != nil:
		return Done{}, err
	}
	var empty *emptyBindingsError
	for {
		done, err := s.deleteObject(ctx, by, object, func(ctx context.Context, p *plan) error {
			return requireDeletableRole(ctx, p, scope, id, cascade, match)
		})
		switch {
		case errors.As(err, &empty):
			if err := s.deleteEmptyBindings(ctx, by, scope, empty.bindings); err != nil {
				return Done{}, err
			}
			continue
		case authz.CodeOf(err) == authz.CodeNotFound && err != nil:
			return Done{}, authz.Errorf(authz.CodeNotFound, "there is no role %q on %s", id, scope)
		}
		return done, err
	}
}

// readDeletedRole returns the object of the custom role that a request deletes. The error has CodeNotFound if the actor
// may not view the place, unless the request is a replay.
func (s *Service) readDeletedRole(
	ctx context.Context, by Caller, scope authz.Object, id authz.ID,
) (object authz.Object, isReplay bool, err error) {
	object.Type = authz.TypeCustomRole
	_, err = s.read(ctx, by, func(ctx context.Context, p *plan) (err error) {
		if isReplay, err = findReplay(ctx, p); err != nil {
			return err
		}
		if !isReplay {
			if err := viewOf(p).Require(ctx, visibility.Existence(scope)); err != nil {
				return err
			}
		}
		subscription, err := readSubscriptionOfPlace(ctx, p, scope)
		if err == nil && !isReplay && !mayBeRole(id) && !authz.IsBuiltInRole(authz.Role(id)) {
			err = authz.Errorf(authz.CodeNotFound, "there is no role %q on %s", id, scope)
		}
		object = authz.CustomRoleObject(subscription.ID, id)
		return err
	})
	return object, isReplay, err
}

// requireDeletableRole returns an error unless the actor may delete a custom role and, without cascade, nobody holds
// it. It returns nil for a role that does not exist: its deletion may be under way.
func requireDeletableRole(
	ctx context.Context, p *plan, scope authz.Object, id authz.ID, cascade bool, match []string,
) error {
	place, err := requireManagedPlace(ctx, p, scope)
	if err != nil {
		return err
	}
	role, err := place.readOwnRole(ctx, p, id)
	if authz.CodeOf(err) == authz.CodeNotFound && err != nil {
		return requireNotElsewhere(ctx, p, place.roleObject(id))
	}
	if err == nil {
		err = requireMatch(role, match)
	}
	if err != nil {
		return err
	}
	p.Require(role.versionRow())
	if cascade {
		return nil
	}
	return requireNoHolders(ctx, p, role)
}

// requireNotElsewhere returns an error with CodeNotFound if a role exists. It is for a role that does not exist on the
// place of the request, but perhaps on another account of the subscription.
func requireNotElsewhere(ctx context.Context, p *plan, role authz.Object) error {
	isPlaced, err := readIsPlaced(ctx, p, role)
	if err == nil && isPlaced {
		err = notFoundError(p, role)
	}
	return err
}

// emptyBindingsError says that nobody holds a role, but bindings of it are stored. They must be deleted before the role
// can require, as a precondition, that it has no bindings.
type emptyBindingsError struct{ bindings []authz.Object }

// Error implements error.
func (e *emptyBindingsError) Error() string {
	return fmt.Sprintf("the role has %d bindings without a holder", len(e.bindings))
}

// requireNoHolders returns an error with CodeConflict if somebody holds a custom role. It requires as a precondition
// that the role has no bindings. If all bindings of the role are empty, it returns an emptyBindingsError.
func requireNoHolders(ctx context.Context, p *plan, role CustomRole) error {
	p.Forbid(bindingsOfRole(role.Object))
	bindings, err := readBindings(ctx, p, role.Object)
	if err != nil || len(bindings) == 0 {
		return err
	}
	held, counts := heldRole{view: viewOf(p)}, make(map[authz.Type]int)
	total := 0
	for _, binding := range bindings {
		rows, err := p.FindSome(ctx, holdersOfBinding(binding), maxHoldersCounted-total+1)
		if err != nil {
			return err
		}
		total += len(rows)
		for _, r := range rows {
			counts[r.Subject.Type]++
		}
		if err := held.name(ctx, p, binding, rows); err != nil {
			return err
		}
		if total > maxHoldersCounted {
			break
		}
	}
	if total == 0 {
		return &emptyBindingsError{bindings}
	}
	return heldError(role, held.named, counts, total)
}

// heldRole collects some of the holders of a role whom the actor may know.
type heldRole struct {
	view  *visibility.View
	named []authz.HeldRole
}

// name adds the holders of a binding, if the actor may know them.
func (h *heldRole) name(ctx context.Context, p *plan, binding authz.Object, rows []authz.Relationship) error {
	if len(h.named) == maxHoldersNamed || len(rows) == 0 {
		return nil
	}
	places, err := readBindingPlaces(ctx, p, []authz.Object{binding})
	if err != nil {
		return err
	}
	accounts, err := readAccountsOfPlaces(ctx, p, places)
	if err != nil {
		return err
	}
	known, err := h.view.MayKnow(ctx, visibility.Roles(accounts[0]))
	if err != nil || !known {
		return err
	}
	for _, r := range rows[:min(len(rows), maxHoldersNamed-len(h.named))] {
		if holder, ok := authz.HolderOf(r.Subject); ok {
			h.named = append(h.named, authz.HeldRole{Holder: holder, On: places[0]})
		}
	}
	return nil
}

// heldError returns the error for deleting a role that somebody holds.
func heldError(role CustomRole, named []authz.HeldRole, counts map[authz.Type]int, total int) error {
	count := authz.Count(total, "time", "times")
	if total > maxHoldersCounted {
		count = fmt.Sprintf("more than %d times", maxHoldersCounted)
	}
	var examples strings.Builder
	for i, held := range named {
		examples.WriteString(map[bool]string{true: ", for example by ", false: ", "}[i == 0])
		fmt.Fprintf(&examples, "%s on %s", held.Holder, held.On)
	}
	err := authz.Errorf(authz.CodeConflict,
		"the role %q is held %s%s; remove it from its holders first, or delete it with cascade", role.ID, count,
		examples.String())
	err.Holders, err.HolderCounts = named, counts
	return err
}

// deleteEmptyBindings deletes bindings that have no holder.
func (s *Service) deleteEmptyBindings(
	ctx context.Context, by Caller, scope authz.Object, bindings []authz.Object,
) error {
	bindings = bindings[:min(len(bindings), bindingsPerRead)]
	_, err := s.run(ctx, by.withoutKey(), "delete_custom_role", func(ctx context.Context, p *plan) error {
		if err := requirePermission(ctx, p, scope, "manage_roles"); err != nil {
			return err
		}
		for _, binding := range bindings {
			holders, err := p.FindSome(ctx, holdersOfBinding(binding), 1)
			if err != nil {
				return err
			}
			if len(holders) > 0 {
				continue
			}
			p.Forbid(holdersOfBinding(binding))
			rows, err := p.Find(ctx, authz.Filter{Type: binding.Type, ID: binding.ID})
			if err != nil {
				return err
			}
			referring, err := p.Find(ctx, authz.Filter{SubjectType: binding.Type, SubjectID: binding.ID})
			if err != nil {
				return err
			}
			for _, r := range append(rows, referring...) {
				p.Delete(r)
			}
		}
		return nil
	})
	return err
}
