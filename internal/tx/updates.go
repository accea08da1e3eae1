package tx

import (
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Require adds the precondition that the relationship is stored.
func (u *Unit) Require(r authz.Relationship) {
	u.AddPrecondition(authz.Precondition{Filter: authz.Exactly(r)})
}

// Forbid adds the precondition that no stored relationship matches.
func (u *Unit) Forbid(filter authz.Filter) {
	u.AddPrecondition(authz.Precondition{Filter: filter, Absent: true})
}

// AddPrecondition adds a precondition unless the Unit already has it.
func (u *Unit) AddPrecondition(p authz.Precondition) {
	if !u.required[p] {
		u.required[p] = true
		u.preconditions = append(u.preconditions, p)
	}
}

// Preconditions returns the preconditions in the order in which they were added. The caller must not change them.
func (u *Unit) Preconditions() []authz.Precondition { return u.preconditions }

// Create adds a relationship that must not be stored yet.
func (u *Unit) Create(resource authz.Object, relation authz.Relation, subject authz.Subject) {
	u.Update(authz.Create, authz.Relationship{Resource: resource, Relation: relation, Subject: subject})
}

// Touch adds a relationship whether or not it is stored.
func (u *Unit) Touch(resource authz.Object, relation authz.Relation, subject authz.Subject) {
	u.Update(authz.Touch, authz.Relationship{Resource: resource, Relation: relation, Subject: subject})
}

// Delete deletes a relationship, if it is stored.
func (u *Unit) Delete(r authz.Relationship) {
	r.ExpiresAt = time.Time{}
	u.Update(authz.Delete, r)
}

// Update adds an update. A later update of the same relationship replaces an earlier one, since SpiceDB rejects a write
// with two.
func (u *Unit) Update(action authz.Action, r authz.Relationship) {
	update := authz.Update{Action: action, Relationship: r}
	if i := u.indexOf(r); i >= 0 {
		u.updates[i] = update
		return
	}
	u.indexes[authz.Exactly(r)] = len(u.updates)
	u.updates = append(u.updates, update)
}

// Planned returns the update of a relationship, and whether the Unit has one.
func (u *Unit) Planned(r authz.Relationship) (authz.Update, bool) {
	if i := u.indexOf(r); i >= 0 {
		return u.updates[i], true
	}
	return authz.Update{}, false
}

// indexOf returns the index of the update of a relationship, or -1.
func (u *Unit) indexOf(r authz.Relationship) int {
	if i, planned := u.indexes[authz.Exactly(r)]; planned {
		return i
	}
	return -1
}

// setUpdates replaces the updates.
func (u *Unit) setUpdates(updates []authz.Update) {
	u.updates = updates
	clear(u.indexes)
	for i, update := range updates {
		u.indexes[authz.Exactly(update.Relationship)] = i
	}
}

// Updates returns the updates in the order in which they were added. The caller must not change them.
func (u *Unit) Updates() []authz.Update { return u.updates }

// DiscardUpdates drops all updates and keeps the preconditions. It is for an operation that plans a change only to
// learn whether the actor may make it.
func (u *Unit) DiscardUpdates() {
	u.setUpdates(nil)
	u.deletedFirst = nil
}

// Room returns how many more updates the write can hold, without the reserved space.
func (u *Unit) Room() int { return authz.MaxUpdates - len(u.updates) - u.reserved }
