package operation

import "github.com/sluice-authz/sluice/internal/authz"

// mayBeNew returns an error with CodeInvalid if a new object cannot have the id. An id with the prefix "stored:" stands
// for an id that another tool stored.
func mayBeNew(object authz.Object) error {
	if !object.ID.IsForeign() {
		return nil
	}
	return authz.Errorf(authz.CodeInvalid,
		"%q cannot be the id of a new %s: an id with the prefix stored: stands for an id that another tool stored; "+
			"choose another id", object.ID, object.Type)
}

// rejectForeignIDs returns an error with CodeInvalid if the plan gives access to a person whose id only another tool
// can have stored. Operations may only remove access from such a person. The plan may contain such an id only if it is
// the actor's, for example as the creator of an importer.
func rejectForeignIDs(p *plan) error {
	for _, u := range p.Updates() {
		r := u.Relationship
		isGift := r.Subject != p.actor() || kindOf(r.Resource.Type).list != "" || r.Resource.Type == authz.TypeGroup
		if u.Action != authz.Delete && r.Subject.Type == user && r.Subject.ID.IsForeign() && isGift {
			return authz.Errorf(authz.CodeInvalid,
				"%q cannot get a role or a share: another tool stored this id; remove access from it, and grant access "+
					"under another id", r.Subject.ID)
		}
	}
	return nil
}
