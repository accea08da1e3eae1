package authz

import "slices"

// SimpleType declares a type of resource whose only relation leads to the account or workspace that contains it.
// Operations, import, explanations and tests read the entry. `go generate ./...` writes its calls in the contract,
// their handlers, the methods of the Go client, and its lines in the documentation. The schema defines its permissions,
// and the role tables state who has them.
type SimpleType struct {
	// Name is the type in the schema. Name and an "s" is the collection in the API.
	Name Type

	// Place is the type of the containing object, "account" or "workspace". The relation to this object has the same
	// name.
	Place Type

	// RoleSets are the role sets of the accounts that have such objects.
	RoleSets []RoleSetName

	// Create is the permission on the containing object that creating needs.
	Create Permission

	// Visible is the permission that shows the object: for an actor without it, the object does not exist. Empty means
	// view.
	Visible Permission

	// Remove is the permission on the object that deleting needs.
	Remove Permission

	// Example is the id in the examples of the contract. Note is a sentence about creating such an object, or empty.
	Example ID
	Note    string
}

// SimpleTypes are the types whose only relation leads to their account or workspace.
var SimpleTypes = []SimpleType{
	{
		Name: "flow", Place: "workspace", RoleSets: []RoleSetName{Operations},
		Create: "create_flow", Remove: "edit", Example: "f1",
	},
	{
		Name: "schedule", Place: "workspace", RoleSets: []RoleSetName{Operations},
		Create: "create_flow", Remove: "edit", Example: "nightly",
	},
	{
		Name: "service", Place: "workspace", RoleSets: []RoleSetName{Operations},
		Create: "create_flow", Visible: "as_viewer", Remove: "manage", Example: "hook",
	},
	{
		Name: "integration", Place: "account", RoleSets: []RoleSetName{Operations},
		Create: "create_integration", Remove: "delete", Example: "n1",
	},
	{
		Name: "export", Place: "account", RoleSets: []RoleSetName{Analytics},
		Create: "create_export", Remove: "delete", Example: "weekly",
		Note: "It creates a scheduled export.",
	},
	{
		Name: "report", Place: "account", RoleSets: []RoleSetName{Analytics},
		Create: "edit_report_center", Remove: "delete", Example: "revenue",
	},
}

// SimpleTypesIn returns the simple types whose objects are in an account or a workspace.
func SimpleTypesIn(place Type) []SimpleType {
	return slices.DeleteFunc(slices.Clone(SimpleTypes), func(s SimpleType) bool { return s.Place != place })
}

// VisibleBy returns the permission that shows an object of the type.
func (s SimpleType) VisibleBy() Permission {
	if s.Visible == "" {
		return "view"
	}
	return s.Visible
}

// Collection names the objects of the type in paths of the API.
func (s SimpleType) Collection() string { return string(s.Name) + "s" }
