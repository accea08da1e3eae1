package tests

import (
	"fmt"
	"net/http"
	"testing"
)

// raceOfWeakGrants concurrently adds strangers, removes them and adds them again. An actor who may invite and remove,
// but may not change roles, must not turn a guest into a user. At the end, a removed person has no role, or the role
// that an owner granted.
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
			func() answer { // a person who may not change roles removes a guest
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
		// The owner made the person a guest, then ulla removed the person. Ulla may neither grant a guest another role
		// nor add a removed person again.
		if answers[0].status == http.StatusOK && s.may(question{"user:" + who, "create_importer", "account:" + s.id("a")}) {
			t.Fatalf("round %d: who was made a guest and was removed is a user: %v", round, texts(answers))
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}
