package authz

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
)

// The types of the objects that store custom roles: the roles themselves, and who holds them.
const (
	TypeCustomRole  Type = "custom_role"
	TypeRoleBinding Type = "role_binding"
)

// MaxRoleIDBytes is the maximum length of a custom role's id, in bytes of UTF-8. The limit is low, because the stored
// id also contains the id of the subscription, and must not be longer than MaxStoredBytes.
const MaxRoleIDBytes = 64

// Grant is a permission on objects of a type that custom roles can grant.
type Grant struct {
	Type       Type
	Permission Permission
}

// String returns the grant as the API writes it, for example importer.run.
func (g Grant) String() string { return string(g.Type) + "." + string(g.Permission) }

// Flag returns the relation of custom_role that stores that a role has the grant, for example importer_run.
func (g Grant) Flag() Relation { return Relation(g.Type) + "_" + Relation(g.Permission) }

// GrantOfFlag returns the grant that a relation of custom_role stores. It reports false for a relation that stores no
// grant.
func GrantOfFlag(flag Relation) (Grant, bool) {
	i := slices.IndexFunc(Grantable, func(g Grant) bool { return g.Flag() == flag })
	if i < 0 {
		return Grant{}, false
	}
	return Grantable[i], true
}

// ParseRoleID checks the id of a new or existing custom role. The error has code CodeInvalid.
func ParseRoleID(s string) (ID, error) {
	id, err := ParseID(s)
	switch {
	case err != nil:
		return "", err
	case len(id) > MaxRoleIDBytes:
		return "", Errorf(
			CodeInvalid, "the id of a role must be at most %d bytes long, this one has %d", MaxRoleIDBytes, len(id),
		)
	case id.IsForeign():
		return "", Errorf(CodeInvalid, "the id of a role must not begin with %q", storedPrefix)
	case IsBuiltInRole(Role(id)):
		return "", Errorf(CodeInvalid, "%q is the name of a built-in role; choose another id", s)
	}
	return id, nil
}

// IsBuiltInRole reports whether a role set has a role with this name.
func IsBuiltInRole(name Role) bool {
	return slices.ContainsFunc(RoleSets, func(set RoleSet) bool { return slices.Contains(set.Names(), name) })
}

// subscriptionInRole replaces the characters of a subscription's id that would be ambiguous in the id of a custom role.
var subscriptionInRole = strings.NewReplacer("|", "||", "/", "|-")

// CustomRoleObject returns the object that stores a custom role. The role belongs to the subscription or to one of
// its accounts. The id of the object consists of the subscription's id, a slash and the role's id. In the
// subscription's id, "/" is replaced by "|-", and "|" by "||".
func CustomRoleObject(subscription, role ID) Object {
	id := ID(subscriptionInRole.Replace(string(subscription))) + "/" + role
	return Object{Type: TypeCustomRole, ID: id}
}

// SplitCustomRole is the inverse of CustomRoleObject. It reports false for an object that CustomRoleObject cannot
// return.
func SplitCustomRole(object Object) (subscription, role ID, ok bool) {
	replaced, id, found := strings.Cut(string(object.ID), "/")
	if !found || object.Type != TypeCustomRole {
		return "", "", false
	}
	var b strings.Builder
	for i := 0; i < len(replaced); i++ {
		switch {
		case replaced[i] != '|':
			b.WriteByte(replaced[i])
			continue
		case strings.HasPrefix(replaced[i:], "||"):
			b.WriteByte('|')
		case strings.HasPrefix(replaced[i:], "|-"):
			b.WriteByte('/')
		default:
			return "", "", false
		}
		i++
	}
	return ID(b.String()), ID(id), b.Len() > 0 && id != ""
}

// RoleBindingObject returns the object that stores who holds a custom role on a place. The place is an account, a
// subscription or a single object. The id of the returned object consists of a digest of the place, a slash and the
// id of the custom role's object.
func RoleBindingObject(role, place Object) Object {
	sum := sha256.Sum256([]byte(place.String()))
	return Object{Type: TypeRoleBinding, ID: ID(base64.RawURLEncoding.EncodeToString(sum[:])) + "/" + role.ID}
}

// RoleOfBinding returns the custom role whose holders a role binding stores. It reads the role from the binding's id.
// It reports false for an object that RoleBindingObject cannot return.
func RoleOfBinding(binding Object) (role Object, ok bool) {
	sum, id, found := strings.Cut(string(binding.ID), "/")
	role = Object{Type: TypeCustomRole, ID: ID(id)}
	if _, _, isRole := SplitCustomRole(role); !isRole || !found || binding.Type != TypeRoleBinding {
		return Object{}, false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(sum)
	return role, err == nil && len(decoded) == sha256.Size
}
