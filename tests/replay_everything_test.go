package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// replays has a request for every operation that accepts an Idempotency-Key. $ID and $HANDLE are those of the last
// invitation.
var replays = []string{
	"backend PUT platform/administrators/~pat",
	"backend PUT connectors/~crm {capabilities: [views]}",
	"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
	"backend PUT subscriptions/~s/features {features: [user_permissions, dashboards]}",
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
	"olga POST flows {id: ~f, workspace: ~w}",
	"olga POST schedules {id: ~h, workspace: ~w}",
	"olga POST services {id: ~v, workspace: ~w}",
	"olga POST integrations {id: ~g, account: ~o}",
	"olga POST connectors {id: ~custom, account: ~o}",
	"olga POST exports {id: ~x, account: ~n}",
	"olga POST reports {id: ~r, account: ~n}",
	"olga DELETE flows/~f", "olga DELETE schedules/~h", "olga DELETE services/~v", "olga DELETE integrations/~g",
	"olga DELETE connectors/~custom", "olga DELETE exports/~x", "olga DELETE reports/~r",
	"olga POST workspaces {id: ~w2, account: ~o, open: true}", "olga DELETE workspaces/~w2",
	"olga DELETE accounts/~a/members/~gert?reassign_to=~nora",
	"olga DELETE accounts/~gone",
	"backend POST subscriptions {id: ~one, role_set: single_owner, owner: ~olga}",
	"olga PUT subscriptions/~one/members/~ivan {roles: [it_admin]}",
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

// hiddenChanges change the objects that the replays are about. The values after these changes are hidden from the
// actors of the replayed requests.
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
}

// endings removes every role of the actors of replays.
var endings = []string{
	"oona PUT accounts/~a/members/~oona {roles: [owner]}", "oona DELETE subscriptions/~s/members/~olga",
	"oona DELETE subscriptions/~s/members/~ulla", "oona DELETE subscriptions/~s/members/~ines",
	"oona DELETE subscriptions/~s/members/~nora",
	"ivan PUT subscriptions/~one/members/~iris {roles: [it_admin]}", "ivan POST subscriptions/~one/transfer {to: ~iris}",
	"backend DELETE users/~ivan", "oona DELETE subscriptions/~s/members/~peter",
}

// TestReplaysHideWhatFreshCallsHide replays a request of every operation that accepts an Idempotency-Key. First it
// replays the requests after values of the answers were replaced by hidden ones: no hidden value may appear. Then it
// replays them after all roles of the actors have ended: only values of the request may appear.
func TestReplaysHideWhatFreshCallsHide(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	requests, first := slices.Clone(replays), make([]answer, len(replays))
	var made invitation
	for i := range requests {
		requests[i] = made.in(requests[i])
		if first[i] = s.under(s.id(fmt.Sprint(i)), requests[i]); first[i].status > 299 || first[i].isReplay() {
			t.Fatalf("%s: %d %s", requests[i], first[i].status, first[i].body)
		}
		if strings.Contains(requests[i], "/invitations {") {
			first[i].decode(t, &made)
		}
	}
	replay := func(i int) map[string]any {
		again := s.under(s.id(fmt.Sprint(i)), requests[i])
		if again.status != first[i].status || !again.isReplay() || again.problem().Code != "" {
			t.Errorf("%s: %d %s, want %d and replayed", requests[i], again.status, again.body, first[i].status)
		}
		return again.withoutToken(t)
	}
	s.play(hiddenChanges...)
	for i, request := range requests {
		shown := fmt.Sprint(replay(i))
		if strings.Contains(shown, s.id("secret")) && !strings.Contains(request, "secret") {
			t.Errorf("%s shows a hidden object: %s", request, shown)
		}
	}
	s.play(endings...)
	for i, request := range requests {
		actor, _, _ := strings.Cut(request, " ")
		shown := replay(i)
		if actor == "backend" {
			continue // nothing is hidden without an actor
		}
		for field, value := range shown {
			for _, text := range textsIn(value) {
				if strings.Contains(s.in(request), text) || text == s.id(actor) {
					continue
				}
				if fresh := s.under(s.id("fresh"), request); fresh.status > 299 || fresh.withoutToken(t)[field] != text {
					t.Errorf("%s shows %s in %s: %v", request, text, field, shown)
				}
			}
		}
	}
}

// TestReplaysAreThoseOfTheContract checks that replays has every operation that accepts an Idempotency-Key.
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

// textsIn returns the texts in a value, including those keys of objects that are ids.
func textsIn(value any) (found []string) {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			if key != "user" && key != "roles" { // these two keys are names of fields
				found = append(found, key)
			}
			found = append(found, textsIn(item)...)
		}
	case []any:
		for _, item := range v {
			found = append(found, textsIn(item)...)
		}
	default:
		found = append(found, fmt.Sprint(v))
	}
	return found
}
