package tests

import (
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/sluice-authz/sluice/internal/testsize"
)

// raceOfGroups ends the access that a person has through a group, while the person creates objects. After the
// request that ends the access is answered, no more objects may be stored. There is one exception: on datastores
// with overlapping writes (see backend.overlapping), a write that was running at that moment may succeed.
func raceOfGroups(t *testing.T, on *backend) {
	for name, c := range map[string]struct{ gives, ends string }{
		"membership":         {"olga PUT groups/~crew/members/~busy", "groups/~crew/members/~busy"},
		"role of the group":  {"olga PUT accounts/~a/groups/~crew {roles: [user]}", "accounts/~a/groups/~crew"},
		"the group's own id": {"olga POST subscriptions/~s/groups {id: ~crew, title: Crew}", "groups/~crew"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, on)
			line{"inline", "include team"}.play(s, "", "")
			if c.ends != "groups/~crew" {
				s.play("olga POST subscriptions/~s/groups {id: ~crew, title: Crew}")
			}
			rounds := on.rounds(20)
			if testsize.IsLong() {
				rounds = 1000
			}
			for round := range rounds {
				s.play(c.gives)
				s.play("olga PUT groups/~crew/members/~busy", "olga PUT accounts/~a/groups/~crew {roles: [user]}")
				s.endsAccessWhileCreating(c.ends, strconv.Itoa(round))
			}
		})
	}
}

// endsAccessWhileCreating sends DELETE for a path while the user "busy" creates two objects. An object that is not
// stored when DELETE is answered must not be stored later.
func (s scene) endsAccessWhileCreating(path, round string) {
	s.t.Helper()
	objects := map[string]map[string]any{
		"importer":   {"id": s.id("i" + round), "account": s.id("a")},
		"connection": {"id": s.id("c" + round), "account": s.id("a"), "connector": s.id("crm")},
	}
	var busy sync.WaitGroup
	for typ, body := range objects {
		busy.Go(func() {
			if a := s.by("busy").call(http.MethodPost, typ+"s", body); a.status >= 500 {
				s.t.Errorf("%s: %d %s", a.request, a.status, a.body)
			}
		})
	}
	s.by("olga").must(http.MethodDelete, s.in(path), nil)
	stored := func(typ string) bool {
		return len(replayedRequest{scene: s}.related(typ+":"+objects[typ]["id"].(string))) > 0
	}
	before := make(map[string]bool)
	for typ := range objects {
		before[typ] = stored(typ)
	}
	busy.Wait()
	for typ := range objects {
		if !s.on.overlapping && stored(typ) && !before[typ] {
			s.t.Errorf("round %s: %s was created after its creator had lost access", round, typ)
		}
	}
}
