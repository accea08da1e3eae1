package operation

import "github.com/sluice-authz/sluice/internal/authz"

// kind holds facts about a type of object that operations need and that the schema does not contain.
type kind struct {
	// visible is the permission to see that an object exists.
	visible authz.Permission

	// place is the relation to the object that contains this one, for example an account. Deleting the containing
	// object deletes this one, and permissions on this one depend on the containing object.
	place authz.Relation

	// remove is the permission that deleting the object needs. If removeOnPlace is set, it is a permission on the
	// containing object, otherwise on the object itself.
	remove        authz.Permission
	removeOnPlace bool

	// create is the permission that creating an object needs. It is a permission on the containing object, whose type
	// is in.
	create authz.Permission
	in     authz.Type

	// creates is a permission on the account. A creator has access to the object only while they also have this
	// permission; the schema's permission as_creator checks both. It is empty for types without a creator.
	creates authz.Permission

	// list is the permission to see who holds which role on the object. It is empty if there are no roles on it.
	list authz.Permission

	// invitations is the permission to see the open invitations to the object. withdraw is the permission to withdraw
	// other people's invitations. Both are empty if nobody can be invited to the object.
	invitations, withdraw authz.Permission

	// dependsOnPlace is set if all permissions on the object depend only on its place. So no other relationship of the
	// object is a precondition of an operation.
	dependsOnPlace bool

	// hasUnboundedMembers is set if an object can have too many members to read all of them at once. Operations read
	// all members of such an object only if they cannot avoid it.
	hasUnboundedMembers bool
}

// kinds declares every type of object that operations handle. Types whose only relation leads to their parent come from
// authz.SimpleTypes. An object of any other type is visible to people with the permission view, and has no operations.
var kinds = withSimpleTypes(map[authz.Type]kind{
	"platform": {visible: "administer", list: "administer", hasUnboundedMembers: true},
	"subscription": {
		visible: "view", place: "platform", remove: "cancel", list: "list_users", hasUnboundedMembers: true,
		invitations: "list_users", withdraw: "remove_users",
	},
	"account": {
		visible: "view", place: "subscription", remove: "delete", list: "list_members", hasUnboundedMembers: true,
		invitations: "invite_members", withdraw: "assign_roles",
	},
	"invitation": {place: invitedTo},
	inviteeType:  {},
	removedType:  {},

	"importer":         {visible: "view", place: "account", remove: "delete", creates: "create_importer"},
	"connection":       {visible: "view", place: "account", remove: "disconnect", creates: "create_connection"},
	"connection_group": {place: "account"},
	"workspace":        {visible: "view", place: "account", remove: "manage_workspaces", removeOnPlace: true},

	authz.TypeGroup: {visible: "view", place: "subscription", remove: "manage", hasUnboundedMembers: true},
	serviceAccount:  {visible: "view", place: "place", remove: "manage"},

	authz.TypeCustomRole: {
		visible: "view", place: roleScope, remove: "manage_roles", removeOnPlace: true, dependsOnPlace: true,
	},
	authz.TypeRoleBinding: {place: bindingPlace, hasUnboundedMembers: true},

	"connector": {visible: "view", place: "account", remove: "edit", create: "create_connector", in: "account"},

	offboardingType: {place: offboardingFrom},
	membershipType:  {},
})

func withSimpleTypes(declared map[authz.Type]kind) map[authz.Type]kind {
	for _, typ := range authz.SimpleTypes {
		declared[typ.Name] = kind{
			visible: typ.VisibleBy(), place: authz.Relation(typ.Place), remove: typ.Remove, create: typ.Create, in: typ.Place,
		}
	}
	return declared
}

func kindOf(t authz.Type) kind {
	if k, ok := kinds[t]; ok {
		return k
	}
	return kind{visible: "view"}
}

func subscriptionObject(id authz.ID) authz.Object { return authz.Object{Type: "subscription", ID: id} }
func accountObject(id authz.ID) authz.Object      { return authz.Object{Type: "account", ID: id} }
func importerObject(id authz.ID) authz.Object     { return authz.Object{Type: "importer", ID: id} }
func connectionObject(id authz.ID) authz.Object   { return authz.Object{Type: "connection", ID: id} }
func connectorObject(id authz.ID) authz.Object    { return authz.Object{Type: "connector", ID: id} }
func workspaceObject(id authz.ID) authz.Object    { return authz.Object{Type: "workspace", ID: id} }

// platform is the only object of its type.
var platform = authz.Object{Type: "platform", ID: "main"}

var everybody = authz.Everybody(user)

// flagRows returns the relationships that store a flag on which permissions of all holders of roles depend. Such a flag
// is stored and deleted as a whole, so its relationship to everybody suffices to read it.
func flagRows(object authz.Object, flag authz.Relation) []authz.Relationship {
	return []authz.Relationship{
		{Resource: object, Relation: flag, Subject: everybody},
		{Resource: object, Relation: flag, Subject: authz.Everybody(serviceAccount)},
	}
}

func only(o authz.Object) authz.Subject { return authz.Subject{Object: o} }
