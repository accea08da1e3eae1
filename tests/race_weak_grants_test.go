package tests

import (
	"fmt"
	"net/http"
	"testing"
)

// raceOfWeakGrants adds people to an account, removes them and adds them again, all concurrently. The actor ulla may
// add and remove people, but may not change roles. So she must not turn a guest into a user. At the end, a removed
// person must have no role, or the role that an owner granted.
func raceOfWeakGrants(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	refused := 0
	for round := 0; round < on.rounds(50) || refused == 0 && round < 250; round++ {
		who := s.id(fmt.Sprintf("g%d", round))
		member := s.in("accounts/~a/members/") + who
		remove := func() answer { return s.by("ulla").call(http.MethodDelete, member, nil) }
		add := func() answer { return s.by("ulla").call(http.MethodPut, member, roles("user")) }
		answers := together(
			func() answer { // olga adds a guest, and ulla, who may not change roles, removes the guest
				if a := s.by("olga").call(http.MethodPut, member, roles("guest")); a.status != http.StatusOK {
					return a
				}
				return remove()
			},
			add, add,
			func() answer { remove(); return add() },
		)
		for i, a := range answers {
			switch {
			case a.status == http.StatusForbidden && i > 0:
				refused++
			case a.status != http.StatusOK && a.status != http.StatusConflict:
				t.Errorf("round %d: %s: %d %s", round, a.request, a.status, a.body)
			}
		}
		// The owner added the person as a guest, and then ulla removed the person. Ulla may not grant a guest
		// another role. She may not add a removed person again either.
		if answers[0].status == http.StatusOK && s.may(question{"user:" + who, "create_importer", "account:" + s.id("a")}) {
			t.Fatalf("round %d: a guest was removed, and is a user now: %v", round, texts(answers))
		}
	}
	if refused == 0 {
		t.Error("no request was answered with 403")
	}
}
