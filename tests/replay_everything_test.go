package tests

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// replays lists a request for every operation that accepts an idempotency key. In a request, $ID and $HANDLE stand
// for the id and the handle of the last invitation.
var replays = []string{
	"backend PUT platform/administrators/~pat",
	"backend PUT connectors/~crm {capabilities: [views]}",
	"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
	"backend PUT subscriptions/~s/features {features: [user_permissions, dashboards, custom_roles]}",
	"olga PUT subscriptions/~s/members/~oona {roles: [owner]}",
	"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
	"olga POST accounts {id: ~o, subscription: ~s, role_set: operations}",
	"olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}",
	"olga POST accounts {id: ~gone, subscription: ~s, role_set: team}",
	"olga PUT accounts/~a/members/~ulla {roles: [user]}",
	"olga PUT accounts/~a/members/~peter {roles: [user]}",
	`olga PUT accounts/~a/members/~gert {roles: [guest], expires_at: "2099-01-31T17:00:00Z"}`,
	"olga PATCH accounts/~a/members {members: {~nora: [user]}}",
	"olga PUT subscriptions/~s/members/~vera/accounts {accounts: {~n: [viewer], ~a: [guest]}}",
	"ulla POST accounts/~a/invitations {invitee: ~ines, roles: [user]}",
	"ines POST invitations/$ID/accept",
	"olga POST accounts/~a/invitations {invitee: ~ingo, roles: [user]}",
	"ingo POST invitations/$ID/decline",
	"olga POST subscriptions/~s/invitations {invitee: ~ingo, roles: [member]}",
	"olga DELETE subscriptions/~s/invitations/$HANDLE",
	"olga POST accounts/~a/invitations {roles: [user], expires_in: 3600}",
	"olga DELETE accounts/~a/invitations/$HANDLE",
	"ulla POST accounts/~a/invitations {invitee: ~ibo, roles: [user]}",
	"backend PUT subscriptions/~s/members/~bob {roles: [owner], reason: lost}",
	"backend PUT accounts/~a/members/~bob {roles: [owner], reason: lost}",
	"olga PUT accounts/~o/members/~olga {roles: [administrator, flow_author, integration_author, connector_author]}",
	"ulla POST connections {id: ~c, account: ~a, connector: ~crm, visibility: shared}",
	"ulla PUT connections/~c/sharing {visibility: private, users: [~nora]}",
	"ulla POST importers {id: ~i, account: ~a, source: ~c}",
	"ulla PUT importers/~i/connections {destination: ~c}",
	"olga POST importers/~i/copy {id: ~j}",
	"ulla POST connections {id: ~d, account: ~a, connector: ~crm}",
	"ulla POST importers {id: ~k, account: ~a}",
	"ulla DELETE importers/~k",
	"ulla DELETE connections/~d",
	"olga POST workspaces {id: ~w, account: ~o, open: true}",
	"olga PUT workspaces/~w/access {open: false, users: [~olga]}",
	"olga POST accounts/~a/roles {id: ~auditor, title: Auditor, grants: [importer.view]}",
	"olga PUT accounts/~a/roles/~auditor {title: The auditor, grants: [importer.run]}",
	"olga POST subscriptions/~s/roles {id: ~clerk, title: Clerk, description: Reads, from: member}",
	"olga PUT subscriptions/~s/roles/~clerk {title: The clerk, grants: [subscription.view]}",
	"olga POST accounts/~a/roles {id: ~auditor2, title: Auditor}",
	"olga POST subscriptions/~s/roles {id: ~clerk2, title: Clerk}",
	"olga DELETE accounts/~a/roles/~auditor2",
	"olga DELETE subscriptions/~s/roles/~clerk2?cascade=true",
	"olga POST subscriptions/~s/groups {id: ~crew, title: Crew}",
	"olga PUT groups/~crew {title: The crew}",
	"olga PATCH groups/~crew/members {add: [~ulla, ~nora], remove: [~vera]}",
	"olga PUT groups/~crew/members/~vera",
	"olga DELETE groups/~crew/members/~vera",
	`olga PUT accounts/~a/groups/~crew {roles: [guest], expires_at: "2099-01-31T17:00:00Z"}`,
	"olga POST subscriptions/~s/groups {id: ~crew2, title: Crew}",
	"olga PUT accounts/~a/groups/~crew2 {roles: [user]}",
	"olga DELETE accounts/~a/groups/~crew2",
	"olga DELETE groups/~crew2",
	"olga POST accounts/~a/service-accounts {id: ~robot, title: Robot, roles: [user]}",
	`olga PUT accounts/~a/service-accounts/~robot/roles {roles: [guest], expires_at: "2099-01-31T17:00:00Z"}`,
	"olga POST accounts/~a/service-accounts {id: ~robot2, title: Robot, roles: [user]}",
	"olga DELETE accounts/~a/service-accounts/~robot2/roles",
	"olga DELETE service-accounts/~robot2",
	"olga POST flows {id: ~f, workspace: ~w}",
	"olga POST schedules {id: ~h, workspace: ~w}",
	"olga POST services {id: ~v, workspace: ~w}",
	"olga POST integrations {id: ~g, account: ~o}",
	"olga POST connectors {id: ~custom, account: ~o}",
	"olga POST exports {id: ~x, account: ~n}",
	"olga POST reports {id: ~r, account: ~n}",
	`backend POST relationships {updates: [{operation: create, relationship: "folder:~f#viewer@user:~anybody"}]}`,
	"backend DELETE relationships?resource=folder:~f",
	"olga DELETE flows/~f", "olga DELETE schedules/~h", "olga DELETE services/~v", "olga DELETE integrations/~g",
	"olga DELETE connectors/~custom", "olga DELETE exports/~x", "olga DELETE reports/~r",
	"olga POST workspaces {id: ~w2, account: ~o, open: true}", "olga DELETE workspaces/~w2",
	"olga DELETE accounts/~a/members/~gert?reassign_to=~nora",
	"olga DELETE accounts/~gone",
	"backend POST subscriptions {id: ~one, role_set: single_owner, owner: ~olga}",
	"olga PUT subscriptions/~one/members/~ivan {roles: [it_admin]}",
	"olga POST subscriptions/~one/groups {id: ~readers, title: Readers}",
	"olga PUT subscriptions/~one/groups/~readers/roles {roles: [read_only]}",
	"olga DELETE subscriptions/~one/groups/~readers/roles",
	"olga POST subscriptions/~one/service-accounts {id: ~planner, title: Planner, roles: [it_admin]}",
	"olga PUT subscriptions/~one/service-accounts/~planner/roles {roles: [read_only]}",
	"olga DELETE subscriptions/~one/service-accounts/~planner/roles",
	"olga POST accounts {id: ~t, subscription: ~one, role_set: analytics}",
	"olga POST connections {id: ~e, account: ~t, connector: ~crm, visibility: shared}",
	"ivan PUT connections/~e/group {group: ~group}",
	"ivan DELETE connections/~e/group",
	"backend POST subscriptions {id: ~two, role_set: multi_owner, owner: ~olga}",
	"olga PUT subscriptions/~two/members/~otto {roles: [member]}",
	"olga DELETE subscriptions/~two/members/~otto",
	"olga DELETE subscriptions/~two",
	"olga POST subscriptions/~one/transfer {to: ~ivan}",
	"backend DELETE users/~otto",
	"backend DELETE platform/administrators/~pat",
}

// hiddenChanges lists requests that change the objects of the requests in replays. Afterwards, many values are
// hidden from the actors of replays.
var hiddenChanges = []string{
	"peter POST connections {id: ~secret, account: ~a, connector: ~crm}",
	"peter PUT importers/~i/connections {source: ~secret, destination: ~secret}",
	"peter PUT importers/~j/connections {source: ~secret, destination: ~secret}",
	"oona PUT accounts/~a/members/~secret-user {roles: [user]}",
	"ulla PUT connections/~c/sharing {visibility: private, users: [~secret-user]}",
	"oona PUT accounts/~a/members/~nora {roles: [guest]}", "oona PUT accounts/~n/members/~vera {roles: [editor]}",
	"backend PUT subscriptions/~s/features {features: [user_permissions]}",
	"oona PUT accounts/~o/members/~oona {roles: [administrator]}",
	"oona PUT workspaces/~w/access {open: false, users: [~oona]}",
	"oona PUT groups/~crew {title: secret}",
	"oona PUT accounts/~a/roles/~auditor {title: secret, grants: [importer.view]}",
	"oona PUT subscriptions/~s/roles/~clerk {title: secret, grants: [importer.view]}",
	"oona PUT accounts/~a/service-accounts/~robot/roles {roles: [user]}",
}

// endings lists requests that remove every role of the actors of replays.
var endings = []string{
	"oona PUT accounts/~a/members/~oona {roles: [owner]}", "oona DELETE subscriptions/~s/members/~olga",
	"oona DELETE subscriptions/~s/members/~ulla", "oona DELETE subscriptions/~s/members/~ines",
	"oona DELETE subscriptions/~s/members/~nora",
	"ivan PUT subscriptions/~one/members/~iris {roles: [it_admin]}", "ivan POST subscriptions/~one/transfer {to: ~iris}",
	"backend DELETE users/~ivan", "oona DELETE subscriptions/~s/members/~peter",
}

// replaySituations lists the changes between the first and the second run of the requests in replays. shown is the
// number of repeated requests whose answers must have the stored values.
var replaySituations = map[string]struct {
	change func(s scene)
	shown  int
}{
	"nothing changed":           {func(scene) {}, 35},
	"hidden values":             {func(s scene) { s.play(hiddenChanges...) }, 35},
	"the actors lost all roles": {func(s scene) { s.play(slices.Concat(hiddenChanges, endings)...) }, 6},
	"the objects were deleted":  {deleteReplayed, 1}, // nobody can delete the connector
	"the ids were taken again": {func(s scene) {
		deleteReplayed(s)
		s.perform(othersRequests(), func(i int) string { return s.id(fmt.Sprint("other", i)) })
	}, 5}, // only the values that the backend itself reads
}

// deleteReplayed deletes all objects of replays, except connectors that belong to no account, which nobody can
// delete.
func deleteReplayed(s scene) {
	s.play("olga DELETE subscriptions/~s", "ivan DELETE subscriptions/~one")
}

// othersRequests returns the requests of replays, except deletions, with other people as actors and as members. The
// requests create objects with the same ids.
func othersRequests() (requests []string) {
	for _, request := range replays {
		if !strings.Contains(request, " DELETE ") {
			requests = append(requests, peopleOfReplays.ReplaceAllString(request, "$0-b"))
		}
	}
	return requests
}

// peopleOfReplays matches the ids of the people in replays.
var peopleOfReplays = regexp.MustCompile(
	`\b(pat|olga|oona|ulla|peter|gert|nora|vera|ines|ingo|ibo|ivan|otto|bob)\b`,
)

// perform sends requests. The idempotency key of a request is the result of key for its index. Each request must
// succeed. perform returns the requests, with their placeholders filled, and the answers.
func (s scene) perform(requests []string, key func(int) string) ([]string, []answer) {
	s.t.Helper()
	requests, answers := slices.Clone(requests), make([]answer, len(requests))
	var made invitation
	for i := range requests {
		requests[i] = made.in(requests[i])
		if answers[i] = s.under(key(i), requests[i]); answers[i].status > 299 || answers[i].isReplay() {
			s.t.Fatalf("%s: %d %s", requests[i], answers[i].status, answers[i].body)
		}
		if strings.Contains(requests[i], "/invitations {") {
			answers[i].decode(s.t, &made)
		}
	}
	return requests, answers
}

// TestReplaysShowWhatReadsShow repeats the request of every operation that accepts an idempotency key. Each field of
// the repeated answer must have the value that the same caller can read now. If the caller may not read the object,
// or if it no longer exists, the answer must have only the fields that the contract requires.
func TestReplaysShowWhatReadsShow(t *testing.T) {
	t.Parallel()
	for name, situation := range replaySituations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, memory.get(t))
			key := func(i int) string { return s.id(fmt.Sprint(i)) }
			requests, first := s.perform(replays, key)
			situation.change(s)
			shown := 0
			for i, request := range requests {
				again := s.under(key(i), request)
				if again.status != first[i].status || !again.isReplay() || again.problem().Code != "" {
					t.Errorf("%s: %d %s, want %d and replayed", request, again.status, again.body, first[i].status)
					continue
				}
				want, isShown := s.readAgain(request, first[i])
				if isShown {
					shown++
				}
				if fields := again.withoutToken(t); !reflect.DeepEqual(fields, want) {
					t.Errorf("%s shows %v, want %v", request, fields, want)
				}
			}
			if shown != situation.shown {
				t.Errorf("%d answers show the stored values, want %d", shown, situation.shown)
			}
		})
	}
}

// TestReplaysWithoutActorNeedInspect repeats requests of the backend, with a key that may not read anything. The
// repeated answers must have only the ids in the requests.
func TestReplaysWithoutActorNeedInspect(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t)).withKey(provisionKey)
	for i, test := range []struct{ request, shown string }{
		{"backend PUT connectors/~crm {capabilities: [views]}", "id: ~crm"},
		{"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}", "id: ~s"},
		{"backend PUT subscriptions/~s/features {features: [dashboards]}", "id: ~s"},
		{"backend PUT subscriptions/~s/members/~bob {roles: [owner], reason: lost}", "user: ~bob"},
	} {
		first, again := s.under(s.id(fmt.Sprint(i)), test.request), s.under(s.id(fmt.Sprint(i)), test.request)
		if first.status > 299 || again.status != first.status || !again.isReplay() {
			t.Fatalf("%s: %d %s, again %d %s", test.request, first.status, first.body, again.status, again.body)
		}
		field, id, _ := strings.Cut(s.in(test.shown), ": ")
		if shown := again.withoutToken(t); !reflect.DeepEqual(shown, map[string]any{field: id}) {
			t.Errorf("%s shows %v, want %s", test.request, shown, s.in(test.shown))
		}
	}
}

// TestReplaysAreThoseOfTheContract checks that replays has a request for every operation that accepts an idempotency
// key.
func TestReplaysAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints(t) {
		if e.has("Idempotency-Key") && !slices.ContainsFunc(replays, func(request string) bool {
			words := strings.Fields(request)
			path, _, _ := strings.Cut(words[2], "?")
			return words[1] == e.method && e.matches("/v1/"+path)
		}) {
			t.Errorf("%s is not in replays", e)
		}
	}
}
