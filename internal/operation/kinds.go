package operation

import "github.com/sluice-authz/sluice/internal/authz"

// kind is what operations need to know about a type of object beyond the schema.
type kind struct {
	// visible is the permission without which an object does not exist for an actor.
	visible authz.Permission

	// place is the relation to what the object is in. An object goes with its place, and its permissions rest on it.
	place authz.Relation

	// remove is the permission that deleting needs; with removeOnPlace it is one on the object's place.
	remove        authz.Permission
	removeOnPlace bool

	// create is the permission on the place that creating a part needs, and in is the type of that place.
	create authz.Permission
	in     authz.Type

	// creates is the permission on the account without which what a person created there is not theirs, if the object has a
	// creator.
	creates authz.Permission

	// list is the permission that lets a person know who holds which role on the object, if there are roles on it.
	list authz.Permission

	// invitations is the permission that lets a person know the open invitations to the object, and withdraw the one that lets
	// them withdraw those of others, if people are invited to it.
	invitations, withdraw authz.Permission

	// hasUnboundedMembers objects have so many people in them that nobody reads them all without need.
	hasUnboundedMembers bool
}

// kinds is the one place where a type of object is declared to the operations. authz.SimpleTypes declares the simple
// types. A type that is not listed is visible to people who may `view` its objects, and has no operations.
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

// platform is the one platform.
var platform = authz.Object{Type: "platform", ID: "main"}

var everybody = authz.Everybody(user)

func only(o authz.Object) authz.Subject { return authz.Subject{Object: o} }
