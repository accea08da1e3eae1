package authz

import (
	"slices"
	"strings"
)

// Role is the name of a role. It is also the name of the relation that stores who holds the role.
type Role string

// These roles are used in Go code by name. RoleSets declares all roles.
const (
	RoleOwner         Role = "owner"
	RoleMember        Role = "member"
	RoleGuest         Role = "guest"
	RoleAdministrator Role = "administrator"
	RoleEditor        Role = "editor"
	RoleViewer        Role = "viewer"
	RoleReportUser    Role = "report_user"
)

// Feature is an option that is on or off for a subscription. It is also the name of the relation that stores this.
type Feature string

// The features of a subscription.
const (
	FeatureUserPermissions Feature = "user_permissions"
	FeatureDashboards      Feature = "dashboards"
	FeatureCustomRoles     Feature = "custom_roles"
)

// Features lists all features of a subscription.
var Features = []Feature{FeatureUserPermissions, FeatureDashboards, FeatureCustomRoles}

// RoleSetName is the name of a role set. It is also the name of the relation that is stored for each object with this
// role set.
type RoleSetName string

// The role sets.
const (
	SingleOwner RoleSetName = "single_owner"
	MultiOwner  RoleSetName = "multi_owner"
	Team        RoleSetName = "team"
	Operations  RoleSetName = "operations"
	Analytics   RoleSetName = "analytics"
	PlatformSet RoleSetName = "platform"
)

// RoleInfo is a role of a role set.
type RoleInfo struct {
	Name Role

	// Title is the name of the role in a user interface.
	Title string

	// Additional reports that a person holds the role in addition to a base role. Without a base role, it grants no
	// permission. A base role is one that is not additional.
	Additional bool

	// Requires is a feature, or "". While it is off, nobody can be granted the role.
	Requires Feature

	// CustomIn is the id of the subscription in which a customer defined the role. It is empty for a built-in role.
	CustomIn ID

	// MakesMember reports that a person who is granted the role permanently on an account of a multi_owner
	// subscription also becomes a member of the subscription.
	MakesMember bool
}

// RoleSet declares the roles that exist on a subscription, an account or the platform, and how many of them a person
// may hold.
type RoleSet struct {
	Name RoleSetName
	On   Type

	// Roles lists the roles. If a person may hold only one base role, stronger roles come first. The creator of an
	// account in a multi_owner subscription gets the first role.
	Roles []RoleInfo

	// Default is the role that an invitation offers if the inviter names no role. To grant it, the permission
	// invite_members is enough.
	Default Role

	// Required is the required role: at least one person must always hold it, without an expiration.
	Required Role

	// SeveralRoles reports that a person may hold more than one base role.
	SeveralRoles bool

	// Transferred reports that exactly one person holds the required role, and that only a transfer gives it to
	// another person.
	Transferred bool
}

// IsForPeopleOnly reports whether only people may hold a role, and not groups or service accounts. These are required
// roles, roles on the platform, and the role "member" of a subscription.
func (s RoleSet) IsForPeopleOnly(role Role) bool {
	return s.On == "platform" || role == s.Required || s.On == "subscription" && role == RoleMember
}

// RoleSets lists all role sets. No other Go code declares roles. The schema declares their permissions.
var RoleSets = []RoleSet{
	{
		Name: SingleOwner, On: "subscription", Required: RoleOwner, SeveralRoles: true, Transferred: true,
		Roles: []RoleInfo{
			{Name: RoleOwner, Title: "Owner"},
			{Name: "business_admin", Title: "Business administrator"},
			{Name: "it_admin", Title: "IT administrator"},
			{Name: "read_only", Title: "Read only"},
		},
	},
	{
		Name: MultiOwner, On: "subscription", Required: RoleOwner,
		Roles: []RoleInfo{
			{Name: RoleOwner, Title: "Owner"},
			{Name: RoleMember, Title: "Member"},
		},
	},
	{
		Name: Team, On: "account", Default: "user", Required: RoleOwner,
		Roles: []RoleInfo{
			{Name: RoleOwner, Title: "Owner"},
			{Name: "user", Title: "User"},
			{Name: RoleGuest, Title: "Guest"},
		},
	},
	{
		Name: Operations, On: "account", Required: RoleAdministrator,
		Roles: []RoleInfo{
			{Name: RoleAdministrator, Title: "Administrator"},
			{Name: "operator", Title: "User"},
			{Name: "read_only", Title: "Read only"},
			{Name: "flow_author", Title: "Flow author", Additional: true},
			{Name: "integration_author", Title: "Integration author", Additional: true},
			{Name: "connector_author", Title: "Connector author", Additional: true},
			{Name: "app_builder_author", Title: "App builder author", Additional: true},
		},
	},
	{
		Name: Analytics, On: "account", Default: RoleEditor,
		Roles: []RoleInfo{
			{Name: RoleEditor, Title: "Editor", MakesMember: true},
			{Name: RoleViewer, Title: "Viewer", Requires: FeatureUserPermissions, MakesMember: true},
			{Name: RoleReportUser, Title: "Report user", Requires: FeatureDashboards},
		},
	},
	{
		Name: PlatformSet, On: "platform",
		Roles: []RoleInfo{{Name: RoleAdministrator, Title: "Administrator"}},
	},
}

// ParseRoleSet returns the role set with a name for a type of object. The error has code CodeInvalid and lists the
// valid names.
func ParseRoleSet(name string, on Type) (RoleSet, error) {
	var names []string
	for _, set := range RoleSets {
		if set.On != on {
			continue
		}
		if string(set.Name) == name {
			return set, nil
		}
		names = append(names, string(set.Name))
	}
	return RoleSet{}, Errorf(
		CodeInvalid, "%q is not a role set of the type %s; role sets are %s", name, on, strings.Join(names, ", "),
	)
}

// ParseFeature returns the feature with this name. The error has code CodeInvalid and lists the valid names.
func ParseFeature(name string) (Feature, error) {
	if f := Feature(name); slices.Contains(Features, f) {
		return f, nil
	}
	return "", Errorf(CodeInvalid, "%q is not a feature; features are %s", name, joinNames(Features))
}

// Role returns a role of the set. It reports false if the set has no such role.
func (s RoleSet) Role(name Role) (RoleInfo, bool) {
	i := slices.IndexFunc(s.Roles, func(r RoleInfo) bool { return r.Name == name })
	if i < 0 {
		return RoleInfo{}, false
	}
	return s.Roles[i], true
}

// Parse checks that one person may hold the named roles and no others. It returns each role once, in the set's order.
// An empty list is valid: the person then holds no role. Errors have code CodeInvalid and list the valid roles.
func (s RoleSet) Parse(names []string) ([]Role, error) {
	roles, err := s.ParseAdded(names)
	if err != nil || len(roles) == 0 {
		return roles, err
	}
	var additional, base []Role
	for _, info := range s.Roles {
		isNamed := slices.Contains(roles, info.Name)
		switch {
		case info.Additional && isNamed:
			additional = append(additional, info.Name)
		case info.Additional || info.IsCustom():
		case isNamed:
			return roles, nil
		default:
			base = append(base, info.Name)
		}
	}
	if len(additional) == 0 {
		return roles, nil
	}
	return nil, Errorf(
		CodeInvalid, "under the role set %s, a person cannot hold only %s: name one of %s as well", s.Name,
		joinNames(additional), joinNames(base),
	)
}

// ParseAdded does what Parse does, for roles that a person gets in addition to roles that they hold. So it also
// accepts a list without a base role.
func (s RoleSet) ParseAdded(names []string) ([]Role, error) {
	for _, name := range names {
		if _, ok := s.Role(Role(name)); !ok {
			return nil, Errorf(
				CodeInvalid, "%q is not a role of the role set %s; roles are %s", name, s.Name, joinNames(s.BuiltIn().Names()),
			)
		}
	}
	var roles, base []Role
	for _, info := range s.Roles {
		if !slices.Contains(names, string(info.Name)) {
			continue
		}
		roles = append(roles, info.Name)
		if !info.Additional && !info.IsCustom() {
			base = append(base, info.Name)
		}
	}
	if len(base) > 1 && !s.SeveralRoles {
		return nil, Errorf(
			CodeInvalid, "a person holds one of %s under the role set %s, not %d", joinNames(base), s.Name, len(base),
		)
	}
	return roles, nil
}

// Union returns the roles that a person has who holds some roles and is given others, in the set's order. If a person
// may hold only one base role, Union keeps only the strongest one. Roles that are not in the set come last.
func (s RoleSet) Union(held, given []Role) []Role {
	var roles []Role
	hasBase := false
	for _, info := range s.Roles {
		if !slices.Contains(held, info.Name) && !slices.Contains(given, info.Name) {
			continue
		}
		if !info.Additional && !info.IsCustom() {
			if hasBase && !s.SeveralRoles {
				continue
			}
			hasBase = true
		}
		roles = append(roles, info.Name)
	}
	for _, role := range slices.Sorted(slices.Values(slices.Concat(held, given))) {
		if _, found := s.Role(role); !found && !slices.Contains(roles, role) { // a custom role that is not in the set
			roles = append(roles, role)
		}
	}
	return roles
}

// Grants returns the permissions that a role of the set grants unconditionally: on each object of the type that
// somebody else created, except private connections and restricted workspaces, in each account to which the role
// applies. For an additional role, it returns the permissions that the role adds to a base role.
func (s RoleSet) Grants(role Role) []Grant { return builtInGrants[s.Name][role] }

// Names returns the names of all roles of the set, in the set's order.
func (s RoleSet) Names() []Role {
	names := make([]Role, len(s.Roles))
	for i, r := range s.Roles {
		names[i] = r.Name
	}
	return names
}

func joinNames[S ~string](names []S) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = string(n)
	}
	return strings.Join(parts, ", ")
}
