package roletables

import "github.com/sluice-authz/sluice/internal/authz"

// Holder is a kind of holder of roles. The answers of a table are the same for every kind.
type Holder string

// The kinds of holders. Each column has a holder of its own.
const (
	Person         Holder = "user"
	Group          Holder = "group" // the person of the column holds the roles through a group
	ServiceAccount Holder = "service_account"
)

// holderOf returns the subject that holds a role of a column. If only people may hold the role, this is the person.
func (w *world) holderOf(column Column, role authz.Role) string {
	if w.holder != Group || w.table.RoleSet.IsForPeopleOnly(role) {
		return w.subject(column)
	}
	group := "group:" + column.Subject() + "#member"
	w.add(group + "@" + w.subject(column))
	return group
}

// subject returns the subject of the checks of a column: its person, or its service account if service accounts may
// hold all of its roles.
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
