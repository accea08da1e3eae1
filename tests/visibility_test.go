package tests

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// TestBulkAnswerHidesRolesElsewhere changes and lists roles on several accounts. The actors may list the members of
// only some of them. On the others, the answer must show no roles of other people.
func TestBulkAnswerHidesRolesElsewhere(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga PUT subscriptions/~s/members/~iris {roles: [member]}",
		"olga PUT subscriptions/~s/members/~mona {roles: [member]}",
		"mona POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"iris PUT subscriptions/~s/members/~iris {roles: [member]} => 403", // iris has neither list_users nor invite_member
	)
	const request = "PUT subscriptions/~s/members/~iris/accounts {accounts: {~a: [user]}}"
	for _, test := range []struct {
		actor string
		shown bool
	}{{"mona", false}, {"olga", true}} {
		for range 2 { // the second request has the same idempotency key
			a := s.under(s.id(test.actor), test.actor+" "+request)
			if a.status != http.StatusOK {
				t.Fatalf("%s: %d %s", a.request, a.status, a.body)
			}
			if _, shown := a.withoutToken(t)["roles"]; shown != test.shown {
				t.Errorf("%s: %s, want roles: %t", a.request, a.body, test.shown)
			}
		}
	}
	// People may see their own roles, even if they may not list the members.
	if _, shown := s.under(
		s.id("own"), "mona PUT subscriptions/~s/members/~mona/accounts {accounts: {~a: [owner]}}",
	).withoutToken(t)["roles"]; !shown {
		t.Error("mona's own roles are not shown")
	}

	// A business administrator may list the members of a subscription, but not those of an analytics account in it.
	s.play(
		"backend POST subscriptions {id: ~one, role_set: single_owner, owner: ~olga, features: [user_permissions]}",
		"olga PUT subscriptions/~one/members/~bea {roles: [business_admin]}",
		"olga PUT subscriptions/~one/members/~iris {roles: [it_admin]}",
		"olga POST accounts {id: ~n, subscription: ~one, role_set: analytics}",
		"olga PUT accounts/~n/members/~iris {roles: [editor]}",
		"olga GET subscriptions/~one/members?by_account=true => 200 {members: "+
			"[{user: ~bea, roles: [business_admin], accounts: {}}, {user: ~iris, roles: [it_admin], accounts: {~n: [editor]}}, "+
			"{user: ~olga, roles: [owner], accounts: {}}]}",
	)
	may := s.by("bea").call(http.MethodGet, s.in("accounts/~n/members"), nil).status == http.StatusOK
	listed := s.by("bea").must(http.MethodGet, s.in("subscriptions/~one/members?by_account=true"), nil)
	if shown := bytes.Contains(listed.body, []byte(`"`+s.id("n")+`"`)); shown != may {
		t.Errorf("bea may list the members of the account: %t; the list shows her: %s", may, listed.body)
	}
}

// TestReplayHidesObjectsHiddenSince repeats requests with the same idempotency key. Before, objects in the first
// answer were hidden from the actor. The repeated answer must have only values of the request and values that are
// visible.
func TestReplayHidesObjectsHiddenSince(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before  []string
		request string
		between []string
		hidden  string
	}{
		"a private source, after the destination was changed": {
			[]string{"ulla POST importers {id: ~i, account: ~a}"},
			"ulla PUT importers/~i/connections {destination: ~shared}",
			[]string{"peter PUT importers/~i/connections {source: ~secret}"},
			"secret",
		},
		"a private destination, after the source was removed": {
			[]string{"ulla POST importers {id: ~i, account: ~a}"},
			"ulla PUT importers/~i/connections {source: null}",
			[]string{"peter PUT importers/~i/connections {destination: ~secret, source: ~shared}"},
			"secret",
		},
		"a private source of a copied importer": {
			[]string{"olga POST importers {id: ~i, account: ~a}"},
			"olga POST importers/~i/copy {id: ~j}",
			[]string{"peter PUT importers/~i/connections {source: ~secret}"},
			"secret",
		},
		"a private source of the copy": {
			[]string{"olga POST importers {id: ~i, account: ~a}"},
			"olga POST importers/~i/copy {id: ~j}",
			[]string{"peter PUT importers/~j/connections {source: ~secret}"},
			"secret",
		},
		"the account of an importer, after a removal": {
			[]string{"ulla POST importers {id: ~i, account: ~a}"},
			"ulla PUT importers/~i/connections {destination: ~shared}",
			[]string{"olga DELETE accounts/~a/members/~ulla"},
			"a",
		},
		"the connector of a connection, after a removal": {
			[]string{"ulla POST connections {id: ~own, account: ~a, connector: ~crm}"},
			"ulla PUT connections/~own/sharing {visibility: shared}",
			[]string{"olga DELETE accounts/~a/members/~ulla"},
			"crm",
		},
		"roles on a subscription": {
			[]string{"olga PUT subscriptions/~s/members/~otto {roles: [owner]}"},
			"otto PUT subscriptions/~s/members/~nina/accounts {accounts: {~a: [user]}}",
			[]string{
				"otto PUT accounts/~a/members/~otto {roles: [owner]}", "otto PUT subscriptions/~s/members/~otto {roles: [member]}",
				"olga PUT subscriptions/~s/members/~nina {roles: [member]}",
			},
			"member",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, memory.get(t))
			for _, text := range append([]string{
				"include team",
				"olga PUT accounts/~a/members/~peter {roles: [user]}",
				"peter POST connections {id: ~secret, account: ~a, connector: ~crm}",
				"peter POST connections {id: ~shared, account: ~a, connector: ~crm, visibility: shared}",
			}, test.before...) {
				line{name, text}.play(s, "", "")
			}
			first := s.under(s.id("key"), test.request)
			s.play(test.between...)
			s.writesNothing(test.request, func() {
				again := s.under(s.id("key"), test.request)
				if first.status > 299 || again.status != first.status || !again.isReplay() {
					t.Fatalf("%d %s, again %d %s", first.status, first.body, again.status, again.body)
				}
				for _, quoted := range []string{`"` + s.id(test.hidden) + `"`, `["` + test.hidden + `"]`} {
					if bytes.Contains(again.body, []byte(quoted)) {
						t.Errorf("the repeated answer shows %s: %s", test.hidden, again.body)
					}
				}
			})
		})
	}
}

// TestPreviewHidesEffectsElsewhere previews operations that affect several objects. The actors may list the people
// of only some of these objects. On the others, the preview must show no effects on other people.
func TestPreviewHidesEffectsElsewhere(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend PUT connectors/~crm {capabilities: []}",
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga PUT subscriptions/~s/members/~mona {roles: [member]}",
		"mona POST accounts {id: ~n, subscription: ~s, role_set: analytics}",
		"mona PUT accounts/~n/members/~vera {roles: [editor]}",
		"mona POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"mona PUT accounts/~a/members/~ulla {roles: [user]}",
		"mona PUT accounts/~a/members/~gert {roles: [guest]}",
		"gert POST connections {id: ~c, account: ~a, connector: ~crm}",
	)
	listing := map[string]string{"subscription": "list_users", "account": "list_members"}
	for _, test := range []struct{ actor, request, hidden, shown string }{
		{"mona", "PUT accounts/~n/members/~nina {roles: [editor]}", "subscription:~s", "account:~n"},
		{"olga", "PUT accounts/~n/members/~nina {roles: [editor]}", "", "subscription:~s"},
		{"mona", "DELETE accounts/~n/members/~vera", "subscription:~s", "account:~n"},
		{"olga", "DELETE accounts/~n/members/~vera", "", "subscription:~s"},
		{
			"mona", "PUT subscriptions/~s/members/~nina/accounts {accounts: {~n: [editor], ~a: [user]}}", "subscription:~s",
			"account:~a",
		},
		{"mona", "POST accounts {id: ~new, subscription: ~s, role_set: team}", "", "account:~new"},
		{"gert", "PUT connections/~c/sharing {visibility: private, users: [~ulla]}", "connection:~c", ""},
		{"gert", "PUT connections/~c/sharing {visibility: shared}", "connection:~c", ""},
	} {
		next, err := parseStep(s.in(test.actor + " " + test.request))
		if err != nil {
			t.Fatal(err)
		}
		r := next.(requestStep)
		lines, omitted := s.by(test.actor).preview(r.method, r.path, r.body).effects(t)
		shown := strings.Join(lines, "\n")
		for _, line := range lines {
			words := strings.Fields(line)
			who, what := words[1], words[3]
			typ, _, _ := strings.Cut(what, ":")
			if typ == "connection" {
				typ, what = "account", s.in("account:~a")
			}
			if who == "user:"+s.id(test.actor) || who == "user:*" || what == s.in("account:~new") {
				continue
			}
			if !s.may(question{"user:" + s.id(test.actor), listing[typ], what}) {
				t.Errorf("%s %s: the preview shows %s", test.actor, test.request, line)
			}
		}
		if test.hidden != "" && !omitted {
			t.Errorf("%s %s: the preview does not set omitted: %s", test.actor, test.request, shown)
		}
		if test.shown != "" && !strings.Contains(shown, " "+s.in(test.shown)) {
			t.Errorf("%s %s: nothing is shown about %s: %s", test.actor, test.request, test.shown, shown)
		}
	}
}

// TestReplayedInvitationNeedsTheRight invites a person. After the inviter has lost the permission to invite, the
// test repeats the request with the same idempotency key. The repeated answer must not name the invitation.
func TestReplayedInvitationNeedsTheRight(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"demoted": "olga PUT accounts/~a/members/~otto {roles: [guest]}",
		"removed": "olga DELETE accounts/~a/members/~otto",
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, memory.get(t))
			line{name, "include team"}.play(s, "", "")
			s.play("olga PUT accounts/~a/members/~otto {roles: [owner]}")
			const request = "otto POST accounts/~a/invitations {invitee: ~nina, roles: [user]}"
			first, again := s.under(s.id("key"), request), s.under(s.id("key"), request)
			if first.status != http.StatusCreated || first.withoutToken(t)["id"] == nil || again.withoutToken(t)["id"] != first.withoutToken(t)["id"] {
				t.Fatalf("%d %s, again %s", first.status, first.body, again.body)
			}
			s.play(change)
			s.writesNothing(request, func() {
				again := s.under(s.id("key"), request)
				shown := again.withoutToken(t)
				if again.status != first.status || !again.isReplay() || shown["id"] != nil || shown["handle"] != nil ||
					shown["expires_at"] != nil {
					t.Errorf("after the inviter was %s: %d %s", name, again.status, again.body)
				}
			})
		})
	}
}
