package roletables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Placeholders in the relationships of this file. {object} is the resource of a row. {workspace}, {account} and
// {subscription} are the resource itself or the objects that contain it. {role} is each role of the column, and
// {holder} is its holder. {subject} is the person or service account of the column. {creator} is this subject in the
// situation "own", and a colleague otherwise.

// phrases are the parts of situations and the relationships of each. A situation is one or more phrases, separated by
// spaces.
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

// belongings are relationships of an object by type: those to the objects that contain it, to its role set and creator.
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

// plainConnector is the connector of connections whose situation mentions no capability.
const plainConnector = "{object}#connector@connector:plain"

// catalogue are the connectors of the catalogue and their capabilities.
var catalogue = map[string][]string{
	"plain":                   {},
	"with_views":              {"capability_views"},
	"with_financial_settings": {"capability_financial_settings"},
	"with_postgres_database":  {"capability_postgres_database"},
}

// grants give the person of a column their roles, by the type of object that the role set is on.
var grants = map[authz.Type]string{
	"platform":     "platform:main#{role}@{holder}",
	"subscription": "{subscription}#{role}@{holder}",
	"account":      "{account}#{role}@{holder}",
}

// colleagueRole is the role of a colleague in an account of each role set. It may create objects.
var colleagueRole = map[authz.RoleSetName]authz.Role{
	authz.Team: "user", authz.Operations: "operator", authz.Analytics: "editor",
}

// home is the role sets of a resource's subscription and account.
type home struct{ subscription, account authz.RoleSetName }

// homes are the role sets for which the rows of a table apply. Rows that do not mention the subscription apply under
// multi_owner. Rows about accounts in general apply to accounts of every role set.
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

// AccountsOf lists for a type of resource the role sets of the accounts that can have it. A type that is not listed
// exists everywhere.
var AccountsOf = map[authz.Type][]authz.RoleSetName{
	"importer":   {authz.Team},
	"connection": {authz.Team, authz.Analytics},
	"workspace":  {authz.Operations},
	"connector":  {authz.Operations},
}

// exists reports whether a resource can be in this situation. Only team accounts under multi_owner have private
// connections.
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
