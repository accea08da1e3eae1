package authz

import "slices"

// IsCustom reports whether a customer defined the role.
func (r RoleInfo) IsCustom() bool { return r.CustomIn != "" }

// WithCustom returns the set with custom roles of a subscription added. They come after the built-in roles, sorted by
// id. A person may hold any number of custom roles, alone or in addition to other roles.
func (s RoleSet) WithCustom(subscription ID, ids ...Role) RoleSet {
	custom := slices.Sorted(slices.Values(ids))
	s.Roles = slices.Clone(s.Roles)
	for _, id := range slices.Compact(custom) {
		if _, found := s.Role(id); !found {
			info := RoleInfo{Name: id, Title: string(id), Requires: FeatureCustomRoles, CustomIn: subscription}
			s.Roles = append(s.Roles, info)
		}
	}
	return s
}

// BuiltIn returns the set without custom roles.
func (s RoleSet) BuiltIn() RoleSet {
	s.Roles = slices.DeleteFunc(slices.Clone(s.Roles), RoleInfo.IsCustom)
	return s
}

// Custom returns the ids of the custom roles in the set.
func (s RoleSet) Custom() (ids []Role) {
	for _, info := range s.Roles {
		if info.IsCustom() {
			ids = append(ids, info.Name)
		}
	}
	return ids
}

// Row returns the relationship that stores that a holder has a role on an object. For a custom role, it is a
// relationship of the role binding: the object that stores who holds the role on this object.
func (s RoleSet) Row(object Object, role Role, holder Subject) Relationship {
	if info, _ := s.Role(role); info.IsCustom() {
		binding := RoleBindingObject(CustomRoleObject(info.CustomIn, ID(role)), object)
		return Relationship{Resource: binding, Relation: bindingHolder, Subject: holder}
	}
	return Relationship{Resource: object, Relation: Relation(role), Subject: holder}
}

// bindingHolder is the relation of a role binding that stores who holds the role.
const bindingHolder Relation = "holder"

// RoleOf returns the role that a relationship stores. It is the inverse of RoleSet.Row.
func RoleOf(r Relationship) Role {
	if r.Resource.Type != TypeRoleBinding {
		return Role(r.Relation)
	}
	role, isBinding := RoleOfBinding(r.Resource)
	if !isBinding || r.Relation != bindingHolder {
		return ""
	}
	_, id, _ := SplitCustomRole(role)
	return Role(id)
}
