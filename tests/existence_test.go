package tests

import (
	"bytes"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// existing lists the steps that create an object of every type, which sven and other outsiders may not view. The
// outsiders have every permission in accounts of their own, whose ids begin with ~x.
var existing = slices.Concat([]string{
	"include team",
	"ulla POST connections {id: ~connection, account: ~a, connector: ~crm}",
	"ulla POST importers {id: ~importer, account: ~a, source: ~connection}",
	"olga POST accounts {id: ~o, subscription: ~s, role_set: operations}",
	"olga PUT accounts/~o/members/~olga {roles: [administrator, flow_author, integration_author, connector_author]}",
	"olga POST workspaces {id: ~workspace, account: ~o, open: false}",
	"olga POST connectors {id: ~connector, account: ~o}",
	"olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}",

	"olga POST subscriptions/~s/groups {id: ~group, title: Crew}",
	"olga PUT groups/~group/members/~gert",
	"backend PUT subscriptions/~s/features {features: [custom_roles]}",
	"olga POST accounts/~a/roles {id: ~auditor, title: Auditor}",
	"olga POST subscriptions/~s/roles {id: ~clerk, title: Clerk}",
	"olga POST accounts/~a/service-accounts {id: ~robot, title: Robot, roles: [user]}",
	"olga POST subscriptions/~s/service-accounts {id: ~planner, title: Planner}",
	"backend POST subscriptions {id: ~xs, role_set: multi_owner, owner: ~sven}",
	"sven POST accounts {id: ~xt, subscription: ~xs, role_set: team}",
	"sven POST importers {id: ~xi, account: ~xt}",
	"sven POST accounts {id: ~xo, subscription: ~xs, role_set: operations}",
	"sven PUT accounts/~xo/members/~sven {roles: [administrator, flow_author]}",

	// An additional role without a base role, and a role in another account of the subscription, must not reveal
	// anything.
	"given account:~o#flow_author@user:~finn",
	"given account:~o#connector_author@user:~finn",
	"olga POST accounts {id: ~neighbour, subscription: ~s, role_set: team}",
	"olga PUT accounts/~neighbour/members/~nora {roles: [owner]}",
}, eachSimpleType("olga POST $types {id: ~$type, $place: ~$in}", map[string]string{
	"workspace": "workspace", "team": "a", "operations": "o", "analytics": "n",
}))

// probes lists a request about an object, $ID, that the actor may not view. There is one for every endpoint of the
// contract that names an object.
var probes = slices.Concat([]struct{ object, request string }{
	{"s", "GET subscriptions/$ID"},
	{"s", "DELETE subscriptions/$ID"},
	{"s", "GET subscriptions/$ID/members"},
	{"s", "GET subscriptions/$ID/members/~olga"},
	{"s", "GET subscriptions/$ID/members/$ME"},
	{"s", "GET subscriptions/$ID/people"},
	{"s", "PUT subscriptions/$ID/members/~nina {roles: [member]}"},
	{"s", "PUT subscriptions/$ID/members/~nina {roles: [nonsense]}"},
	{"s", "DELETE subscriptions/$ID/members/~olga"},
	{"s", "DELETE subscriptions/$ID/members/$ME"},
	{"s", "POST subscriptions/$ID/transfer {to: $ME}"},
	{"s", "PUT subscriptions/$ID/members/~nina/accounts {accounts: {~missing: [user]}}"},
	{"s", "POST accounts {id: ~new, subscription: $ID, role_set: team}"},
	{"s", "GET subscriptions/$ID/invitations"},
	{"s", "POST subscriptions/$ID/invitations {invitee: ~nina, roles: [member]}"},
	{"s", "POST subscriptions/$ID/invitations {roles: [nonsense]}"},
	{"s", "DELETE subscriptions/$ID/invitations/~handle"},
	{"s", "GET subscriptions/$ID/groups"},
	{"s", "POST subscriptions/$ID/groups {id: ~new, title: New}"},
	{"s", "POST subscriptions/$ID/groups {id: ~group, title: New}"},
	{"a", "GET accounts/$ID/groups"},
	{"a", "GET accounts/$ID/groups/~group"},
	{"a", "PUT accounts/$ID/groups/~group {roles: [user]}"},
	{"a", "DELETE accounts/$ID/groups/~group"},
	{"s", "PUT subscriptions/$ID/groups/~group/roles {roles: [it_admin]}"},
	{"s", "GET subscriptions/$ID/groups/~group/roles"},
	{"s", "DELETE subscriptions/$ID/groups/~group/roles"},
	{"s", "GET subscriptions/$ID/roles"},
	{"s", "POST subscriptions/$ID/roles {id: ~new, title: New}"},
	{"s", "POST subscriptions/$ID/roles {id: ~clerk, title: New}"},
	{"s", "GET subscriptions/$ID/roles/~clerk"},
	{"s", "GET subscriptions/$ID/roles/owner"},
	{"s", "PUT subscriptions/$ID/roles/~clerk {title: New, grants: []}"},
	{"s", "DELETE subscriptions/$ID/roles/~clerk"},
	{"s", "GET subscriptions/$ID/roles/~clerk/holders"},
	{"a", "GET accounts/$ID/roles"},
	{"a", "POST accounts/$ID/roles {id: ~new, title: New}"},
	{"a", "POST accounts/$ID/roles {id: ~auditor, title: New, from: user}"},
	{"a", "GET accounts/$ID/roles/~auditor"},
	{"a", "GET accounts/$ID/roles/owner"},
	{"a", "PUT accounts/$ID/roles/~auditor {title: New, grants: []}"},
	{"a", "DELETE accounts/$ID/roles/~auditor"},
	{"a", "GET accounts/$ID/roles/~auditor/holders"},
	{"group", "GET groups/$ID"},
	{"group", "PUT groups/$ID {title: New}"},
	{"group", "DELETE groups/$ID"},
	{"group", "GET groups/$ID/members"},
	{"group", "PATCH groups/$ID/members {add: [$ME]}"},
	{"group", "PATCH groups/$ID/members {remove: [~gert]}"},
	{"group", "PUT groups/$ID/members/$ME"},
	{"group", "DELETE groups/$ID/members/~gert"},
	{"s", "GET subscriptions/$ID/service-accounts"},
	{"s", "POST subscriptions/$ID/service-accounts {id: ~new, title: New}"},
	{"s", "POST subscriptions/$ID/service-accounts {id: ~planner, title: New}"},
	{"s", "PUT subscriptions/$ID/service-accounts/~planner/roles {roles: [it_admin]}"},
	{"s", "DELETE subscriptions/$ID/service-accounts/~planner/roles"},
	{"a", "GET accounts/$ID/service-accounts"},
	{"a", "POST accounts/$ID/service-accounts {id: ~new, title: New}"},
	{"a", "POST accounts/$ID/service-accounts {id: ~robot, title: New}"},
	{"a", "GET accounts/$ID/service-accounts/~robot/roles"},
	{"a", "PUT accounts/$ID/service-accounts/~robot/roles {roles: [user]}"},
	{"a", "DELETE accounts/$ID/service-accounts/~robot/roles"},
	{"robot", "GET service-accounts/$ID"},
	{"robot", "DELETE service-accounts/$ID"},
	{"robot", "PUT accounts/~xt/service-accounts/$ID/roles {roles: [user]}"},
	{"a", "GET accounts/$ID/invitations"},
	{"a", "POST accounts/$ID/invitations {invitee: ~nina, roles: [user]}"},
	{"a", "POST accounts/$ID/invitations {roles: [user]}"},
	{"a", "DELETE accounts/$ID/invitations/~handle"},
	{"a", "GET accounts/$ID"},
	{"a", "DELETE accounts/$ID"},
	{"a", "GET accounts/$ID/members"},
	{"a", "GET accounts/$ID/members/~ulla"},
	{"a", "GET accounts/$ID/members/$ME"},
	{"a", "PATCH accounts/$ID/members {members: {~nina: [user]}}"},
	{"a", "PUT accounts/$ID/members/~nina {roles: [user]}"},
	{"a", "PUT accounts/$ID/members/~ulla {roles: [guest]}"},
	{"a", "DELETE accounts/$ID/members/~ulla"},
	{"a", "DELETE accounts/$ID/members/$ME"},
	{"a", "GET accounts/$ID/members/~ulla/offboarding"},
	{"a", "GET accounts/$ID/members/$ME/offboarding"},
	{"a", "POST importers {id: ~new, account: $ID}"},
	{"a", "POST importers {id: ~importer, account: $ID}"},
	{"a", "POST connections {id: ~new, account: $ID, connector: ~crm}"},
	{"o", "POST workspaces {id: ~new, account: $ID, open: true}"},
	{"o", "POST connectors {id: ~new, account: $ID}"},
	{"a", "PUT subscriptions/~s/members/~nina/accounts {accounts: {$ID: [user]}}"},
	{"importer", "PUT importers/$ID/connections {source: null}"},
	{"importer", "PUT importers/$ID/connections {source: ~connection}"},
	{"importer", "POST importers/$ID/copy {id: ~new}"},
	{"importer", "GET importers/$ID"},
	{"importer", "DELETE importers/$ID"},
	{"connection", "PUT connections/$ID/sharing {visibility: shared}"},
	{"connection", "PUT connections/$ID/group {group: ~g}"},
	{"connection", "DELETE connections/$ID/group"},
	{"connection", "GET connections/$ID"},
	{"connection", "DELETE connections/$ID"},
	{"workspace", "PUT workspaces/$ID/access {open: true}"},
	{"workspace", "GET workspaces/$ID"},
	{"workspace", "DELETE workspaces/$ID"},
	{"connector", "GET connectors/$ID"},
	{"connector", "DELETE connectors/$ID"},
	{"importer", "POST preview {method: DELETE, path: /v1/importers/$ID}"},
	{"connection", "POST preview {method: PUT, path: /v1/connections/$ID/sharing, body: {visibility: shared}}"},
},
	simpleProbes("GET $types/$ID"), simpleProbes("DELETE $types/$ID"),
	placeProbes("POST $types {id: ~new, $place: $ID}"),
)

// listProbes lists requests for the lists of an account or workspace that the actor may not view.
var listProbes = slices.Concat([]struct{ object, request string }{
	{"a", "GET audit?account=$ID"},
	{"a", "GET accounts/$ID/importers?actor=$ME"},
	{"a", "GET accounts/$ID/connections?actor=$ME"},
	{"o", "GET accounts/$ID/workspaces?actor=$ME"},
	{"o", "GET accounts/$ID/connectors?actor=$ME"},
}, placeProbes("GET $places/$ID/$types?actor=$ME"))

// ownProbes lists requests in which sven refers from his own accounts to an object that he may not view.
var ownProbes = []struct{ object, request string }{
	{"connection", "POST importers {id: ~new, account: ~xt, source: $ID}"},
	{"connection", "POST importers {id: ~new, account: ~xt, destination: $ID}"},
	{"connection", "PUT importers/~xi/connections {source: $ID}"},
	{"connection", "PUT importers/~xi/connections {destination: $ID}"},
	{"connector", "POST connections {id: ~new, account: ~xt, connector: $ID}"},
	{"group", "PUT accounts/~xt/groups/$ID {roles: [user]}"},
	{"a", "PUT subscriptions/~xs/members/~nina/accounts {accounts: {~xt: [user], $ID: [user]}}"},
}

// TestExistenceIsNotRevealed sends requests about hidden objects, and about objects that do not exist. The answers
// must be equal. They must say that there is no such object.
func TestExistenceIsNotRevealed(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, text := range existing {
		line{"existing", text}.play(s, "", "")
	}
	for _, actor := range []string{"sven", "finn", "nora"} {
		for _, p := range probes {
			s.sameAnswer(t, actor, p.object, p.request, http.StatusNotFound)
		}
		for _, p := range listProbes {
			s.sameAnswer(t, actor, p.object, p.request, http.StatusNotFound)
		}
		s.sameAnswer(t, actor, "s", "GET subscriptions/$ID/members?cursor=&limit=1", http.StatusNotFound)
		s.withKey(operateKey).sameAnswer(t, actor, "ulla", "GET users/$ID/accounts", http.StatusForbidden)
	}
	for _, p := range ownProbes {
		s.sameAnswer(t, "sven", p.object, p.request, http.StatusNotFound)
	}
	for _, actor := range []string{"sven", "finn"} {
		s.sameAnswer(t, actor, "s", "GET subscriptions/$ID/accounts", http.StatusNotFound)
	}
	// olga owns the account and the subscription, but may not view the private connection.
	for _, p := range probes {
		if p.object == "connection" {
			s.sameAnswer(t, "olga", p.object, p.request, http.StatusNotFound)
		}
	}
}

// sameAnswer sends a request about an object, and about another object of the same type, which does not exist. The
// answers must be equal and have the status.
func (s scene) sameAnswer(t *testing.T, actor, object, request string, status int) {
	t.Helper()
	ask := func(name string) (answer, []byte) {
		fill := strings.NewReplacer("$ID", s.id(name), "$ME", s.id(actor))
		next, err := parseStep(s.in(actor + " " + fill.Replace(request)))
		if err != nil {
			t.Fatal(err)
		}
		r := next.(requestStep)
		a := s.by(actor).call(r.method, r.path, r.body)
		reported := bytes.ReplaceAll(a.body, []byte(s.id(name)), []byte("ID"))
		return a, requestID.ReplaceAll(reported, nil)
	}
	s.writesNothing(actor+" "+request, func() {
		there, reportedThere := ask(object)
		missing, reportedMissing := ask("missing-" + object)
		if there.status != status || missing.status != status || !bytes.Equal(reportedThere, reportedMissing) {
			t.Errorf(
				"%s about an existing object: %d %s\nand about a missing one: %d %s",
				there.request, there.status, reportedThere,
				missing.status, reportedMissing,
			)
		}
	})
}

var requestID = regexp.MustCompile(`"request_id":"[^"]*",?`)

// TestEveryOperationIsProbed fails if TestExistenceIsNotRevealed does not call an endpoint of the contract that
// names an object.
func TestEveryOperationIsProbed(t *testing.T) {
	t.Parallel()
	probed := []string{
		"GET /v1/users/ID/accounts", "GET /v1/subscriptions/ID/accounts",
		"POST /v1/invitations/ID/accept", "POST /v1/invitations/ID/decline", // tested by closedInvitations
	}
	for _, p := range probes {
		next, err := parseStep(
			"sven " + strings.NewReplacer(
				"$ID", "ID", "members/~nina", "members/ID", "members/~olga", "members/ID", "members/~ulla", "members/ID",
				"invitations/~handle", "invitations/ID", "$ME", "ID", "members/~gert", "members/ID", "groups/~group", "groups/ID",
				"roles/~auditor", "roles/ID", "roles/~clerk", "roles/ID", "roles/owner", "roles/ID",
				"service-accounts/~robot", "service-accounts/ID", "service-accounts/~planner", "service-accounts/ID",
			).Replace(p.request),
		)
		if err != nil {
			t.Fatal(err)
		}
		r := next.(requestStep)
		probed = append(probed, r.method+" /v1/"+r.path)
	}
	parameter := regexp.MustCompile(`\{[^}]*\}`)
	for _, e := range endpoints(t) {
		if !slices.Contains(e.scopes, "operate") {
			continue
		}
		if operation := e.method + " " + parameter.ReplaceAllString(e.path, "ID"); !slices.Contains(probed, operation) {
			t.Errorf("the tests send no request to %s about a hidden object", operation)
		}
	}
}
