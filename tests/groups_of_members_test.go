package tests

import (
	"net/http"
	"testing"
)

// TestGroupsOfMembersAreShown checks which answers show the groups through which a person has roles: the list of
// members, the answer about one member, the offboarding report, and the answer to a removal. People who may not list
// the members of the account see only their own groups.
func TestGroupsOfMembersAreShown(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	s.play(
		"olga POST subscriptions/~s/groups {id: ~crew, title: Crew}",
		"olga POST subscriptions/~s/groups {id: ~guests, title: Guests}",
		`olga PUT accounts/~a/groups/~crew {roles: [user], expires_at: "2099-01-31T17:00:00Z"}`,
		"olga PUT accounts/~a/groups/~guests {roles: [guest]}",
		"olga PATCH groups/~crew/members {add: [~gert, ~nora]}",
		"olga PATCH groups/~guests/members {add: [~nora, ~ned]}",

		"olga GET accounts/~a/members => 200 {members: ["+
			`{user: ~gert, roles: [guest], via: [{group: ~crew, roles: [user], expires_at: "2099-01-31T17:00:00Z"}]},`+
			"{user: ~ned, roles: [], via: [{group: ~guests, roles: [guest]}]},"+
			`{user: ~nora, roles: [], via: [{group: ~crew, roles: [user], expires_at: "2099-01-31T17:00:00Z"},`+
			" {group: ~guests, roles: [guest]}]},"+
			"{user: ~olga, roles: [owner]}, {user: ~ulla, roles: [user]}]}",
		"olga GET accounts/~a/members?role=owner => 200 {members: [{user: ~olga, roles: [owner]}]}",
		"olga PUT accounts/~a/groups/~crew {roles: [user]}",
		"olga GET accounts/~a/members?role=user => 200 {members: ["+
			"{user: ~gert, roles: [guest], via: [{group: ~crew, roles: [user]}]}, {user: ~nora, roles: [], via: ["+
			"{group: ~crew, roles: [user]}, {group: ~guests, roles: [guest]}]}, {user: ~ulla, roles: [user]}]}",
		"olga GET accounts/~a/members?role=editor => 400 invalid roles are owner, user, guest",
		"olga GET accounts/~a/members/~ned => 200 {roles: [], via: [{group: ~guests, roles: [guest]}]}",
		// ned may not list the members of the account, but may read his own roles.
		"ned GET accounts/~a/members => 403 forbidden list_members",
		"ned GET accounts/~a/members/~nora => 403 forbidden list_members",
		"ned GET accounts/~a/members/~ned => 200 {roles: [], via: [{group: ~guests, roles: [guest]}]}",

		"olga GET accounts/~a/members/~gert/offboarding => 200 {roles: [guest], groups: [{group: ~crew, roles: [user]}]}",
		"olga GET accounts/~a/members/~ulla/offboarding => 200 {roles: [user], groups: null}",
		"olga DELETE accounts/~a/members/~ulla => 200 {remaining: null}",
		"olga DELETE accounts/~a/members/~gert => 200 {remaining: [{group: ~crew, roles: [user]}]}",
		"not stored account:~a#guest@user:~gert",
		"gert may view account:~a",

		// The removal can also remove the person from the groups. Then the actor needs manage_groups, unless the
		// actor is this person.
		"olga PUT accounts/~a/members/~otto {roles: [owner]}",
		"otto DELETE accounts/~a/members/~gert?groups=leave => 403 forbidden manage_groups",
		"otto DELETE accounts/~a/members/~gert?groups=none => 400 invalid must be leave",
		"olga DELETE accounts/~a/members/~gert?groups=leave => 200 {remaining: null}",
		"not stored group:~crew#member@user:~gert",
		"gert may not view account:~a",
		"ned DELETE accounts/~a/members/~ned => 200 {remaining: [{group: ~guests, roles: [guest]}]}",
		"ned DELETE accounts/~a/members/~ned?groups=leave => 200 {remaining: null}",
		"not stored group:~guests#member@user:~ned",
		"ned may not view account:~a",

		// A removal that makes somebody else the creator of the person's objects can also remove the person from the
		// groups.
		"olga PUT accounts/~a/members/~nora {roles: [user]}",
		"nora POST importers {id: ~i, account: ~a}",
		"olga DELETE accounts/~a/members/~nora?reassign_to=~olga&groups=leave => 200 {remaining: null}",
		"not stored group:~crew#member@user:~nora",
		"stored importer:~i#creator@user:~olga",
	)
	if a := s.by("nora").call(http.MethodGet, s.in("accounts/~a"), nil); a.status != http.StatusNotFound {
		t.Errorf("a removed person sees the account: %d %s", a.status, a.body)
	}
}
