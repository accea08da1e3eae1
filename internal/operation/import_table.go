package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// productRule is an invariant of the product. Every operation keeps it, even in races, so an import must not break it.
type productRule struct {
	name, sentence string

	// check examines the objects of these types, and reports each violation with ImportRules.problem.
	types []authz.Type
	check func(context.Context, *ImportRules, *importedObject) error

	// checkRow checks one relationship of any type, including types of the user's own.
	checkRow func(r *ImportRules, line int, relationship authz.Relationship)
}

// productRules are the product's invariants that a schema cannot express. docs/durable.md lists them for users.
var productRules = []productRule{
	{
		name:     "id",
		sentence: "an id is one that the API accepts", checkRow: checkIDs,
	},
	{
		name:     "platform",
		sentence: "there is one platform, platform:main, and every subscription is on it",
		types:    []authz.Type{"platform", "subscription"}, check: checkPlatform,
	},
	{
		name: "one place",
		sentence: "a subscription is on one platform, an account in one subscription, and any other object in one account " +
			"or workspace",
		types: placedTypes, check: checkOnePlace,
	},
	{
		name:     "role set",
		sentence: "a subscription and an account have exactly one role set",
		types:    []authz.Type{"subscription", "account"}, check: checkRoleSet,
	},
	{
		name:     "account creation",
		sentence: "a subscription has exactly one of user_permissions and members_create_accounts",
		types:    []authz.Type{"subscription"}, check: checkAccountCreation,
	},
	{
		name:     "role of the set",
		sentence: "every role belongs to the role set",
		types:    []authz.Type{"subscription", "account"}, check: checkRolesOfSet,
	},
	{
		name:     "one role",
		sentence: "if the role set allows one base role, a person holds only one",
		types:    []authz.Type{"subscription", "account"}, check: checkOneRole,
	},
	{
		name:     "base role",
		sentence: "a person with an additional role also holds a base role",
		types:    []authz.Type{"account"}, check: checkBaseRole,
	},
	{
		name:     "required role",
		sentence: "the required role of the role set, such as owner, has a holder",
		types:    []authz.Type{"subscription", "account"}, check: checkRequiredRole,
	},
	{
		name:     "single owner",
		sentence: "a subscription under single_owner has one owner",
		types:    []authz.Type{"subscription"}, check: checkSingleOwner,
	},
	{
		name:     "member",
		sentence: "under multi_owner, a permanent editor or viewer of an account is a member of the subscription",
		types:    []authz.Type{"account"}, check: checkMember,
	},
	{
		name:     "membership",
		sentence: "a stored reason for a membership is true: the person has the role, and is a member of the subscription",
		types:    []authz.Type{membershipType}, check: checkMembership,
	},
	{
		name:     "first reason",
		sentence: "a membership has at most one first reason",
		types:    []authz.Type{membershipType}, check: atMostOne(firstReason),
	},
	{
		name:     "account of the kind",
		sentence: "an object is in an account whose role set has objects of its type",
		types:    kindTypes, check: checkAccountOfKind,
	},
	{
		name: "connector",
		sentence: "a connector is either in the catalogue or in one account; in an account it has no capabilities; its " +
			"flags hold for people too",
		types: []authz.Type{"connector"}, check: checkConnector,
	},
	{
		name:     "one creator",
		sentence: "an importer or connection has at most one creator, and a private connection has one",
		types:    []authz.Type{"importer", "connection"}, check: checkCreator,
	},
	{
		name:     "one connector",
		sentence: "a connection has exactly one connector",
		types:    []authz.Type{"connection"}, check: checkOneConnector,
	},
	{
		name:     "one group",
		sentence: "a connection is in at most one group",
		types:    []authz.Type{"connection"}, check: atMostOne("member_of"),
	},
	{
		name:     "importer ends",
		sentence: "an importer has at most one source and one destination",
		types:    []authz.Type{"importer"}, check: atMostOne("source", "destination"),
	},
	{
		name: "same account",
		sentence: "the source, destination, group and own connector of an object, and its relations shared and open, refer " +
			"to its own account",
		types: []authz.Type{"importer", "connection", "workspace"}, check: checkSameAccount,
	},
	{
		name:     "private connection",
		sentence: "only team accounts of subscriptions under multi_owner have private connections and shares by name",
		types:    []authz.Type{"connection"}, check: checkPrivate,
	},
	{
		name:     "named member",
		sentence: "a person with whom a connection is shared, or who is a member of a workspace, holds a role on its account",
		types:    []authz.Type{"connection", "workspace"}, check: checkNamed,
	},
	{
		name:     "invitation",
		sentence: "an invitation is to one place; it is accepted, declined, or open with one inviter, one invitee and a role",
		types:    []authz.Type{invitationType}, check: checkInvitation,
	},
	{
		name: "offered roles",
		sentence: "an invitation offers roles of the place's role set, or custom roles of the place or its subscription; " +
			"without an invitee, it offers only the default role",
		types: []authz.Type{invitationType}, check: checkOfferedRoles,
	},
	{
		name:     "inviter",
		sentence: "the inviter of an open invitation holds a role on the place, on its subscription, or on the platform",
		types:    []authz.Type{invitationType}, check: checkInviter,
	},
	{
		name:     "latest invitation",
		sentence: "a person has at most one latest invitation, and it names the person",
		types:    []authz.Type{inviteeType}, check: checkLatest,
	},
	{
		name:     "deletion",
		sentence: "a deletion names an object that can be deleted, or a membership that can end",
		types:    []authz.Type{deletionType}, check: checkDeletion,
	},
	{
		name: "offboarding",
		sentence: "an offboarding is of one person, from one place, by one requester, and states who receives the person's " +
			"creations",
		types: []authz.Type{offboardingType}, check: checkOffboarding,
	},
	{
		name: "custom role",
		sentence: "a custom role has one scope, title, version of its content and slot of its scope; its id has those of " +
			"its subscription and of the role; its flags hold for people and service accounts",
		types: []authz.Type{authz.TypeCustomRole}, check: checkCustomRole,
	},
	{
		name:     "one slot",
		sentence: "no two custom roles have the same slot",
		types:    []authz.Type{authz.TypeCustomRole}, check: checkOneSlot,
	},
	{
		name:     "role binding",
		sentence: "a role binding gives one role on one place in the scope of the role, and its id has both",
		types:    []authz.Type{authz.TypeRoleBinding}, check: checkRoleBinding,
	},
	{
		name:     "binding of the place",
		sentence: "an object refers only to role bindings that give roles on it",
		types:    bindingTypes, check: checkBindingOfPlace,
	},
	{
		name:     "idempotency key",
		sentence: "an idempotency key stands for one request",
		types:    []authz.Type{idempotencyType}, check: atMostOne(idempotencyDone),
	},
}

// placedTypes are the types whose objects are in exactly one account, workspace, subscription or platform. Connectors
// are not among them, since a connector of the catalogue is in none; see checkConnector.
var placedTypes = append(
	[]authz.Type{"subscription", "account", "importer", "connection", "connection_group", "workspace"},
	simpleTypes(authz.SimpleTypes)...)

// setOf holds, for each type, the role sets of the accounts in which its objects can be created.
var setOf = withSetsOfSimpleTypes(map[authz.Type][]authz.RoleSetName{
	"importer":         {authz.Team},
	"connection":       {authz.Team, authz.Analytics},
	"connection_group": {authz.Team, authz.Analytics},
	"workspace":        {authz.Operations},
	"connector":        {authz.Operations},
})

func withSetsOfSimpleTypes(sets map[authz.Type][]authz.RoleSetName) map[authz.Type][]authz.RoleSetName {
	for _, typ := range authz.SimpleTypesIn("account") {
		sets[typ.Name] = typ.RoleSets
	}
	return sets
}

var kindTypes = append(
	[]authz.Type{"importer", "connection", "connection_group", "workspace", "connector"},
	simpleTypes(authz.SimpleTypesIn("account"))...)

func simpleTypes(declared []authz.SimpleType) []authz.Type {
	names := make([]authz.Type, len(declared))
	for i, typ := range declared {
		names[i] = typ.Name
	}
	return names
}

// atMostOne returns the check that an object has at most one subject in each of the relations.
func atMostOne(relations ...authz.Relation) func(context.Context, *ImportRules, *importedObject) error {
	return func(_ context.Context, r *ImportRules, o *importedObject) error {
		for _, relation := range relations {
			if found := o.subjects(relation); len(found) > 1 {
				r.problem(
					lastLine(found), "%s has more than one %s: %s and %s", o.Object, relation, found[0].subject, found[1].subject,
				)
			}
		}
		return nil
	}
}
