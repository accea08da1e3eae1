package tests

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/testsize"
)

// TestStoppingUnderLoadLogsEveryAcknowledgedChange stops a server at random moments while several clients send
// writes. After each stop, the audit log must have every change that the server acknowledged.
func TestStoppingUnderLoadLogsEveryAcknowledgedChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rounds int
		start  func(t *testing.T) func(directory string) *victim
	}{
		"sqlite": {testsize.Of(2, 6), func(t *testing.T) func(string) *victim {
			return func(directory string) *victim {
				return newProcess(t, "--data-dir", directory, "--grpc-listen", "off")
			}
		}},
		"remote": {testsize.Of(1, 3), func(t *testing.T) func(string) *victim {
			on := newHost(t)
			return func(directory string) *victim { return newVictim(t, on, directory) }
		}},
		"postgres": {testsize.Of(1, 2), func(t *testing.T) func(string) *victim {
			uri := enginetest.Postgres(t)
			return func(directory string) *victim {
				return newProcess(
					t, "--data-dir", directory, "--grpc-listen", "off", "--datastore", "postgres", "--datastore-uri", uri,
				)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := t.TempDir()
			start := c.start(t)
			w := &load{users: make(map[string]bool)}
			for round := range c.rounds {
				v := start(directory)
				s := scene{caller: newCaller(t, v.url()), prefix: "stop-"}
				if round == 0 {
					s.play(
						"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga} => 201",
						"olga POST accounts {id: ~a, subscription: ~s, role_set: team} => 201",
					)
				}
				w.run(s, round, 1+rand.IntN(40), v.stop)
				logged := members(t, directory, s.id("a"))
				missing := 0
				for user := range w.users {
					if logged[user] == 0 {
						missing++
					}
				}
				if missing > 0 {
					t.Fatalf("round %d: of %d acknowledged changes, %d are not in the audit log", round, len(w.users), missing)
				}
			}
			t.Logf("%d changes, %d stops", len(w.users), c.rounds)
		})
	}
}

// load sends writes from several clients, and records the users whose changes the server acknowledged.
type load struct {
	mu    sync.Mutex
	users map[string]bool
}

// run sends writes from several clients until none of them gets an answer any more. After the given number of
// answers, it calls stop.
func (l *load) run(s scene, round, answers int, stop func()) {
	enough := make(chan struct{})
	var writing sync.WaitGroup
	count := 0
	for writer := range 4 {
		writing.Go(func() {
			for n := 0; ; n++ {
				user := s.id(fmt.Sprintf("u%d-%d-%d", round, writer, n))
				response, err := wire.RoundTrip(
					s.by("olga").request(http.MethodPut, s.in("accounts/~a/members/")+user, map[string]any{"roles": []string{"user"}}),
				)
				if err != nil {
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if err != nil || response.StatusCode >= 300 {
					return
				}
				l.mu.Lock()
				l.users[user] = true
				if count++; count == answers {
					close(enough)
				}
				l.mu.Unlock()
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		writing.Wait()
		close(ended)
	}()
	select {
	case <-enough:
	case <-ended:
		s.t.Error("the writers got no answers")
	}
	stop()
	<-ended
}

// members reads the audit log in a directory. For each user, it counts the entries that add the user to an account.
func members(t *testing.T, directory, account string) map[string]int {
	t.Helper()
	log, err := app.ReadAudit(t.Context(), directory, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	logged := make(map[string]int)
	for after, more := int64(0), true; more; {
		found, err := log.Find(t.Context(), audit.Query{After: &after, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			after = e.Seq
			if e.Kind == audit.Gap {
				t.Errorf("the entry %d records a gap", e.Seq)
			}
			for _, u := range e.Updates {
				if string(u.Resource.ID) == account && u.Relation == "user" {
					logged[string(u.Subject.ID)]++
				}
			}
		}
		more = len(found) > 0
	}
	return logged
}
