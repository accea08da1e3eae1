package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// productRule is something that every operation keeps, also under races, and that what is imported is held to.
type productRule struct {
	name, sentence string

	// types are those of the objects that check is about. check reports problems with what it finds wrong.
	types []authz.Type
	check func(context.Context, *ImportRules, *importedObject) error

	// checkRow is about one relationship of an object of the product.
	checkRow func(r *ImportRules, line int, relationship authz.Relationship)
}

// productRules are all rules of the product that a schema cannot express. docs/durable.md lists them for users.
var productRules = []productRule{
	{
		name: "id", sentence: "an id is one that the API accepts", checkRow: checkIDs,
	},
	{
		name: "platform", sentence: "there is one platform, platform:main, and every subscription is on it",
		types: []authz.Type{"platform", "subscription"}, check: checkPlatform,
	},
	{
		name: "one place", sentence: "a subscription is on one platform, an account in one subscription, and everything else in one account or workspace",
		types: placedTypes, check: checkOnePlace,
	},
	{
		name: "role set", sentence: "a subscription and an account have exactly one role set",
		types: []authz.Type{"subscription", "account"}, check: checkRoleSet,
	},
	{
		name: "account creation", sentence: "a subscription has exactly one of user_permissions and members_create_accounts",
		types: []authz.Type{"subscription"}, check: checkAccountCreation,
	},
	{
		name: "role of the set", sentence: "every role is one of the role set",
		types: []authz.Type{"subscription", "account"}, check: checkRolesOfSet,
	},
	{
		name: "one role", sentence: "a person holds one base role where the role set allows one",
		types: []authz.Type{"subscription", "account"}, check: checkOneRole,
	},
	{
		name: "base role", sentence: "nobody holds additional roles alone",
		types: []authz.Type{"account"}, check: checkBaseRole,
	},
	{
		name: "required role", sentence: "the owner or administrator is there that the role set requires",
		types: []authz.Type{"subscription", "account"}, check: checkRequiredRole,
	},
	{
		name: "single owner", sentence: "a subscription under single_owner has no second owner",
		types: []authz.Type{"subscription"}, check: checkSingleOwner,
	},
	{
		name: "member", sentence: "under multi_owner, who holds editor or viewer on an account permanently belongs to the subscription",
		types: []authz.Type{"account"}, check: checkMember,
	},
	{
		name: "membership", sentence: "a stored reason for a membership holds: the person has that role, and belongs to the subscription",
		types: []authz.Type{membershipType}, check: checkMembership,
	},
	{
		name: "first reason", sentence: "a membership has one first reason at most",
		types: []authz.Type{membershipType}, check: atMostOne(firstReason),
	},
	{
		name: "account of the kind", sentence: "an object is in an account of the role set that has such objects",
		types: kindTypes, check: checkAccountOfKind,
	},
	{
		name: "connector", sentence: "a connector is either in the catalogue or in one account, which offers nothing",
		types: []authz.Type{"connector"}, check: checkConnector,
	},
	{
		name: "one creator", sentence: "an importer or connection has one creator at most",
		types: []authz.Type{"importer", "connection"}, check: atMostOne(creator),
	},
	{
		name: "one connector", sentence: "a connection has exactly one connector",
		types: []authz.Type{"connection"}, check: checkOneConnector,
	},
	{
		name: "one group", sentence: "a connection is in one group at most",
		types: []authz.Type{"connection"}, check: atMostOne("member_of"),
	},
	{
		name: "importer ends", sentence: "an importer has one source and one destination at most",
		types: []authz.Type{"importer"}, check: atMostOne("source", "destination"),
	},
	{
		name: "same account", sentence: "ends, groups, connectors of an account's own, shared and open refer to nothing in another account",
		types: []authz.Type{"importer", "connection", "workspace"}, check: checkSameAccount,
	},
	{
		name: "private connection", sentence: "private connections, and shares by name, are in team accounts of subscriptions under multi_owner",
		types: []authz.Type{"connection"}, check: checkPrivate,
	},
	{
		name: "named member", sentence: "who a connection is shared with, or may enter a workspace, holds a role on its account",
		types: []authz.Type{"connection", "workspace"}, check: checkNamed,
	},
	{
		name: "invitation", sentence: "an invitation is to one place; it is open with one inviter, one invitee and a role, or accepted, or declined",
		types: []authz.Type{invitationType}, check: checkInvitation,
	},
	{
		name: "offered roles", sentence: "an invitation offers roles that the place's role set has, and to everybody the default role alone",
		types: []authz.Type{invitationType}, check: checkOfferedRoles,
	},
	{
		name: "inviter", sentence: "who has an invitation open holds a role on the place, on its subscription, or on the platform",
		types: []authz.Type{invitationType}, check: checkInviter,
	},
	{
		name: "latest invitation", sentence: "a person has one latest invitation at most, which names them",
		types: []authz.Type{inviteeType}, check: checkLatest,
	},
	{
		name: "deletion", sentence: "a deletion names an object that can be deleted, or a membership that can be left",
		types: []authz.Type{deletionType}, check: checkDeletion,
	},
	{
		name: "offboarding", sentence: "a removal under way is of one person, from one place, by one requester, and says what becomes of what they created",
		types: []authz.Type{offboardingType}, check: checkOffboarding,
	},
	{
		name: "idempotency key", sentence: "an idempotency key stands for one request",
		types: []authz.Type{idempotencyType}, check: atMostOne(idempotencyDone),
	},
}

// placedTypes are the types whose objects are in exactly one place. Connectors of the catalogue are in none, see checkConnector.
var placedTypes = append(
	[]authz.Type{"subscription", "account", "importer", "connection", "connection_group", "workspace"},
	simpleTypes(authz.SimpleTypes)...)

// setOf is the role sets of the accounts in which objects of a type are created: those whose roles create them.
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

// atMostOne is the rule that an object has one subject of each of the relations at most.
func atMostOne(relations ...authz.Relation) func(context.Context, *ImportRules, *importedObject) error {
	return func(_ context.Context, r *ImportRules, o *importedObject) error {
		for _, relation := range relations {
			if found := o.subjects(relation); len(found) > 1 {
				r.problem(lastLine(found), "%s has more than one %s: %s and %s", o.Object, relation, found[0].subject, found[1].subject)
			}
		}
		return nil
	}
}
