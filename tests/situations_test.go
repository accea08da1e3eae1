package tests

import "github.com/sluice-authz/sluice/internal/authz"

// home names the role sets of a subscription and of an account in it.
type home struct{ subscription, account authz.RoleSetName }

// homes lists, for the table of each role set, the subscriptions and accounts in which its rows are checked. Rows
// about accounts in general are checked in an account of every role set.
var homes = map[authz.RoleSetName][]home{
	authz.Team:       {{authz.MultiOwner, authz.Team}},
	authz.Operations: {{authz.MultiOwner, authz.Operations}},
	authz.Analytics:  {{authz.MultiOwner, authz.Analytics}},
	authz.SingleOwner: {
		{authz.SingleOwner, authz.Team}, {authz.SingleOwner, authz.Operations}, {authz.SingleOwner, authz.Analytics},
	},
	authz.MultiOwner: {
		{authz.MultiOwner, authz.Team}, {authz.MultiOwner, authz.Operations}, {authz.MultiOwner, authz.Analytics},
	},
	authz.PlatformSet: {
		{authz.SingleOwner, authz.Team},
		{authz.SingleOwner, authz.Operations},
		{authz.SingleOwner, authz.Analytics},
		{authz.MultiOwner, authz.Team},
		{authz.MultiOwner, authz.Operations},
		{authz.MultiOwner, authz.Analytics},
	},
}

// The operations below have placeholders. $roles are the roles of a column of a role table. The person "subject"
// holds these roles. $master is a person with every right in the subscription. The person "colleague" creates the
// objects that the subject does not create. ~it is the object of the row.

// stages lists the operations that create a home, before the subject gets roles.
var stages = map[authz.RoleSetName][]string{
	authz.MultiOwner: {
		"backend POST subscriptions {id: ~sub, role_set: multi_owner, owner: ~$master, features: [user_permissions, dashboards]}",
		"$master POST accounts {id: ~account, subscription: ~sub, role_set: $account_set}",
	},
	authz.SingleOwner: {
		"backend POST subscriptions {id: ~sub, role_set: single_owner, owner: ~$master, features: [user_permissions, dashboards]}",
		"$master POST accounts {id: ~account, subscription: ~sub, role_set: $account_set}",
	},
	authz.Team: {"$master PUT accounts/~account/members/~colleague {roles: [user]}"},
	authz.Operations: {
		"$master PUT accounts/~account/members/~colleague {roles: [administrator, flow_author, integration_author, connector_author]}",
	},
	authz.Analytics: {"$master PUT accounts/~account/members/~colleague {roles: [editor]}"},
}

// arrivals lists the operation that grants the subject the roles of the column, by the type of object for which the
// role set is.
var arrivals = map[authz.Type]string{
	"account":      "$master PUT accounts/~account/members/~subject {roles: [$roles]}",
	"subscription": "$master PUT subscriptions/~sub/members/~subject {roles: [$roles]}",
	"platform":     "backend PUT platform/administrators/~subject",
}

// situation lists the operations that create a resource in the situation of a row. words is the name of the
// situation in the role tables.
type situation struct {
	resource authz.Type
	words    string

	// object is the object whose permissions are checked. If it is empty, ~it is checked.
	object string

	operations []string
}

var situations = simpleSituations([]situation{
	{resource: "platform", object: "main"},
	{resource: "subscription", object: "~sub"},
	{resource: "subscription", words: "any", object: "~sub"},
	{resource: "account", object: "~account"},
	{resource: "account", words: "any", object: "~account"},
	{resource: "account", words: "not invited", object: "~account"},

	{resource: "subscription", words: "user permissions on", operations: []string{
		"backend POST subscriptions {id: ~it, role_set: multi_owner, owner: ~$master, features: [user_permissions]}",
		"$master PUT subscriptions/~it/members/~subject {roles: [$roles]}",
	}},
	{resource: "subscription", words: "user permissions off", operations: []string{
		"backend POST subscriptions {id: ~it, role_set: multi_owner, owner: ~$master, features: [dashboards]}",
		"$master PUT subscriptions/~it/members/~subject {roles: [$roles]}",
	}},

	{resource: "importer", words: "own", operations: []string{"subject POST importers {id: ~it, account: ~account}"}},
	{resource: "importer", words: "others", operations: []string{"colleague POST importers {id: ~it, account: ~account}"}},

	{resource: "connection", words: "own private", operations: []string{connection("subject", "private", "plain")}},
	{resource: "connection", words: "own shared", operations: []string{connection("subject", "shared", "plain")}},
	{resource: "connection", words: "private", operations: []string{connection("colleague", "private", "plain")}},
	{resource: "connection", words: "others private", operations: []string{connection("colleague", "private", "plain")}},
	{resource: "connection", words: "shared", operations: []string{connection("colleague", "shared", "plain")}},
	{resource: "connection", words: "others shared", operations: []string{connection("colleague", "shared", "plain")}},
	// A connection cannot be shared with a guest by name. So the subject is a user at first.
	{resource: "connection", words: "others named", operations: []string{
		connection("colleague", "private", "plain"),
		"$master PUT accounts/~account/members/~subject {roles: [user]}",
		"colleague PUT connections/~it/sharing {visibility: private, users: [~subject]}",
		"$master PUT accounts/~account/members/~subject {roles: [$roles]}",
	}},
	{resource: "connection", words: "shared with views", operations: []string{connection("colleague", "shared", "views")}},
	{
		resource: "connection", words: "shared without views",
		operations: []string{connection("colleague", "shared", "all-but-views")},
	},
	{
		resource: "connection", words: "shared with financial settings",
		operations: []string{connection("colleague", "shared", "finance")},
	},
	{
		resource: "connection", words: "shared without financial settings",
		operations: []string{connection("colleague", "shared", "all-but-finance")},
	},
	{
		resource: "connection", words: "shared with postgres database",
		operations: []string{connection("colleague", "shared", "postgres")},
	},
	{
		resource: "connection", words: "shared without postgres database",
		operations: []string{connection("colleague", "shared", "all-but-postgres")},
	},

	{resource: "workspace", words: "open", operations: []string{workspace("it", "open: true")}},
	{
		resource: "workspace", words: "restricted to others",
		operations: []string{workspace("it", "open: false, users: [~colleague]")},
	},
	{
		resource: "flow", words: "restricted to others",
		operations: []string{workspace("its-place", "open: false, users: [~colleague]"), inWorkspace("flows")},
	},
	{
		resource: "flow", words: "restricted to the subject",
		operations: []string{workspace("its-place", "open: false, users: [~subject]"), inWorkspace("flows")},
	},

	{resource: "connector", operations: []string{"colleague POST connectors {id: ~it, account: ~account}"}},
})

func connection(creator, visibility, connector string) string {
	return creator + " POST connections {id: ~it, account: ~account, connector: ~" + connector + ", visibility: " + visibility + "}"
}

func workspace(id, access string) string {
	return "colleague POST workspaces {id: ~" + id + ", account: ~account, open: true} => 201\n" +
		"colleague PUT workspaces/~" + id + "/access {" + access + "}"
}

func inWorkspace(path string) string {
	return "colleague POST " + path + " {id: ~it, workspace: ~its-place}"
}

// connectors lists the operations that create connectors with and without capabilities.
var connectors = []string{
	"backend PUT connectors/~plain {capabilities: []}",
	"backend PUT connectors/~views {capabilities: [views]}",
	"backend PUT connectors/~finance {capabilities: [financial_settings]}",
	"backend PUT connectors/~postgres {capabilities: [postgres_database]}",
	"backend PUT connectors/~all-but-views {capabilities: [financial_settings, postgres_database]}",
	"backend PUT connectors/~all-but-finance {capabilities: [views, postgres_database]}",
	"backend PUT connectors/~all-but-postgres {capabilities: [views, financial_settings]}",
}
