package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// crowd grants a role on an account to n people, in as many requests as necessary.
func (s scene) crowd(account, role string, n int) {
	s.t.Helper()
	for from := 0; from < n; from += 250 {
		members := map[string]any{}
		for i := from; i < min(from+250, n); i++ {
			members[s.id(fmt.Sprintf("m%d", i))] = []string{role}
		}
		s.by("olga").must(http.MethodPatch, "accounts/"+account+"/members", map[string]any{"members": members})
	}
}

// TestDeletingLargePlaces deletes accounts and subscriptions that have more relationships than one write may
// contain.
func TestDeletingLargePlaces(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	s.crowd(s.id("a"), "user", 1010)
	s.play("m7 POST connections {id: ~c, account: ~a, connector: ~crm}", "m8 POST importers {id: ~i, account: ~a}")
	s.play(
		"m9 DELETE accounts/~a => 403 forbidden delete", "olga DELETE accounts/~a => 200", "nothing left of account:~a",
		"nothing left of importer:~i", "nothing left of connection:~c",
	)
	s.play("m7 may not view account:~a", "olga DELETE accounts/~a => 200", "m7 DELETE accounts/~a => 404 not_found")
	s.play("olga POST accounts {id: ~a, subscription: ~s, role_set: team} => 201", "m7 may not view account:~a")

	s.crowd(s.id("a"), "user", 1010)
	s.play("olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}", "olga POST reports {id: ~r, account: ~n}")
	s.play(
		"olga DELETE subscriptions/~s => 200", "nothing left of subscription:~s", "nothing left of account:~a",
		"nothing left of account:~n", "nothing left of report:~r",
	)
	s.play("olga DELETE subscriptions/~s => 200")
	for _, r := range s.stored() {
		if !strings.HasPrefix(r, "deletion:") && !strings.HasPrefix(r, s.in("connector:~crm")) {
			t.Errorf("%s is still stored", r)
		}
	}
}

// TestTooLarge requests more changes than one write may contain. The server must reject the request, and change
// nothing.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	members := map[string]any{}
	for i := range 1001 {
		members[s.id(fmt.Sprintf("m%d", i))] = []string{"user"}
	}
	s.writesNothing("a change of 1001 members", func() {
		a := s.by("olga").call(http.MethodPatch, "accounts/"+s.id("a")+"/members", map[string]any{"members": members})
		if a.status != http.StatusRequestEntityTooLarge || a.problem().Code != "too_large" {
			t.Errorf("%s: %d %s", a.request, a.status, a.body)
		}
	})
	// A bulk check has a limit, too.
	checks := make([]question, 1001)
	for i := range checks {
		checks[i] = question{"user:a", "view", "account:a"}
	}
	if a := s.call(
		http.MethodPost, "check/bulk", map[string]any{"checks": checks},
	); a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%s: %d %s", a.request, a.status, a.body)
	}
	if a := s.call(http.MethodPost, "check/bulk", map[string]any{"checks": checks[:1000]}); a.status != http.StatusOK {
		t.Errorf("%s: %d %.300s", a.request, a.status, a.body)
	}
}

// TestCreatingAccountWithIDThatIsBeingDeleted deletes a large account, and creates a new account with the same id as
// early as the server allows it. Then the cleanup of the deletion must not change the new account. The new account
// must have nothing of the old account.
func TestCreatingAccountWithIDThatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	s.play("backend POST subscriptions {id: ~s2, role_set: multi_owner, owner: ~otto}")
	s.crowd(s.id("a"), "user", 1010)
	deleted := make(chan answer)
	go func() { deleted <- s.by("olga").call(http.MethodDelete, "accounts/"+s.id("a"), nil) }()
	create := map[string]any{"id": s.id("a"), "subscription": s.id("s2"), "role_set": "operations"}
	for {
		a := s.by("otto").call(http.MethodPost, "accounts", create)
		if a.status == http.StatusCreated {
			break
		}
		if a.status != http.StatusConflict {
			t.Fatalf("%s: %d %s", a.request, a.status, a.body)
		}
	}
	if a := <-deleted; a.status != http.StatusOK {
		t.Errorf("%s: %d %s", a.request, a.status, a.body)
	}
	var got []string
	for _, r := range s.stored() {
		if names(r, "account:"+s.id("a")) {
			got = append(got, r)
		}
	}
	want := []string{
		s.in("account:~a#administrator@user:~otto"),
		s.in("account:~a#operations@service_account:*"), s.in("account:~a#operations@user:*"),
		s.in("account:~a#subscription@subscription:~s2"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("the account has the relationships %v, want %v", got, want)
	}
	// olga has deleted the old account. If she repeats the request, it succeeds, but does not change the new
	// account.
	s.play("olga DELETE accounts/~a => 200", "otto GET accounts/~a => 200 {subscription: ~s2}")
}
