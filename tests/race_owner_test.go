package tests

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
)

// rounds is the number of rounds of each race about required roles. A required role is one that must always have a
// holder, for example owner.
const rounds = 100

// together runs all functions concurrently, and returns their answers in the order of the functions.
func together(calls ...func() answer) []answer {
	answers := make([]answer, len(calls))
	start := make(chan struct{})
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(func() {
			<-start
			answers[i] = call()
		})
	}
	close(start)
	all.Wait()
	return answers
}

// holders returns the people of this test who have a role on an object. It reads the stored relationships.
func (s scene) holders(object, role string) []string {
	s.t.Helper()
	typ, id, _ := strings.Cut(s.in(object), ":")
	stored := readRelationships(
		s.t, s.on.spicedb, &v1.RelationshipFilter{ResourceType: typ, OptionalResourceId: id, OptionalRelation: role},
	)
	for i, r := range stored {
		_, who, _ := strings.Cut(r, "@user:")
		stored[i] = strings.TrimPrefix(who, s.prefix)
	}
	return stored
}

// raceOnTheLastOwner sends two requests concurrently, each of which ends the role of an owner. If both succeeded,
// there would be no owner.
func raceOnTheLastOwner(t *testing.T, on *backend) {
	const account, subscription = "accounts/~a/members/", "subscriptions/~s/members/"
	demote, remove := roles("user"), any(nil)
	for _, race := range []struct {
		name         string
		rounds       int
		object, role string
		set          string // role set of the account
		path         string
		// first is the person about whom the user anna sends her request. firstBody has the new roles of this
		// person. If it is nil, the request removes the person.
		first     string
		firstBody any
		// second and secondBody are the same for the request of the user bert.
		second     string
		secondBody any
	}{
		{
			name: "mutual demotion", rounds: on.rounds(rounds / 4), set: "team", object: "account:~a", role: "owner",
			path: account, first: "bert", second: "anna", firstBody: demote, secondBody: demote,
		},
		{
			name: "mutual removal", rounds: on.rounds(rounds), set: "team", object: "account:~a", role: "owner", path: account,
			first: "bert", second: "anna", firstBody: remove, secondBody: remove,
		},
		{
			name: "leaving and removal", rounds: on.rounds(rounds / 4), set: "team", object: "account:~a", role: "owner",
			path: account, first: "anna", second: "anna", firstBody: remove, secondBody: remove,
		},
		{
			name: "both leave", rounds: on.rounds(rounds / 4), set: "team", object: "account:~a", role: "owner", path: account,
			first: "anna", second: "bert", firstBody: remove, secondBody: remove,
		},
		{
			name: "leaving and demotion", rounds: on.rounds(rounds / 8), set: "operations", object: "account:~a",
			role: "administrator", path: account, first: "anna", second: "bert", firstBody: remove,
			secondBody: roles("operator"),
		},
		{
			name: "owners of a subscription", rounds: on.rounds(rounds / 8), set: "analytics", object: "subscription:~s",
			role: "owner", path: subscription, first: "bert", second: "anna", firstBody: remove, secondBody: remove,
		},
		{
			name: "owners of a subscription give up", rounds: on.rounds(rounds / 8), set: "analytics", object: "subscription:~s",
			role: "owner", path: subscription, first: "anna", second: "bert", firstBody: roles("member"),
			secondBody: roles("member"),
		},
	} {
		t.Run(race.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, on)
			s.play(
				"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
				"olga POST accounts {id: ~a, subscription: ~s, role_set: "+race.set+"}",
			)
			// At the start of a round, anna and bert are both owners. The one who is still an owner grants the role
			// to the other one again.
			renew := func(by string) {
				other := map[string]string{"anna": "bert", "bert": "anna"}[by]
				s.by(by).must(http.MethodPut, s.in(race.path)+s.id(other), roles(race.role))
			}
			s.by("olga").must(http.MethodPut, s.in(race.path)+s.id("anna"), roles(race.role))
			s.by("olga").must(http.MethodDelete, s.in(race.path)+s.id("olga"), nil)
			left := []string{"anna"}
			act := func(who, whom string, body any) func() answer {
				method := http.MethodPut
				if body == nil {
					method = http.MethodDelete
				}
				return func() answer { return s.by(who).call(method, s.in(race.path)+s.id(whom), body) }
			}
			conflicts := 0
			for round := range race.rounds {
				renew(left[0])
				answers := together(act("anna", race.first, race.firstBody), act("bert", race.second, race.secondBody))
				succeeded := 0
				for _, a := range answers {
					switch {
					case a.status == http.StatusOK:
						succeeded++
					case a.status == http.StatusConflict:
						conflicts++
					case a.status != http.StatusNotFound && a.status != http.StatusForbidden:
						t.Fatalf("round %d: %s: %d %s", round, a.request, a.status, a.body)
					}
				}
				if left = s.holders(race.object, race.role); len(left) < 1 {
					t.Fatalf("round %d: there is no owner: %v", round, texts(answers))
				}
				if succeeded == 0 {
					t.Fatalf("round %d: neither request succeeded: %v", round, texts(answers))
				}
			}
			if conflicts == 0 && strings.Contains(race.name, "leave") {
				t.Error("no request was answered with a conflict")
			}
		})
	}
}

func roles(names ...string) any { return map[string]any{"roles": names} }

func texts(answers []answer) []string {
	var all []string
	for _, a := range answers {
		all = append(all, fmt.Sprintf("%s: %d %s", a.request, a.status, a.body))
	}
	return all
}

// raceOfTransfers transfers a subscription to two people concurrently. At the same time, one of the two transfers it
// to a third person. There must be exactly one owner at any time.
func raceOfTransfers(t *testing.T, on *backend) {
	s := newScene(t, on)
	s.play("backend POST subscriptions {id: ~s, role_set: single_owner, owner: ~p0}")
	owner := 0
	for round := range on.rounds(rounds) {
		transfer := func(from, to int) func() answer {
			return func() answer {
				return s.by(fmt.Sprintf("p%d", from)).call(
					http.MethodPost, s.in("subscriptions/~s/transfer"), map[string]string{"to": s.id(fmt.Sprintf("p%d", to))},
				)
			}
		}
		first, second := (owner+1)%4, (owner+2)%4
		// The third transfer can succeed only after the first one, because this person is not the owner before.
		answers := together(transfer(owner, first), transfer(owner, second), transfer(first, (owner+3)%4))
		succeeded := 0
		for _, a := range answers[:2] {
			if a.status == http.StatusOK {
				succeeded++
			} else if a.status != http.StatusNotFound && a.status != http.StatusForbidden && a.status != http.StatusConflict {
				t.Fatalf("round %d: %s: %d %s", round, a.request, a.status, a.body)
			}
		}
		owners := s.holders("subscription:~s", "owner")
		if len(owners) != 1 || succeeded != 1 {
			t.Fatalf("round %d: the owners are %v after %d transfers: %v", round, owners, succeeded, texts(answers))
		}
		owner = int(owners[0][1] - '0')
	}
}
