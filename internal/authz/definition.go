package authz

// Definition is a type of the schema with its relations and permissions.
type Definition struct {
	Type        Type
	Doc         string
	Relations   []Relation
	Permissions []PermissionInfo

	// Accepts lists the kinds of subjects that each relation accepts.
	Accepts map[Relation][]SubjectType
}

// SubjectType is a kind of subject that a relation accepts: an object of Type. With Relation, it is the set of all
// subjects that have this relation to such an object. With Wildcard, it is the wildcard of Type.
type SubjectType struct {
	Type     Type
	Relation Relation
	Wildcard bool

	// Caveat is the caveat that a relationship with such a subject must have, or "".
	Caveat string

	// Expires reports that a relationship with such a subject must expire.
	Expires bool
}

// PermissionInfo is a permission of a definition.
type PermissionInfo struct {
	Name Permission

	// Doc is the comment of the permission in the schema, without comment markers.
	Doc string

	// Internal reports that the permission is a schema step: its name begins with as_, and only other permissions use
	// it.
	Internal bool

	// Grantable reports that custom roles can grant the permission.
	Grantable bool
}

// Public returns the names of the permissions that applications check.
func (d Definition) Public() []Permission {
	var names []Permission
	for _, p := range d.Permissions {
		if !p.Internal {
			names = append(names, p.Name)
		}
	}
	return names
}
