package tests

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// lifetime lists requests that create a company, change it and delete it. They include every operation of the
// contract. $ID and $HANDLE stand for the id and the handle of the last invitation.
var lifetime = slices.Concat([]string{
	"backend PUT platform/administrators/~pat",
	"backend PUT connectors/~crm {capabilities: [views]}",
	"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
	"backend PUT subscriptions/~s/features {features: [user_permissions, dashboards, custom_roles]}",
	"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
	"olga POST accounts {id: ~o, subscription: ~s, role_set: operations}",
	"olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}",
	"olga PUT subscriptions/~s/members/~otto {roles: [member]}",
	"olga PUT accounts/~a/members/~ulla {roles: [user]}",
	`olga PUT accounts/~a/members/~gert {roles: [guest], expires_at: "2099-01-31T17:00:00Z"}`,
	"olga PATCH accounts/~a/members {members: {~gert: [], ~nora: [user]}}",
	"olga PUT subscriptions/~s/members/~vera/accounts {accounts: {~n: [viewer], ~a: [guest]}}",
	"olga POST accounts/~a/invitations {invitee: ~ines, roles: [user]}",
	"ines POST invitations/$ID/accept",
	"olga POST accounts/~a/invitations {invitee: ~ingo, roles: [user]}",
	"ingo POST invitations/$ID/decline",
	"olga POST accounts/~a/invitations {roles: [user], expires_in: 3600}",
	"olga DELETE accounts/~a/invitations/$HANDLE",
	"olga POST subscriptions/~s/invitations {invitee: ~ines, roles: [member]}",
	"olga DELETE subscriptions/~s/invitations/$HANDLE",
	"olga PUT accounts/~o/members/~olga {roles: [administrator, flow_author, integration_author, connector_author]}",
	"ulla POST connections {id: ~c, account: ~a, connector: ~crm}",
	"ulla PUT connections/~c/sharing {visibility: private, users: [~nora]}",
	"ulla POST importers {id: ~i, account: ~a, source: ~c}",
	"ulla PUT importers/~i/connections {destination: ~c}",
	"olga POST importers/~i/copy {id: ~j}",
	"ulla DELETE importers/~i",
	"ulla DELETE connections/~c",
	"olga POST workspaces {id: ~w, account: ~o, open: true}",
	"olga PUT workspaces/~w/access {open: false, users: [~olga]}",
	"olga POST accounts/~a/roles {id: ~auditor, title: Auditor, grants: [importer.view]}",
	"olga PUT accounts/~a/roles/~auditor {title: The auditor, grants: [importer.run]}",
	"olga POST subscriptions/~s/roles {id: ~clerk, title: Clerk, description: Reads, from: member}",
	"olga PUT subscriptions/~s/roles/~clerk {title: The clerk, grants: [subscription.view]}",
	"olga DELETE accounts/~a/roles/~auditor",
	"olga DELETE subscriptions/~s/roles/~clerk?cascade=true",
	"olga POST subscriptions/~s/groups {id: ~crew, title: Crew}",
	"olga PUT groups/~crew {title: The crew}",
	"olga PATCH groups/~crew/members {add: [~ulla, ~nora], remove: [~vera]}",
	"olga PUT groups/~crew/members/~vera",
	"olga DELETE groups/~crew/members/~vera",
	"olga PUT accounts/~a/groups/~crew {roles: [guest]}",
	"olga DELETE accounts/~a/groups/~crew",
	"olga DELETE groups/~crew",
	"olga POST accounts/~a/service-accounts {id: ~robot, title: Robot, roles: [user]}",
	"olga PUT accounts/~a/service-accounts/~robot/roles {roles: [guest]}",
	"olga DELETE accounts/~a/service-accounts/~robot/roles",
	"olga DELETE service-accounts/~robot",
	"olga POST connectors {id: ~k, account: ~o}",
	"olga DELETE connectors/~k",
},
	eachSimpleType("olga POST $types {id: ~$type, $place: ~$in}", map[string]string{
		"workspace": "w", "team": "a", "operations": "o", "analytics": "n",
	}),
	eachSimpleType("olga DELETE $types/~$type", nil),
	[]string{
		`backend POST relationships {updates: [{operation: create, relationship: "folder:~f#viewer@user:~anybody"}]}`,
		`olga POST relationships {updates: [{operation: create, relationship: "folder:~f#viewer@user:~somebody"}]}`,
		"olga DELETE relationships?resource=folder:~f",
		"olga DELETE workspaces/~w",
		"olga DELETE accounts/~a/members/~vera?reassign_to=~olga",
		"nora DELETE accounts/~a/members/~nora",
		"olga DELETE subscriptions/~s/members/~otto",
		"backend DELETE users/~ines",
		"olga DELETE accounts/~n",
		"backend POST subscriptions {id: ~one, role_set: single_owner, owner: ~olga}",
		"olga PUT subscriptions/~one/members/~ivan {roles: [it_admin]}",
		"olga POST subscriptions/~one/service-accounts {id: ~planner, title: Planner, roles: [it_admin]}",
		"olga PUT subscriptions/~one/service-accounts/~planner/roles {roles: [read_only]}",
		"olga DELETE subscriptions/~one/service-accounts/~planner/roles",
		"olga POST accounts {id: ~t, subscription: ~one, role_set: analytics}",
		"olga POST connections {id: ~d, account: ~t, connector: ~crm}",
		"ivan PUT connections/~d/group {group: ~group}",
		"ivan DELETE connections/~d/group",
		"olga POST subscriptions/~one/groups {id: ~one-crew, title: Crew}",
		"olga PUT subscriptions/~one/groups/~one-crew/roles {roles: [read_only]}",
		"olga DELETE subscriptions/~one/groups/~one-crew/roles",
		"olga PUT subscriptions/~one/members/~iris {roles: [read_only]}",
		"olga POST subscriptions/~one/transfer {to: ~iris}",
		"olga DELETE subscriptions/~s",
		"backend DELETE platform/administrators/~pat",
	},
)

// people matches the people whom the requests of lifetime name.
var people = regexp.MustCompile(`~(olga|otto|ulla|gert|nora|vera|ines|ingo|pat|ivan|iris)\b`)

// withTypedPeople returns a request in which the id of every person is written as user:bob instead of bob.
func withTypedPeople(request string) string {
	path, body, found := strings.Cut(request, " {")
	path = people.ReplaceAllString(path, "user:~$1")
	if !found {
		return path
	}
	return path + " {" + people.ReplaceAllString(body, "'user:~$1'")
}

// withoutReport returns an answer without the report of a removal. The repeated answer to a removal has no report.
func withoutReport(answer map[string]any) map[string]any {
	delete(answer, "reassigned")
	return answer
}

// everyOperationOnce sends every operation three times with the same idempotency key: a second time immediately,
// with every person in the form user:ID, and a third time after all other operations. The second and third request
// must be replays that write nothing.
func everyOperationOnce(t *testing.T, on *backend) {
	s := newScene(t, on)
	requests, first := slices.Clone(lifetime), make([]answer, len(lifetime))
	key := func(i int) string { return s.id(fmt.Sprint("key", i)) }
	var made invitation
	for i := range requests {
		requests[i] = made.in(requests[i])
		request := requests[i]
		if first[i] = s.under(key(i), request); first[i].status > 299 || first[i].isReplay() {
			t.Fatalf("%s: %d %s", request, first[i].status, first[i].body)
		}
		if strings.Contains(request, "/invitations {") {
			first[i].decode(t, &made)
		}
		s.writesNothing(request, func() {
			request := withTypedPeople(request)
			again := s.under(key(i), request)
			if again.status != first[i].status || !again.isReplay() {
				t.Errorf("%s again: %d %s, want %d and replayed", request, again.status, again.body, first[i].status)
			} else if shown, want := again.withoutToken(t), withoutReport(first[i].withoutToken(t)); !reflect.DeepEqual(
				shown, want,
			) {
				t.Errorf("%s again: %s, want %s", request, again.body, first[i].body)
			}
		})
	}
	s.writesNothing("all of it again", func() {
		for i, request := range requests {
			again := s.under(key(i), request)
			if again.status != first[i].status || !again.isReplay() {
				t.Errorf(
					"%s after all others: %d %s, want %d and replayed",
					request, again.status, again.body, first[i].status,
				)
				continue
			}
			was := first[i].withoutToken(t)
			for field, value := range again.withoutToken(t) { // deleted objects are left out of the answer
				if list, isList := value.([]any); !reflect.DeepEqual(value, was[field]) && (!isList || len(list) > 0) {
					t.Errorf("%s after all others: %s is %v, want %v", request, field, value, was[field])
				}
			}
		}
	})
}

// TestLifetimeHasEveryOperation checks that every operation of the contract accepts an idempotency key, and that
// lifetime has a request for each of them.
func TestLifetimeHasEveryOperation(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints(t) {
		operation := e.method != http.MethodGet &&
			slices.ContainsFunc([]string{"operate", "provision", "write"}, func(scope string) bool {
				return slices.Contains(e.scopes, scope)
			}) &&
			e.path != "/v1/preview" // a preview changes nothing
		if operation != e.has("Idempotency-Key") {
			t.Errorf("%s accepts an Idempotency-Key: %t, want %t", e, e.has("Idempotency-Key"), operation)
		}
		there := slices.ContainsFunc(lifetime, func(request string) bool {
			words := strings.Fields(request)
			path, _, _ := strings.Cut(words[2], "?")
			return words[1] == e.method && e.matches("/v1/"+path)
		})
		if operation && !there {
			t.Errorf("lifetime has no request for %s", e)
		}
	}
}

// matches reports whether a path, with ids in it, belongs to the endpoint.
func (e endpoint) matches(path string) bool {
	return slices.EqualFunc(strings.Split(e.path, "/"), strings.Split(path, "/"), func(template, segment string) bool {
		return template == segment || strings.HasPrefix(template, "{")
	})
}
