package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
)

// TestIDs sends many kinds of ids to the API. Bodies, paths, headers and lists must return each id unchanged. Two
// different ids must not name the same object.
func TestIDs(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
	)
	for _, id := range []string{
		"alice@example.com", "a b", "a/b/c", "/", "//", "..", ".", "a%2Fb", "100%", "%", "a#b", "#", "a:b", "*", "=", "==2A",
		"a=3Db", "ÄÖÜ ß", "日本語", "😀",
		"a\"b\\c", "urn:a:b", "users:bob", "?a=b&c", ";", "+", "a+b", "<script>", "'; --", "-", "_", "|", "null",
		strings.Repeat("x", 256), strings.Repeat("日", 85),
	} {
		who, importer := id, s.prefix+id
		if len(importer) > 256 {
			importer = id
		}
		member := "accounts/" + s.id("a") + "/members/" + url.PathEscape(who)
		var put struct{ User string }
		s.by("olga").must(http.MethodPut, member, roles("user")).decode(t, &put)
		var created struct{ ID string }
		s.as(who).must(http.MethodPost, "importers", map[string]any{"id": importer, "account": s.id("a")}).decode(t, &created)
		if put.User != who || created.ID != importer {
			t.Errorf("%q is returned as %q, %q as %q", who, put.User, importer, created.ID)
		}
		var accounts struct{ Accounts []struct{ ID string } }
		s.as(who).must(http.MethodGet, "users/"+url.PathEscape(who)+"/accounts", nil).decode(t, &accounts)
		if len(accounts.Accounts) != 1 || accounts.Accounts[0].ID != s.id("a") {
			t.Errorf("%q has the accounts %v", who, accounts.Accounts)
		}
		var members struct{ Members []struct{ User string } }
		s.by("olga").must(http.MethodGet, "accounts/"+s.id("a")+"/members", nil).decode(t, &members)
		if len(members.Members) != 2 || members.Members[0].User != who && members.Members[1].User != who {
			t.Errorf("%q is not among the members %v", who, members.Members)
		}
		var decision struct{ Allowed bool }
		check := map[string]any{
			"subject": map[string]string{"type": "user", "id": who}, "permission": "copy", "resource": map[string]string{
				"type": "importer", "id": importer,
			},
		}
		s.must(http.MethodPost, "check", check).decode(t, &decision)
		if !decision.Allowed {
			t.Errorf("%q may not copy %q", who, importer)
		}
		if !strings.Contains(who, "#") {
			if !s.may(question{"user:" + who, "copy", "importer:" + importer}) {
				t.Errorf("user:%s may not copy importer:%s", who, importer)
			}
		}
		check["subject"] = map[string]string{"type": "user", "id": "=" + string([]rune(who)[1:])}
		if who != "=" && who != "==2A" {
			s.must(http.MethodPost, "check", check).decode(t, &decision)
			if decision.Allowed {
				t.Errorf("another person than %q may copy %q", who, importer)
			}
		}
		s.as(who).must(http.MethodDelete, "importers/"+url.PathEscape(importer), nil)
		s.by("olga").must(http.MethodDelete, member, nil)
	}
}

// TestInvisibleCharactersAreInvalidInBodies sends ids with invisible characters in request bodies. In JSON, a client
// can write such characters as escapes.
func TestInvisibleCharactersAreInvalidInBodies(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, c := range []string{`\u0000`, `\n`, `\u001f`, `\u007f`, `\u0085`, `\u009f`, `\u200b`, `\u202e`, `\ufeff`} {
		for _, body := range []string{
			`{"id": "%s", "role_set": "multi_owner", "owner": "olga"}`, `{"id": "x", "role_set": "multi_owner", "owner": "a%s"}`,
			`{"id": "x", "role_set": "multi_owner", "owner": "user:%sa"}`,
		} {
			if got := s.call(http.MethodPost, "subscriptions", fmt.Appendf(nil, body, c)); got.problem().Code != "invalid" {
				t.Errorf("%s in %s: %d %s", c, body, got.status, got.body)
			}
		}
		check := fmt.Appendf(
			nil, `{"subject": {"type": "user", "id": "a%s"}, "permission": "view", "resource": "account:a%s"}`, c, c,
		)
		if got := s.call(http.MethodPost, "check", check); got.problem().Code != "invalid" {
			t.Errorf("%s in a check: %d %s", c, got.status, got.body)
		}
	}
}

// TestPersonIsTheSameInBothForms writes the id of a person as user:bob, in every call that accepts a person. The
// result must be the same as for the id bob.
func TestPersonIsTheSameInBothForms(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: 'user:~olga'}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga PUT accounts/~a/members/user:~bob {roles: [user]} => 200 {user: ~bob}",
		"stored account:~a#user@user:~bob",
		"olga PATCH accounts/~a/members {members: {'user:~carl': [user], 'user:~dora': [guest]}} => 200",
		"stored account:~a#user@user:~carl",
		"olga PATCH accounts/~a/members {members: {'user:~carl': [user], ~carl: [guest]}} => 400 invalid twice",
		"backend PUT connectors/~mysql {capabilities: []}",
		"bob POST connections {id: ~c, account: ~a, connector: ~mysql}",
		"bob PUT connections/~c/sharing {visibility: private, users: ['user:~carl', ~carl]}",
		"stored connection:~c#shared_with@user:~carl",
		"bob POST importers {id: ~i, account: ~a}",
		"olga POST accounts/~a/invitations {invitee: 'user:~nina', roles: [guest]} => 201 {invitee: ~nina}",
		"olga PUT subscriptions/~s/members/user:~mia {roles: [member]}",
		"stored subscription:~s#member@user:~mia",
		"olga PUT subscriptions/~s/members/user:~mia/accounts {accounts: {~a: [guest]}}",
		"stored account:~a#guest@user:~mia",
		"olga GET accounts/~a/members/user:~bob/offboarding => 200",
		"olga DELETE accounts/~a/members/user:~bob?reassign_to=user:~carl&private_connections=leave",
		"not stored account:~a#user@user:~bob",
		"stored importer:~i#creator@user:~carl",
		"olga DELETE subscriptions/~s/members/user:~mia",
		"not stored subscription:~s#member@user:~mia",
		"backend POST subscriptions {id: ~t, role_set: single_owner, owner: ~olga}",
		"olga POST subscriptions/~t/transfer {to: 'user:~carl'}",
		"stored subscription:~t#owner@user:~carl",
		"carl POST accounts {id: ~o, subscription: ~t, role_set: operations}",
		"carl PUT accounts/~o/members/user:~carl {roles: [administrator]}",
		"carl PUT accounts/~o/members/user:~dora {roles: [operator]}",
		"carl POST workspaces {id: ~w, account: ~o, open: false}",
		"carl PUT workspaces/~w/access {open: false, users: ['user:~dora']}",
		"stored workspace:~w#member@user:~dora",
		"backend PUT platform/administrators/user:~root",
		"backend DELETE platform/administrators/~root",
		"backend DELETE users/user:~dora",
		"not stored account:~a#guest@user:~dora",
	)
	for _, path := range []string{"users/%s/accounts", "accounts/" + s.id("a") + "/connections?actor=%s"} {
		plain := s.by("carl").must(http.MethodGet, fmt.Sprintf(path, s.id("carl")), nil)
		typed := s.as("user:"+s.id("carl")).must(http.MethodGet, fmt.Sprintf(path, "user:"+s.id("carl")), nil)
		var a, b map[string]any
		plain.decode(t, &a)
		typed.decode(t, &b)
		delete(a, "token")
		delete(b, "token")
		if fmt.Sprint(a) != fmt.Sprint(b) || !strings.Contains(string(plain.body), s.prefix) {
			t.Errorf("%s: %s is not %s", path, plain.body, typed.body)
		}
	}
	account := "account=" + s.id("a")
	plain := changes(s.history(account+"&actor="+s.id("bob"), atLeast(3)))
	typed := changes(s.history(account+"&actor=user:"+s.id("bob"), atLeast(3)))
	if fmt.Sprint(plain) != fmt.Sprint(typed) {
		t.Errorf("the history of bob is\n%s\nthat of user:bob is\n%s", strings.Join(plain, "\n"), strings.Join(typed, "\n"))
	}
	next, leave := s.follow(account+"&actor=user:"+s.id("bob"), "0")
	defer leave()
	if first, ok := next(); !ok || first.Actor != s.id("bob") {
		t.Errorf("the first event of user:bob is %+v", first)
	}
	preview := map[string]any{
		"method": "PUT", "path": "/v1/accounts/" + s.id("a") + "/members/user:" + s.id("new"), "body": roles("user"),
	}
	got := s.as("user:"+s.id("olga")).must(http.MethodPost, "preview", preview)
	if !strings.Contains(string(got.body), `"user:`+s.id("new")+`"`) {
		t.Errorf("a preview for user:… returns %s", got.body)
	}
}

// TestNoIDBeginsWithATypeAndAColon checks that no object and no person can get an id that begins with a type and a
// colon.
func TestNoIDBeginsWithATypeAndAColon(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"backend POST subscriptions {id: 'subscription:x', role_set: multi_owner, owner: ~olga} => 400 invalid subscription:",
		"backend POST subscriptions {id: ~x, role_set: multi_owner, owner: 'user:user:olga'} => 400 invalid user:",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga POST accounts {id: 'account:x', subscription: ~s, role_set: team} => 400 invalid account:",
		"olga POST importers {id: 'importer:i9', account: ~a} => 400 invalid importer:",
		"olga POST importers {id: ~i, account: 'account:~a'} => 400 invalid account:",
		"olga PUT accounts/~a/members/account:x {roles: [user]} => 400 invalid account:",
		"backend PUT connectors/connector:x {capabilities: []} => 400 invalid connector:",
		"backend POST check {subject: 'user:user:x', permission: view, resource: 'account:~a'} => 400 invalid user:",
		"backend POST check {subject: 'user:x', permission: view, resource: {type: account, id: 'account:a'}} => 400 invalid account:",
	)
}

// TestForeignStoredIDIsActedOnAsShown removes members whose ids another tool wrote, in a form that Sluice never
// writes.
func TestForeignStoredIDIsActedOnAsShown(t *testing.T) {
	t.Parallel()
	on := memory.get(t)
	s := newScene(t, on)
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
	)
	for _, stored := range []string{
		s.prefix + "bad=zz" + strings.Repeat("x", 1018-len(s.prefix)), // the longest id that the contract allows
		s.prefix + "bad=zz", s.prefix + "a=00b", s.prefix + "c=41", s.prefix + "d=20", s.prefix + "e=E3=85=A4",
		// The characters are visible, but the id is too long for a request.
		s.prefix + strings.Repeat("x", 300), s.prefix + strings.Repeat("x", 1024-len(s.prefix)),
		"user=3A" + s.prefix, "stored=3A" + s.prefix,
	} {
		row := &v1.Relationship{
			Resource: &v1.ObjectReference{ObjectType: "account", ObjectId: s.id("a")}, Relation: "user",
			Subject: &v1.SubjectReference{Object: &v1.ObjectReference{ObjectType: "user", ObjectId: stored}},
		}
		_, err := v1.NewPermissionsServiceClient(on.spicedb).WriteRelationships(t.Context(), &v1.WriteRelationshipsRequest{
			Updates: []*v1.RelationshipUpdate{{Operation: v1.RelationshipUpdate_OPERATION_TOUCH, Relationship: row}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var members struct{ Members []struct{ User string } }
		s.by("olga").must(http.MethodGet, "accounts/"+s.id("a")+"/members", nil).decode(t, &members)
		shown := ""
		for _, m := range members.Members {
			if m.User != s.id("olga") {
				shown = m.User
			}
		}
		if shown != "stored:"+stored || len(members.Members) != 2 {
			t.Fatalf("%q is shown as %q in %v", stored, shown, members)
		}
		may := func(who string) bool {
			var decision struct{ Allowed bool }
			s.must(http.MethodPost, "check", map[string]any{
				"subject": "user:" + who, "permission": "view", "resource": "account:" + s.id("a"),
				"consistency": "fully_consistent", // the server may not know the other tool's write yet
			}).decode(t, &decision)
			return decision.Allowed
		}
		if !may(shown) || may(s.prefix+"bad=zz") {
			t.Errorf("user:%s may not view the account, or user:%sbad=zz may", shown, s.prefix)
		}
		s.as(shown).must(http.MethodGet, "accounts/"+s.id("a"), nil)
		s.by("olga").must(http.MethodDelete, "accounts/"+s.id("a")+"/members/"+url.PathEscape(shown), nil)
		if left := strings.Join(s.stored(), " "); strings.Contains(left, "@user:"+stored) {
			t.Errorf("%q is still stored: %q", stored, left)
		}
	}
}

// TestForeignIDIsGrantedNothing checks ids that only another tool can have stored. Operations that create objects,
// or grant something to people, must reject them. A person with such an id can still act, and can be removed.
// Requests then name the id as answers show it: stored:ID.
func TestForeignIDIsGrantedNothing(t *testing.T) {
	t.Parallel()
	on := memory.get(t)
	s := newScene(t, on)
	line{"foreign", "include team"}.play(s, "", "")
	s.play(
		"olga POST accounts {id: ~o, subscription: ~s, role_set: operations}",
		"olga PUT accounts/~o/members/~olga {roles: [administrator, flow_author, integration_author, connector_author]}",
		"olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}",
		"olga POST workspaces {id: ~w, account: ~o, open: false}",
		"backend POST subscriptions {id: ~one, role_set: single_owner, owner: ~olga}",
		"olga POST accounts {id: ~g, subscription: ~one, role_set: analytics}",
		"olga POST connections {id: ~gc, account: ~g, connector: ~crm}",
		"ulla POST connections {id: ~c, account: ~a, connector: ~crm}",
		"olga POST subscriptions/~s/groups {id: ~group, title: T}",
	)
	for _, id := range []string{
		"stored:importer=3Ai9", "stored:a=00b", "stored:bad=zz", "stored:" + strings.Repeat("x", 600),
	} {
		s.writesNothing(id, func() {
			for _, request := range append([]string{
				"backend POST subscriptions {id: '$ID', role_set: multi_owner, owner: ~olga}",
				"backend POST subscriptions {id: ~new, role_set: multi_owner, owner: '$ID'}",
				"backend PUT connectors/$ID {capabilities: []}",
				"backend PUT platform/administrators/$ID",
				"backend PUT subscriptions/~s/members/$ID {roles: [owner], reason: lost}",
				"backend PUT accounts/~a/members/$ID {roles: [owner], reason: lost}",
				"backend POST subscriptions/~one/transfer {to: '$ID', reason: lost}",
				"olga POST subscriptions/~one/transfer {to: '$ID'}",
				"olga PUT subscriptions/~s/members/$ID {roles: [member]}",
				"olga PUT subscriptions/~s/members/$ID/accounts {accounts: {~a: [user]}}",
				"olga POST subscriptions/~s/invitations {invitee: '$ID', roles: [member]}",
				"olga POST accounts {id: '$ID', subscription: ~s, role_set: team}",
				"olga PUT accounts/~a/members/$ID {roles: [user]}",
				"olga PUT accounts/~n/members/$ID {roles: [editor]}",
				"olga PATCH accounts/~a/members {members: {'$ID': [user]}}",
				"olga POST accounts/~a/invitations {invitee: '$ID', roles: [user]}",
				"olga DELETE accounts/~a/members/~ulla?reassign_to=$ID&private_connections=leave",
				"ulla POST importers {id: '$ID', account: ~a}",
				"ulla POST connections {id: '$ID', account: ~a, connector: ~crm}",
				"ulla PUT connections/~c/sharing {visibility: private, users: ['$ID']}",
				"olga PUT connections/~gc/group {group: '$ID'}",
				"olga POST workspaces {id: '$ID', account: ~o, open: true}",
				"olga PUT workspaces/~w/access {open: false, users: ['$ID']}",
				"olga POST connectors {id: '$ID', account: ~o}",
				"olga POST subscriptions/~s/groups {id: '$ID', title: T}",
				"olga PUT groups/~group/members/$ID",
				"olga PATCH groups/~group/members {add: ['$ID']}",
				"olga POST accounts/~a/service-accounts {id: '$ID', title: T}",
				"olga POST accounts/~a/roles {id: '$ID', title: T}",
				"olga POST subscriptions/~s/roles {id: '$ID', title: T}",
			}, eachSimpleType("olga POST $types {id: '$ID', $place: ~$in}", map[string]string{
				"workspace": "w", "team": "a", "operations": "o", "analytics": "n",
			})...) {
				s.play(strings.ReplaceAll(request, "$ID", id) + " => 400 invalid")
			}
		})
	}
	var open invitation
	s.by("olga").must(
		http.MethodPost, s.in("accounts/~a/invitations"), map[string]any{"roles": []string{"user"}},
	).decode(t, &open)
	if a := s.as("stored:bad=zz").call(
		http.MethodPost, "invitations/"+open.ID+"/accept", nil,
	); a.problem().Code != "invalid" {
		t.Errorf("a foreign person accepts an invitation: %d %s", a.status, a.body)
	}
	s.write(s.in("account:~a#user@user:~bad=zz"), s.in("importer:~bad=zz#account@account:~a"))
	foreign := "stored:" + s.prefix + "bad=zz"
	s.as(foreign).must(http.MethodPost, "importers", map[string]any{"id": s.id("theirs"), "account": s.id("a")})
	s.play(
		"stored importer:~theirs#creator@user:~bad=zz",
		"olga PUT accounts/~a/members/"+foreign+" {roles: [owner]} => 400 invalid cannot get a role",
		"olga DELETE importers/"+foreign+" => 200",
		"not stored importer:~bad=zz#account@account:~a",
		"olga DELETE accounts/~a/members/"+foreign+"?reassign_to=~ulla",
		"stored importer:~theirs#creator@user:~ulla",
		"not stored account:~a#user@user:~bad=zz",
	)
}
