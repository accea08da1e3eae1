package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/app"
)

// under sends the request in a line with an idempotency key.
func (s scene) under(key, line string) answer {
	s.t.Helper()
	next, err := parseStep(s.in(line))
	if err != nil {
		s.t.Fatal(err)
	}
	r := next.(requestStep)
	from := s.caller
	if r.actor != "backend" {
		from = s.by(r.actor)
	}
	request := from.request(r.method, r.path, r.body)
	request.Header.Set("Idempotency-Key", key)
	return from.send(request)
}

// isReplay reports whether an answer repeats an earlier answer to the same idempotency key.
func (a answer) isReplay() bool { return bytes.Contains(a.body, []byte(`"replayed":true`)) }

// withoutToken returns the fields of an answer, except the token and the field replayed.
func (a answer) withoutToken(t testing.TB) map[string]any {
	t.Helper()
	var fields map[string]any
	a.decode(t, &fields)
	delete(fields, "token")
	delete(fields, "replayed")
	return fields
}

// exactlyOnce checks that an operation with an idempotency key is performed at most once.
func exactlyOnce(t *testing.T, on *backend) {
	for name, run := range map[string]func(*testing.T, *backend){
		"every operation":     everyOperationOnce,
		"who asks":            keyBelongsToCaller,
		"another request":     keyBelongsToRequest,
		"a refusal":           rejectedRequestFreesKey,
		"what changed since":  replayUndoesNothing,
		"another server":      replayOnAnotherServer,
		"a day":               keysExpireAfterADay,
		"an end that is past": replayAfterEnd,
		"keys":                keysOfRequests,
	} {
		t.Run(name, func(t *testing.T) {
			on.parallel(t)
			run(t, on)
		})
	}
}

// keyBelongsToCaller checks that an idempotency key belongs to one API key and one actor. With another API key or
// actor, the same idempotency key must not lead to a replay.
func keyBelongsToCaller(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	body := map[string]any{"id": s.id("i"), "account": s.id("a")}
	send := func(as caller) answer {
		request := as.request(http.MethodPost, "importers", body)
		request.Header.Set("Idempotency-Key", s.id("key"))
		return as.send(request)
	}
	if a := send(s.by("ulla")); a.status != http.StatusCreated || a.isReplay() {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for name, other := range map[string]caller{
		"another person": s.by("gert"), "another API key": s.withKey(operateKey).by("ulla"),
	} {
		if a := send(other); a.status != http.StatusConflict || !strings.Contains(a.problem().Detail, "exists") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// keyBelongsToRequest checks that an idempotency key belongs to the content of one request. The order of the fields
// in its body, white space and escapes do not matter.
func keyBelongsToRequest(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	const request = "olga PUT accounts/~a/members/~nina {roles: [user]}"
	s.under(s.id("key"), request)
	s.writesNothing("the key of another request", func() {
		for _, other := range []string{
			"olga PUT accounts/~a/members/~nina {roles: [guest]}", "olga PUT accounts/~a/members/~nora {roles: [user]}",
			"olga PUT subscriptions/~s/members/~nina {roles: [member]}", "olga DELETE accounts/~a/members/~nina",
			"olga DELETE accounts/~a",
			`olga PUT accounts/~a/members/~nina {roles: [user], expires_at: "2099-01-31T17:00:00Z"}`,
		} {
			if a := s.under(s.id("key"), other); a.status != http.StatusConflict || !strings.Contains(
				a.problem().Detail, "Idempotency-Key",
			) {
				t.Errorf("%s: %d %s", other, a.status, a.body)
			}
		}
		// A request with an invalid body is rejected as invalid, even if its idempotency key was used before.
		if a := s.under(
			s.id("key"), "olga PUT accounts/~a/members/~nina {rolls: [user]}",
		); a.status != http.StatusBadRequest {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	ends := "2099-01-31T17:00:00Z"
	var bodies []answer
	for _, body := range []string{
		`{"roles":["user"],"expires_at":"` + ends + `"}`,
		"{\n  \"expires_at\": \"" + ends + "\",\n  \"roles\": [ \"\\u0075ser\" ]\n}\n",
	} {
		as := s.by("olga")
		r := as.request(http.MethodPut, s.in("accounts/~a/members/~nora"), []byte(body))
		r.Header.Set("Idempotency-Key", s.id("bodies"))
		bodies = append(bodies, as.send(r))
	}
	if bodies[0].isReplay() || !bodies[1].isReplay() {
		t.Errorf("%s, %s", bodies[0].body, bodies[1].body)
	}
}

// rejectedRequestFreesKey checks that a client can use the idempotency key of a rejected request again.
func rejectedRequestFreesKey(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	const request = "gert PUT accounts/~a/members/~nina {roles: [user]}"
	s.writesNothing("a refused request", func() {
		if a := s.under(s.id("key"), request); a.status != http.StatusForbidden {
			t.Fatalf("%d %s", a.status, a.body)
		}
	})
	s.play("olga PUT accounts/~a/members/~gert {roles: [user]}")
	for _, replay := range []bool{false, true} {
		if a := s.under(s.id("key"), request); a.status != http.StatusOK || a.isReplay() != replay {
			t.Errorf("%d %s, want replayed %t", a.status, a.body, replay)
		}
	}
}

// replayUndoesNothing performs a request, then a change, and then the first request again with the same idempotency
// key. The second time, the first request must not undo the change.
func replayUndoesNothing(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	for i, c := range []struct{ request, since string }{
		{"olga PUT accounts/~a/members/~nina {roles: [user]}", "olga PUT accounts/~a/members/~nina {roles: [guest]}"},
		// gert is a guest already, so this request changes nothing.
		{"olga PUT accounts/~a/members/~gert {roles: [guest]}", "olga DELETE accounts/~a/members/~gert"},
		{"olga DELETE accounts/~a/members/~ulla", "olga PUT accounts/~a/members/~ulla {roles: [user]}"},
		{"olga DELETE subscriptions/~s/members/~ulla", "olga PUT accounts/~a/members/~ulla {roles: [user]}"},
		{"ulla DELETE accounts/~a/members/~ulla", "olga PUT accounts/~a/members/~ulla {roles: [user]}"},
		{"ulla POST importers {id: ~i, account: ~a}", "olga DELETE importers/~i"},
		{"olga POST importers {id: ~j, account: ~a}", "olga DELETE importers/~j"},
		{"olga DELETE importers/~j", "olga POST importers {id: ~j, account: ~a}"},
		// After the change, the actor has no permission for the request.
		{"olga PUT accounts/~a/members/~otto {roles: [owner]}", "otto DELETE accounts/~a/members/~olga"},
	} {
		key := s.id(fmt.Sprint("key", i))
		first := s.under(key, c.request)
		if first.status > 299 {
			t.Fatalf("%s: %d %s", c.request, first.status, first.body)
		}
		s.play(c.since)
		s.writesNothing(c.request, func() {
			if a := s.under(key, c.request); a.status != first.status || !a.isReplay() {
				t.Errorf("%s again: %d %s", c.request, a.status, a.body)
			}
		})
	}
}

// replayAfterEnd repeats a request with the same idempotency key after the granted role has expired. A new request
// with the same expiry date would be rejected. The repeated answer must show no role.
func replayAfterEnd(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	var request string
	var first answer
	inTime(t, func(left time.Duration) bool {
		ends := time.Now().Add(left).Truncate(time.Second)
		request = `olga PUT accounts/~a/members/~nina {roles: [user], expires_at: "` + ends.UTC().Format(time.RFC3339) + `"}`
		first = s.under(s.id("key"), request)
		time.Sleep(time.Until(ends))
		return first.status == http.StatusOK
	})
	again := s.under(s.id("key"), request)
	if first.status != http.StatusOK || again.status != http.StatusOK || !again.isReplay() || !reflect.DeepEqual(
		again.withoutToken(t), map[string]any{"user": s.id("nina")},
	) {
		t.Errorf("%d %s, again %d %s", first.status, first.body, again.status, again.body)
	}
	if a := s.under(s.id("another"), request); a.status != http.StatusBadRequest {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// replayOnAnotherServer repeats a request with the same idempotency key on another server that uses the same
// SpiceDB.
func replayOnAnotherServer(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: on.address, Token: on.key, Insecure: true}
	other := s
	other.url = start(t, config).URL
	const request = "ulla POST importers {id: ~i, account: ~a}"
	if a := s.under(s.id("key"), request); a.status != http.StatusCreated || a.isReplay() {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := other.under(s.id("key"), request); a.status != http.StatusCreated || !a.isReplay() {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// keysExpireAfterADay sets the clock of a server back. The server stores an idempotency key until one day after the
// time on its clock. So the keys expire soon.
func keysExpireAfterADay(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: on.address, Token: on.key, Insecure: true}
	var behind atomic.Int64
	config.Clock = func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
	s.url = start(t, config).URL

	const request = "olga PUT accounts/~a/members/~nina {roles: [user]}"
	// The clock changes only after the start of the server. At its start, a server finishes every interrupted
	// deletion in SpiceDB, also those of other tests. It must not do this with a wrong clock.
	behind.Store(int64(23 * time.Hour))
	s.under(s.id("later"), request)
	if a := s.under(s.id("later"), request); !a.isReplay() {
		t.Errorf("after 23 hours: %d %s", a.status, a.body)
	}
	s.play("olga PUT accounts/~a/members/~nina {roles: [guest]}")
	behind.Store(int64(24*time.Hour - time.Second))
	s.under(s.id("key"), request)
	behind.Store(int64(23 * time.Hour))
	s.play("olga PUT accounts/~a/members/~nina {roles: [guest]}")
	// Repeat the request until the idempotency key expires. The key was stored while the clock was a day minus a
	// second behind, so it expires after about a second.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		a := s.under(s.id("key"), request)
		if a.status == http.StatusOK && !a.isReplay() {
			break
		}
		if a.status != http.StatusOK || time.Now().After(deadline) {
			t.Fatalf("after a day: %d %s", a.status, a.body)
		}
	}
	s.play("stored account:~a#user@user:~nina")
	for _, key := range []string{"key", "later"} {
		if a := s.under(s.id(key), request); !a.isReplay() {
			t.Errorf("%s: %d %s", key, a.status, a.body)
		}
	}
}

// keysOfRequests sends requests with valid and with invalid idempotency keys. The server must reject the invalid ones.
func keysOfRequests(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	as := s.by("olga")
	send := func(keys ...string) answer {
		request := as.request(http.MethodPut, s.in("accounts/~a/members/~nina"), roles("user"))
		request.Header["Idempotency-Key"] = keys
		return as.send(request)
	}
	for _, key := range []string{"!", "~", strings.Repeat("k", 255), `"quoted"`, "a;b,c=d"} {
		// Another test may use the same key. Then the answer is conflict.
		if a := send(key); a.status != http.StatusOK && a.problem().Code != "conflict" {
			t.Errorf("%q: %d %s", key, a.status, a.body)
		}
	}
	for _, keys := range [][]string{{""}, {" "}, {"a b"}, {"ä"}, {strings.Repeat("k", 256)}, {"a", "b"}, {"a", "a"}} {
		s.writesNothing(fmt.Sprint(keys), func() {
			if a := send(keys...); a.status != http.StatusBadRequest || !strings.Contains(
				a.problem().Detail, "Idempotency-Key",
			) {
				t.Errorf("%q: %d %s", keys, a.status, a.body)
			}
		})
	}
	// Endpoints that are no operations ignore the header.
	request := s.by("olga").request(http.MethodGet, s.in("accounts/~a"), nil)
	request.Header.Set("Idempotency-Key", "a b")
	if a := as.send(request); a.status != http.StatusOK || a.isReplay() {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// raceOfRepetitions sends equal requests with the same idempotency key concurrently. The operation must be performed
// once, and all answers must be equal.
func raceOfRepetitions(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	for round := range on.rounds(5) {
		for i, request := range []string{
			fmt.Sprintf("ulla POST importers {id: ~i%d, account: ~a}", round),
			fmt.Sprintf("olga PUT accounts/~a/members/~n%d {roles: [user]}", round),
			fmt.Sprintf("ulla DELETE importers/~i%d", round),
			// without the idempotency key, each of these requests would write
			fmt.Sprintf("backend PUT connectors/~k%d {capabilities: [views]}", round),
		} {
			key := s.id(fmt.Sprint(round, "-", i))
			calls := make([]func() answer, 6)
			for i := range calls {
				calls[i] = func() answer { return s.under(key, request) }
			}
			answers := together(calls...)
			did := 0
			for _, a := range answers {
				if a.status > 299 || !reflect.DeepEqual(a.withoutToken(t), answers[0].withoutToken(t)) {
					t.Errorf("%s: %d %s", a.request, a.status, a.body)
				}
				if !a.isReplay() {
					did++
				}
			}
			if did != 1 {
				t.Errorf("%s was performed %d times", request, did)
			}
		}
	}
}

// TestKeysAreNoSecretsInStore checks that the stored relationships contain neither the idempotency key nor the
// request.
func TestKeysAreNoSecretsInStore(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	s.under("a-key-that-nobody-sees", "olga PUT accounts/~a/members/~nina {roles: [user]}")
	all, err := json.Marshal(everything(t, s.on.spicedb))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(all, []byte("idempotency_key:")) || bytes.Contains(all, []byte("nobody-sees")) {
		t.Errorf("%s", all)
	}
}
