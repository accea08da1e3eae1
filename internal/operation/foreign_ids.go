package operation

import "github.com/sluice-authz/sluice/internal/authz"

// mayBeNew returns an error with CodeInvalid if an object that does not exist yet cannot have the id: ids of the form
// "stored:TEXT" name only what another tool stored.
func mayBeNew(object authz.Object) error {
	if !object.ID.IsForeign() {
		return nil
	}
	return authz.Errorf(authz.CodeInvalid,
		"%q cannot be the id of a new %s: it is the form of an id that another tool stored; choose another id", object.ID, object.Type)
}

// rejectForeignIDs returns an error with CodeInvalid if the plan gives something to a person whose id only another tool can have
// stored: operations take access from such a person, and give none, so that no such id is stored by an operation. What the
// person does themselves, such as creating an importer, is noted under the id.
func rejectForeignIDs(p *plan) error {
	for _, u := range p.Updates() {
		r := u.Relationship
		isGift := r.Subject != p.actor() || kindOf(r.Resource.Type).list != ""
		if u.Action != authz.Delete && r.Subject.Type == user && r.Subject.ID.IsForeign() && isGift {
			return authz.Errorf(authz.CodeInvalid,
				"%q is given nothing: the id is one that another tool stored; access can be removed from this person, and be given under another id",
				r.Subject.ID)
		}
	}
	return nil
}
