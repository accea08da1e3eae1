package authz

import "slices"

// SimpleType declares a type of resource whose only relation leads to the account or workspace that contains it.
// Operations, import, explanations and tests read these declarations at run time. From them, `go generate ./...` also
// writes the paths in api/openapi.yaml, their handlers, the methods of the Go client, and lines of the documentation.
// The schema defines the permissions of the type, and the role tables say who has them.
type SimpleType struct {
	// Name is the name of the type in the schema. Collection returns its name in the API's paths.
	Name Type

	// Place is the type of the object that contains the objects of this type: "account" or "workspace". The relation
	// that leads to the containing object has the same name.
	Place Type

	// RoleSets are the role sets of the accounts in which such objects can be created.
	RoleSets []RoleSetName

	// Create is the permission that creating an object needs, on the containing object.
	Create Permission

	// Visible is the permission to see the object. To an actor without it, Sluice answers as if the object did not
	// exist. If it is empty, the permission is view.
	Visible Permission

	// Remove is the permission that deleting the object needs, on the object itself.
	Remove Permission

	// Example is the id in the examples of the contract. Note is a sentence that the contract adds to the description
	// of creating such an object; it may be empty.
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

// SimpleTypesIn returns the simple types whose objects are contained in an object of the type place: an account or a
// workspace.
func SimpleTypesIn(place Type) []SimpleType {
	return slices.DeleteFunc(slices.Clone(SimpleTypes), func(s SimpleType) bool { return s.Place != place })
}

// VisibleBy returns the permission that an actor needs to see an object of the type.
func (s SimpleType) VisibleBy() Permission {
	if s.Visible == "" {
		return "view"
	}
	return s.Visible
}

// Collection returns the name of the type in the API's paths, for example flows.
func (s SimpleType) Collection() string { return string(s.Name) + "s" }
