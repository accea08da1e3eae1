package roletables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// The relationships of this file have placeholders. {object} is the resource of a row. {workspace}, {account} and
// {subscription} are the resource itself or the objects that contain it. {role} is a role of the column, and
// {holder} is the subject that holds this role. {subject} is the person or service account of the column. {creator}
// is this subject in the situation "own", and a colleague otherwise.

// phrases lists the phrases of which situations consist, and the relationship that each phrase adds. A situation is
// one or more phrases, separated by spaces.
var phrases = []struct{ phrase, relationship string }{
	{"own", ""},
	{"others", ""},
	{"private", ""},
	{"shared", "{object}#shared@{account}"},
	{"named", "{object}#shared_with@{subject}"},
	{"with views", "{object}#connector@connector:with_views"},
	{"without views", ""},
	{"with financial settings", "{object}#connector@connector:with_financial_settings"},
	{"without financial settings", ""},
	{"with postgres database", "{object}#connector@connector:with_postgres_database"},
	{"without postgres database", ""},
	{"open", "{workspace}#open@{account}"},
	{"restricted to others", "{workspace}#member@user:colleague"},
	{"restricted to the subject", "{workspace}#member@{subject}"},
	{"not invited", ""},
	{"any", ""},
	{"user permissions on", "{object}#user_permissions@user:*"},
	{"user permissions off", "{object}#members_create_accounts@user:*"},
}

// belongings lists, for each type, the relationships that every object of this type has: to the objects that contain
// it, to its role set, and to its creator.
var belongings = map[authz.Type][]string{
	"platform": {},
	"subscription": {
		"{object}#platform@platform:main",
		"{object}#{subscription_set}@user:*",
		"{object}#{subscription_set}@service_account:*",
	},
	"account": {
		"{object}#subscription@{subscription}",
		"{object}#{account_set}@user:*",
		"{object}#{account_set}@service_account:*",
		"{object}#{colleague_role}@user:colleague",
	},
	"importer":   {"{object}#account@{account}", "{object}#creator@{creator}"},
	"connection": {"{object}#account@{account}", "{object}#creator@{creator}"},
	"workspace":  {"{object}#account@{account}"},
	"connector":  {"{object}#account@{account}"},
}

func init() {
	for _, typ := range authz.SimpleTypes {
		place := fmt.Sprintf("{object}#%[1]s@{%[1]s}", typ.Place)
		belongings[typ.Name] = []string{place}
		if typ.Place == "workspace" {
			belongings[typ.Name] = []string{"{workspace}#account@{account}", place}
		}
		AccountsOf[typ.Name] = typ.RoleSets
	}
}

// plainConnector is the relationship to the connector of connections whose situation mentions no capability.
const plainConnector = "{object}#connector@connector:plain"

// catalogue lists the connectors and their capabilities.
var catalogue = map[string][]string{
	"plain":                   {},
	"with_views":              {"capability_views"},
	"with_financial_settings": {"capability_financial_settings"},
	"with_postgres_database":  {"capability_postgres_database"},
}

// grants lists the relationship that gives a role of a column to its holder, by the type of object for which the
// role set is.
var grants = map[authz.Type]string{
	"platform":     "platform:main#{role}@{holder}",
	"subscription": "{subscription}#{role}@{holder}",
	"account":      "{account}#{role}@{holder}",
}

// colleagueRole is the role that the colleague holds in an account of each role set. The role may create objects.
var colleagueRole = map[authz.RoleSetName]authz.Role{
	authz.Team: "user", authz.Operations: "operator", authz.Analytics: "editor",
}

// home names the role sets of the subscription and of the account that contain a resource.
type home struct{ subscription, account authz.RoleSetName }

// homes lists, for the table of each role set, the subscriptions and accounts for which its rows apply. Rows that do
// not mention the subscription apply under multi_owner. Rows about accounts in general apply to accounts of every
// role set.
var homes = map[authz.RoleSetName][]home{
	authz.Team:        {{authz.MultiOwner, authz.Team}},
	authz.Operations:  {{authz.MultiOwner, authz.Operations}},
	authz.Analytics:   {{authz.MultiOwner, authz.Analytics}},
	authz.SingleOwner: homesUnder(authz.SingleOwner),
	authz.MultiOwner:  homesUnder(authz.MultiOwner),
	authz.PlatformSet: append(homesUnder(authz.SingleOwner), homesUnder(authz.MultiOwner)...),
}

func homesUnder(subscription authz.RoleSetName) []home {
	return []home{{subscription, authz.Team}, {subscription, authz.Operations}, {subscription, authz.Analytics}}
}

// AccountsOf lists, for a type of resource, the role sets of the accounts that can contain it. Accounts of every
// role set can contain a type that is not listed.
var AccountsOf = map[authz.Type][]authz.RoleSetName{
	"importer":   {authz.Team},
	"connection": {authz.Team, authz.Analytics},
	"workspace":  {authz.Operations},
	"connector":  {authz.Operations},
}

// exists reports whether a resource can be in this home, in this situation. Only team accounts under multi_owner
// have private connections.
func (h home) exists(resource authz.Type, words []string) bool {
	if sets, limited := AccountsOf[resource]; limited && !slices.Contains(sets, h.account) {
		return false
	}
	private := slices.Contains(words, "private") || slices.Contains(words, "named")
	return !private || h == home{authz.MultiOwner, authz.Team}
}

// parseSituation splits a situation into its phrases.
func parseSituation(situation string) ([]string, error) {
	var words []string
	rest := situation
	for rest != "" {
		found := ""
		for _, p := range phrases {
			if (rest == p.phrase || strings.HasPrefix(rest, p.phrase+" ")) && len(p.phrase) > len(found) {
				found = p.phrase
			}
		}
		if found == "" {
			return nil, fmt.Errorf("unknown phrase %q in the situation %q", rest, situation)
		}
		words = append(words, found)
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, found), " ")
	}
	return words, nil
}
