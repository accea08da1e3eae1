package operation

import (
	"context"
	"strconv"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

const slotType authz.Type = "custom_role_slot"

// maxRoles is how many custom roles can belong to one object of a type.
var maxRoles = map[authz.Type]int{"account": 50, "subscription": 100}

// slotObject returns a slot of an account or subscription. Each of its custom roles has a slot of its own, with a
// number from 1 to maxRoles, so that concurrent requests cannot exceed the limit.
func slotObject(scope authz.Object, number int) authz.Object {
	return authz.Object{Type: slotType, ID: authz.ID(scope.Type) + "/" + scope.ID + "/" + authz.ID(strconv.Itoa(number))}
}

// slotNumber returns the number of a slot. It reports false for an object that is no slot of the scope.
func slotNumber(scope, slot authz.Object) (int, bool) {
	text, found := strings.CutPrefix(string(slot.ID), string(scope.Type)+"/"+string(scope.ID)+"/")
	number, err := strconv.Atoi(text)
	ok := found && err == nil && number >= 1 && number <= maxRoles[scope.Type] && slotObject(scope, number) == slot
	return number, ok
}

// planSlot plans to take the first free slot of a role's scope. The error has CodeConflict if all slots are taken.
func planSlot(ctx context.Context, p *plan, role CustomRole) error {
	roles, err := readRolesOfScope(ctx, p, role.Scope)
	if err != nil {
		return err
	}
	filters := make([]authz.Filter, len(roles))
	for i, object := range roles {
		filters[i] = authz.Filter{Type: object.Type, ID: object.ID, Relation: roleSlot}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return err
	}
	taken := make(map[authz.Object]bool)
	for _, rows := range found {
		for _, r := range rows {
			taken[r.Subject.Object] = true
		}
	}
	for number := 1; number <= maxRoles[role.Scope.Type]; number++ {
		if slot := slotObject(role.Scope, number); !taken[slot] {
			p.Forbid(authz.Filter{
				Type: authz.TypeCustomRole, Relation: roleSlot, SubjectType: slot.Type, SubjectID: slot.ID, SubjectPlain: true,
			})
			p.Create(role.Object, roleSlot, only(slot))
			return nil
		}
	}
	return authz.Errorf(authz.CodeConflict, "%s has %d custom roles, and cannot have more; delete one first", role.Scope,
		maxRoles[role.Scope.Type])
}

// readRolesOfScope reads the objects of all custom roles that belong to an account or subscription.
func readRolesOfScope(ctx context.Context, p *plan, scope authz.Object) ([]authz.Object, error) {
	rows, err := p.Find(ctx, authz.Filter{
		Type: authz.TypeCustomRole, Relation: roleScope, SubjectType: scope.Type, SubjectID: scope.ID, SubjectPlain: true,
	})
	roles := make([]authz.Object, len(rows))
	for i, r := range rows {
		roles[i] = r.Resource
	}
	return roles, err
}
