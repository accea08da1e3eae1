package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-authz/sluice/internal/testsize"
)

// raceOfLeaving removes people from an account concurrently, while they create objects and are added again. Each
// removal reassigns the person's objects to another one of these people. Each object must have exactly one creator
// at any time. At the end, its creator must be a person who was not removed.
func raceOfLeaving(t *testing.T, on *backend) {
	left, kept := 0, 0
	// There are few repetitions, because each takes long: a removal reassigns the objects of all earlier removals
	// again.
	for range testsize.Of(1, 2) {
		answered, created := leavingForOneAnother(t, on)
		left, kept = left+answered[http.StatusOK], kept+created
	}
	if left == 0 || kept == 0 {
		t.Errorf("%d removals succeeded, and %d objects were created", left, kept)
	}
}

// leavingForOneAnother runs some rounds of the race in one new account. It returns how many requests were answered
// with each status, and how many of the created objects are left.
func leavingForOneAnother(t *testing.T, on *backend) (answered map[int]int, kept int) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	s.play("olga PUT accounts/~a/members/~carol {roles: [user]}", "olga PUT accounts/~a/members/~otto {roles: [owner]}")
	var created []string
	answered = map[int]int{}
	rounds := 2
	if on.isBrief() {
		rounds = 1
	}
	for round := range rounds {
		s.play("olga PUT accounts/~a/members/~anna {roles: [user]}", "olga PUT accounts/~a/members/~bob {roles: [user]}")
		stopped := make(chan struct{})
		var busy sync.WaitGroup
		var mu sync.Mutex
		started := make(chan struct{}, 2)
		for _, who := range []string{"anna", "bob"} {
			busy.Go(func() {
				for i := range 40 { // few, since each later removal reassigns these importers again
					id := s.id(fmt.Sprintf("i%d-%s-%d", round, who, i))
					a := s.by(who).call(http.MethodPost, "importers", map[string]any{"id": id, "account": s.id("a")})
					if a.status == http.StatusCreated {
						mu.Lock()
						created = append(created, id)
						mu.Unlock()
					} else if a.status >= 500 {
						t.Errorf("%s: %d %s", a.request, a.status, a.body)
					}
					if i == 5 {
						started <- struct{}{}
					}
					select {
					case <-stopped:
						return
					default:
					}
				}
			})
		}
		<-started
		<-started
		leave := func(actor, who, heir string) func() answer {
			return func() answer {
				return s.by(actor).call(http.MethodDelete, s.in("accounts/~a/members/~"+who+"?reassign_to=~"+heir), nil)
			}
		}
		var deleted []string
		remove := func() (last answer) { // called while people are removed
			mu.Lock()
			some := slices.Clone(created)
			mu.Unlock()
			slices.Reverse(some)
			for _, id := range some[:min(len(some), 15)] {
				if last = s.by("olga").call(http.MethodDelete, "importers/"+id, nil); last.status == http.StatusOK {
					deleted = append(deleted, id)
				}
			}
			return last
		}
		answers := together(
			remove,
			leave("olga", "anna", "bob"), leave("otto", "anna", "bob"), leave("olga", "bob", "anna"), leave(
				"otto", "bob", "carol",
			),
			func() answer {
				return s.by("olga").call(http.MethodPut, s.in("accounts/~a/members/~anna"), roles("user"))
			},
		)
		close(stopped)
		busy.Wait()
		for _, r := range s.stored() {
			resource, _, _ := strings.Cut(strings.TrimPrefix(r, "importer:"), "#")
			if slices.Contains(deleted, resource) {
				t.Fatalf("round %d: the importer was deleted, but %s is stored", round, r)
			}
		}
		created = slices.DeleteFunc(created, func(id string) bool { return slices.Contains(deleted, id) })
		for _, a := range answers {
			answered[a.status]++
			if a.status != http.StatusOK && a.status != http.StatusBadRequest && a.status != http.StatusConflict {
				t.Errorf("round %d: %s: %d %s", round, a.request, a.status, a.body)
			}
		}
		if lost := s.withoutOneCreator(created); len(lost) > 0 {
			t.Fatalf("round %d: without exactly one creator: %v, after %v", round, lost, texts(answers))
		}
	}
	s.play(
		"olga DELETE accounts/~a/members/~anna?reassign_to=~carol => 200",
		"olga DELETE accounts/~a/members/~bob?reassign_to=~carol => 200",
	)
	s.play(
		"nothing left of user:~anna", "nothing left of user:~bob", "nothing left of offboarding:~anna",
		"nothing left of offboarding:~bob",
	)
	return answered, len(created)
}

// withoutOneCreator returns those of the importers that do not have exactly one creator.
func (s scene) withoutOneCreator(importers []string) []string {
	s.t.Helper()
	creators := map[string]int{}
	for _, r := range s.stored() {
		if resource, _, found := strings.Cut(r, "#creator@"); found {
			creators[strings.TrimPrefix(resource, "importer:")]++
		}
	}
	return slices.DeleteFunc(slices.Clone(importers), func(id string) bool { return creators[id] == 1 })
}

// raceOfErasing erases a person who creates objects and gets roles at the same time. Then it erases the person a
// second time. After that, no relationship about the person may be stored.
func raceOfErasing(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	for round := range on.rounds(12) {
		s.play("olga PUT accounts/~a/members/~nina {roles: [user]}")
		busy := func(i int) func() answer {
			return func() answer {
				return s.by("nina").call(http.MethodPost, "connections", map[string]any{
					"id": s.id(fmt.Sprintf("c%d-%d", round, i)), "account": s.id("a"), "connector": s.id("crm"),
				})
			}
		}
		erase := func() answer { return s.call(http.MethodDelete, s.in("users/~nina"), nil) }
		invite := func() answer {
			return s.by("olga").call(http.MethodPut, s.in("accounts/~a/members/~nina"), roles("guest"))
		}
		for _, a := range together(busy(1), busy(2), busy(3), erase, erase, invite, busy(4)) {
			if a.status >= 500 {
				t.Errorf("round %d: %s: %d %s", round, a.request, a.status, a.body)
			}
		}
		s.play("backend DELETE users/~nina => 200", "nothing left of user:~nina", "nothing left of offboarding:~nina")
		for _, r := range s.stored() {
			if strings.HasPrefix(r, "connection:") || strings.HasPrefix(r, "deletion:") {
				t.Fatalf("round %d: %s is still stored", round, r)
			}
		}
	}
}
