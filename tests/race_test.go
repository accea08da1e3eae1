package tests

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
)

// raceOnAnID lets eight clients create an object with the same id concurrently. Half of the clients act for another
// person, in another account or subscription. One client must succeed, and the others must get a conflict.
func raceOnAnID(t *testing.T, on *backend) {
	s := newScene(t, on)
	people := []string{"olga", "otto"}
	for _, who := range people {
		// The ids of olga's objects end with "-olga", and those of otto's with "-otto".
		for _, operation := range []string{
			"backend PUT connectors/~crm-$who {capabilities: []}",
			"backend POST subscriptions {id: ~s-$who, role_set: multi_owner, owner: ~$who}",
			"$who POST accounts {id: ~t-$who, subscription: ~s-$who, role_set: team}",
			"$who POST accounts {id: ~n-$who, subscription: ~s-$who, role_set: analytics}",
			"$who POST accounts {id: ~o-$who, subscription: ~s-$who, role_set: operations}",
			"$who PUT accounts/~o-$who/members/~$who {roles: [administrator, flow_author, integration_author, connector_author]}",
			"$who POST workspaces {id: ~w-$who, account: ~o-$who, open: true}",
		} {
			s.play(strings.ReplaceAll(operation, "$who", who))
		}
	}
	bodies := map[string]map[string]any{
		"accounts":    {"subscription": "~s-", "role_set": "team"},
		"importers":   {"account": "~t-"},
		"connections": {"account": "~t-", "connector": "~crm-"},
		"workspaces":  {"account": "~o-", "open": true},
		"connectors":  {"account": "~o-"},
	}
	for i, in := range eachSimpleType("$in", map[string]string{
		"workspace": "~w-", "team": "~t-", "operations": "~o-", "analytics": "~n-",
	}) {
		typ := authz.SimpleTypes[i]
		bodies[typ.Collection()] = map[string]any{string(typ.Place): in}
	}
	for i, path := range slices.Sorted(maps.Keys(bodies)) {
		if !on.plays(i) {
			continue
		}
		body := bodies[path]
		for round := range on.rounds(3) {
			id := s.id(fmt.Sprintf("%s%d", path, round))
			creates := make([]func() answer, 8)
			for i := range creates {
				who := people[i%2]
				own := map[string]any{"id": id}
				for field, value := range body {
					if name, ok := value.(string); ok && strings.HasPrefix(name, "~") {
						value = s.in(name) + who
					}
					own[field] = value
				}
				creates[i] = func() answer { return s.by(who).call(http.MethodPost, path, own) }
			}
			onlyOne(t, together(creates...))
		}
	}
	for round := range on.rounds(3) {
		creates := make([]func() answer, 8)
		for i := range creates {
			body := map[string]any{
				"id": s.id(fmt.Sprintf("subscription%d", round)), "role_set": []string{"multi_owner", "single_owner"}[i%2],
				"owner": s.id(people[i%2]),
			}
			creates[i] = func() answer { return s.call(http.MethodPost, "subscriptions", body) }
		}
		onlyOne(t, together(creates...))
	}
}

// onlyOne fails unless exactly one request created the object, and the others were answered with a conflict.
func onlyOne(t *testing.T, answers []answer) {
	t.Helper()
	created := 0
	for _, a := range answers {
		if a.status == http.StatusCreated {
			created++
		} else if a.status != http.StatusConflict {
			t.Errorf("%s: %d %s", a.request, a.status, a.body)
		}
	}
	if created != 1 {
		t.Errorf("%d of %d created it: %v", created, len(answers), texts(answers))
	}
}

// raceWithDeletion creates importers, connections and flows in accounts that are being deleted. After the deletion,
// no stored relationship may name the account or an object that it contained.
func raceWithDeletion(t *testing.T, on *backend) {
	s := newScene(t, on)
	s.play(
		"backend PUT connectors/~crm {capabilities: []}",
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
	)
	for round := range max(on.rounds(8), 2) {
		account, set := s.id(fmt.Sprintf("acc%d", round)), []string{"team", "operations"}[round%2]
		s.by("olga").must(
			http.MethodPost, "accounts", map[string]any{"id": account, "subscription": s.id("s"), "role_set": set},
		)
		members := map[string]any{}
		for i := range 40 * ((round + 1) / 2) { // later accounts are larger
			members[s.id(fmt.Sprintf("m%d", i))] = []string{map[string]string{"team": "user", "operations": "operator"}[set]}
		}
		if len(members) > 0 {
			s.by("olga").must(http.MethodPatch, "accounts/"+account+"/members", map[string]any{"members": members})
		}
		workspace := account + "-w"
		if set == "operations" {
			s.by("olga").must(
				http.MethodPut, "accounts/"+account+"/members/"+s.id("olga"), roles("administrator", "flow_author"),
			)
			s.by("olga").must(http.MethodPost, "workspaces", map[string]any{"id": workspace, "account": account, "open": true})
		}
		var writers sync.WaitGroup
		started := make(chan struct{}, 4)
		for w := range 4 {
			writers.Go(func() {
				for i := 0; ; i++ {
					if i == 2 {
						started <- struct{}{}
					}
					id := fmt.Sprintf("%s-%d-%d", account, w, i)
					path, body := "importers", map[string]any{"id": id, "account": account}
					switch {
					case set == "operations":
						path, body = []string{"flows", "services"}[w%2], map[string]any{"id": id, "workspace": workspace}
					case w%2 == 0:
						path, body = "connections", map[string]any{"id": id, "account": account, "connector": s.id("crm")}
					}
					if a := s.by("olga").call(http.MethodPost, path, body); a.status != http.StatusCreated {
						if i < 2 {
							started <- struct{}{}
						}
						if a.status != http.StatusNotFound && a.status != http.StatusConflict && a.status != http.StatusForbidden {
							t.Errorf("%s: %d %s", a.request, a.status, a.body)
						}
						return
					}
				}
			})
		}
		for range 4 {
			<-started
		}
		s.by("olga").must(http.MethodDelete, "accounts/"+account, nil)
		writers.Wait()
		for _, r := range everything(t, s.on.spicedb) {
			if strings.Contains(r, account) && !strings.HasPrefix(r, "deletion:") {
				t.Errorf("round %d: %s is still stored", round, r)
			}
		}
	}
}

// nothingIsWrittenAfterRemoval removes people who send writes without a pause. After a removal is answered, no write
// of the removed person may succeed. There is one exception: on datastores with overlapping writes (see
// backend.overlapping), a write that was running at that moment may succeed.
func nothingIsWrittenAfterRemoval(t *testing.T, on *backend) {
	for name, remove := range map[string]string{
		"account": "accounts/~a/members/~busy", "subscription": "subscriptions/~s/members/~busy",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, on)
			line{"inline", "include team"}.play(s, "", "")
			for round := range on.rounds(10) {
				s.by("olga").must(http.MethodPut, s.in("accounts/~a/members/~busy"), roles("owner"))
				attempts := []func(i int) answer{
					func(i int) answer {
						return s.by("busy").call(
							http.MethodPost, "importers", map[string]any{"id": s.id(fmt.Sprintf("i-%d-%d", round, i)), "account": s.id("a")},
						)
					},
					func(i int) answer {
						return s.by("busy").call(
							http.MethodPut, s.in("accounts/~a/members/")+s.id(fmt.Sprintf("n-%d-%d", round, i)), roles("user"),
						)
					},
					func(i int) answer {
						return s.by("busy").call(
							http.MethodPost, "connections",
							map[string]any{"id": s.id(fmt.Sprintf("c-%d-%d", round, i)), "account": s.id("a"), "connector": s.id("crm")},
						)
					},
				}
				started, stopped := make(chan struct{}, len(attempts)), make(chan struct{})
				var busy sync.WaitGroup
				for _, attempt := range attempts {
					busy.Go(func() {
						for i := 0; ; i++ {
							if a := attempt(i); a.status >= 500 {
								t.Errorf("%s: %d %s", a.request, a.status, a.body)
							}
							if i == 1 {
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
				for range attempts {
					<-started
				}
				s.by("olga").must(http.MethodDelete, s.in(remove), nil)
				atRemoval := s.stored()
				close(stopped)
				busy.Wait()
				if on.overlapping {
					atRemoval = s.stored()
				}
				for _, attempt := range attempts {
					if a := attempt(-1); a.status != http.StatusNotFound {
						t.Errorf("%s: %d, want 404", a.request, a.status)
					}
				}
				if changed := difference(atRemoval, s.stored()); changed != "" {
					t.Fatalf("round %d: written after the removal:%s", round, changed)
				}
			}
		})
	}
}

// raceOfSharingAndRemoval shares a connection with a person while the person is removed from the account. When the
// person is added again, the connection must not be shared with the person.
func raceOfSharingAndRemoval(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	s.play("ulla POST connections {id: ~c, account: ~a, connector: ~crm}")
	s.play("olga POST accounts {id: ~b, subscription: ~s, role_set: team}")
	s.play("olga PUT accounts/~b/members/~nina {roles: [user]}")
	s.play("olga POST connections {id: ~elsewhere, account: ~b, connector: ~crm}")
	view := question{"user:" + s.id("nina"), "view", "connection:" + s.id("c")}
	named, half := 0, max(on.rounds(30)/2, 2)
	for round := 0; round < 2*half || named == 0 && round < 250; round++ {
		if round == half {
			s.play("olga PUT connections/~elsewhere/sharing {visibility: private, users: [~nina]}")
		}
		s.by("olga").must(http.MethodPut, s.in("accounts/~a/members/~nina"), roles("user"))
		if s.may(view) {
			t.Fatalf("round %d: nina was added again, and may still view the connection", round)
		}
		answers := together(
			func() answer {
				return s.by("ulla").call(
					http.MethodPut, s.in("connections/~c/sharing"),
					map[string]any{"visibility": "private", "users": []string{s.id("nina")}},
				)
			},
			func() answer { return s.by("olga").call(http.MethodDelete, s.in("accounts/~a/members/~nina"), nil) },
		)
		if answers[0].status == http.StatusOK {
			named++
		} else if answers[0].status != http.StatusBadRequest {
			t.Fatalf("round %d: %s: %d %s", round, answers[0].request, answers[0].status, answers[0].body)
		}
		if answers[1].status != http.StatusOK {
			t.Fatalf("round %d: %s: %d %s", round, answers[1].request, answers[1].status, answers[1].body)
		}
		if s.may(view) {
			t.Fatalf("round %d: nina was removed, and may still view the connection", round)
		}
		// On a datastore with overlapping writes, one share can remain: a share that is written during the removal,
		// while another connection is shared with the person (docs/security.md). It gives no access.
		isPromised := round < half || !on.overlapping
		if people := s.holders("connection:~c", "shared_with"); isPromised && len(people) > 0 {
			t.Fatalf("round %d: the connection is still shared with %v", round, people)
		}
	}
	if named == 0 {
		t.Error("the connection was never shared before the removal")
	}
}

// raceOfRoles grants a person several base roles concurrently. The person must never hold two of them.
func raceOfRoles(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include analytics"}.play(s, "", "")
	names := []string{"editor", "viewer", "report_user"}
	for round := range on.rounds(25) {
		var calls []func() answer
		for _, role := range names {
			calls = append(calls, func() answer {
				return s.by("olga").call(http.MethodPut, s.in("accounts/~a/members/~nina"), roles(role))
			})
		}
		answers := together(calls...)
		held := slices.DeleteFunc(s.stored(), func(r string) bool {
			return !strings.HasPrefix(r, s.in("account:~a#")) || !strings.HasSuffix(r, s.in("@user:~nina"))
		})
		if len(held) != 1 {
			t.Fatalf("round %d: %v after %v", round, held, texts(answers))
		}
		if round%2 == 0 {
			s.by("olga").must(http.MethodDelete, s.in("accounts/~a/members/~nina"), nil)
		}
	}
}
