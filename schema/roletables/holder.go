package roletables

import "github.com/sluice-authz/sluice/internal/authz"

// Holder is a kind of subject that holds roles. A table applies to every kind: its permissions do not depend on the
// kind.
type Holder string

// The kinds of holders. Each column of a table has a holder of its own.
const (
	Person         Holder = "user"
	Group          Holder = "group" // the person of the column is a member of the group that holds the roles
	ServiceAccount Holder = "service_account"
)

// holderOf returns the subject that holds a role of a column. If groups hold the roles, it is the group of the
// column, unless only people may hold this role. Otherwise, it is the subject of the column.
func (w *world) holderOf(column Column, role authz.Role) string {
	if w.holder != Group || w.table.RoleSet.IsForPeopleOnly(role) {
		return w.subject(column)
	}
	group := "group:" + column.Subject() + "#member"
	w.add(group + "@" + w.subject(column))
	return group
}

// subject returns the subject of the checks of a column. It is the person of the column. If service accounts hold
// the roles, and may hold all roles of the column, it is the service account of the column.
func (w *world) subject(column Column) string {
	typ := Person
	if w.holder == ServiceAccount && !w.isForPeopleOnly(column) {
		typ = ServiceAccount
	}
	return string(typ) + ":" + column.Subject()
}

func (w *world) isForPeopleOnly(column Column) bool {
	for _, role := range column.Roles {
		if w.table.RoleSet.IsForPeopleOnly(role) {
			return true
		}
	}
	return false
}
