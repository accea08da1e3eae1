package tests

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// limitedTime checks that a role with an expiry date loses all its permissions at that date, without another
// request.
func limitedTime(t *testing.T, on *backend) {
	t.Run("a role ends", func(t *testing.T) {
		on.parallel(t)
		roleEnds(t, on)
	})
	t.Run("what moves the end", func(t *testing.T) {
		on.parallel(t)
		endMoves(t, on)
	})
	t.Run("any date ends a role", func(t *testing.T) {
		on.parallel(t)
		anyDateEnds(t, on)
	})
}

func roleEnds(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	s.until("carl", "user", time.Hour)
	s.play(
		"carl POST importers {id: ~i, account: ~a} => 201",
		"gert POST connections {id: ~c, account: ~a, connector: ~crm}",
		"gert PUT connections/~c/sharing {visibility: private, users: [~carl]}",
	)
	view := question{"user:" + s.id("carl"), "view", "account:" + s.id("a")}
	var ends time.Time
	inTime(t, func(left time.Duration) (ok bool) {
		ends, ok = s.endsIn("carl", "user", left)
		return ok && (on.remembers || s.endsAt(view, ends))
	})
	time.Sleep(time.Until(ends)) // wait until the role expires
	s.play(
		"olga GET accounts/~a/members => 200 {members: [{user: ~gert, roles: [guest]}, {user: ~olga, roles: [owner]}, {user: ~ulla, roles: [user]}]}",
	)

	// SpiceDB may have cached decisions for the current revision. This write creates a new revision, for which
	// nothing is cached.
	s.play("olga PUT accounts/~a/members/~nora {roles: [guest]}")
	s.play(
		"carl may not view, create_importer account:~a",
		"carl may not view importer:~i",
		"carl may not use connection:~c",
		"carl GET accounts/~a => 404 not_found",
		"carl POST importers {id: ~j, account: ~a} => 404 not_found",
		"carl DELETE importers/~i => 404 not_found",
		"carl GET users/~carl/accounts => 200 {accounts: []}",
		// The expiration of a role has the same effect as a removal. If the person gets a role again, they have
		// access to the objects that they created, but not to those that others shared with them by name. An actor
		// without assign_roles may grant the person only the default role of the role set, as to anybody without a
		// role.
		"ulla PUT accounts/~a/members/~carl {roles: [guest]} => 403 forbidden assign_roles",
		"ulla PUT accounts/~a/members/~carl {roles: [user]} => 200",
		"carl may view importer:~i",
		"carl may not use connection:~c",
		"ulla DELETE accounts/~a/members/~carl => 200",
		"ulla PUT accounts/~a/members/~carl {roles: [user]} => 403 forbidden within the last day",
		// olga may grant the person another role.
		"olga PUT accounts/~a/members/~carl {roles: [guest]} => 200",
	)
}

func endMoves(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	view := question{"user:" + s.id("carl"), "view", "account:" + s.id("a")}

	var extended, removed, shortened time.Time
	inTime(t, func(left time.Duration) (ok bool) {
		extended, ok = s.endsIn("carl", "user", left)
		s.until("carl", "user", time.Hour)
		return ok && time.Now().Before(extended)
	})
	inTime(t, func(left time.Duration) (ok bool) {
		removed, ok = s.endsIn("elsa", "user", left)
		s.play("olga PUT accounts/~a/members/~elsa {roles: [user]}")
		return ok && time.Now().Before(removed)
	})
	time.Sleep(time.Until(extended))
	time.Sleep(time.Until(removed))
	s.play("elsa may view account:~a", "carl may view account:~a")

	view.Subject = "user:" + s.id("dora")
	inTime(t, func(left time.Duration) (ok bool) {
		s.until("dora", "user", time.Hour)
		shortened, ok = s.endsIn("dora", "user", left)
		return ok && (on.remembers || s.endsAt(view, shortened))
	})
	time.Sleep(time.Until(shortened))
	s.play("olga PUT accounts/~a/members/~nora {roles: [guest]}", "dora may not view account:~a")
}

// anyDateEnds checks dates in the form of RFC 3339. The server must either accept a date as the end of a role, or
// reject it as invalid.
func anyDateEnds(t *testing.T, on *backend) {
	s := newScene(t, on)
	line{"inline", "include team"}.play(s, "", "")
	for _, date := range []string{"2262-04-11T23:47:17Z", "2300-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z"} {
		s.play(
			"olga PUT accounts/~a/members/~dora {roles: [user], expires_at: '"+date+"'} => 200",
			"dora may view account:~a",
			"olga DELETE accounts/~a/members/~dora => 200",
			"dora may not view account:~a",
		)
	}
	for _, date := range []string{
		"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1677-09-21T00:12:43Z", "1969-12-31T23:59:59Z",
		"1970-01-01T00:00:00Z",
		"9999-12-31T23:59:59-23:59", // this is the year 10000 in UTC
	} {
		s.play(
			"olga PUT accounts/~a/members/~elsa {roles: [user], expires_at: '"+date+"'} => 400 invalid",
			"elsa may not view account:~a",
		)
	}
	for _, sent := range []string{"0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"} {
		body := map[string]any{"roles": []string{"user"}, "expires_at": sent}
		refused := s.by("olga").call(http.MethodPut, s.in("accounts/~a/members/~elsa"), body)
		if detail := refused.problem().Detail; !strings.Contains(detail, "not "+sent) {
			t.Errorf("%s: %s", sent, detail)
		}
	}
}

// inTime runs a part of a test that must finish before a relationship expires. left is the time until the
// expiration. If run finishes too late, it returns false, and inTime runs it again with twice as much time.
func inTime(t testing.TB, run func(left time.Duration) bool) {
	t.Helper()
	for left := 2 * time.Second; !run(left); left *= 2 {
		if left > time.Minute {
			t.Fatalf("%s is too short", left)
		}
	}
}

// until grants a role on the account of this test. The role expires after the given time, or up to a second later.
func (s scene) until(who, role string, in time.Duration) {
	s.t.Helper()
	if _, ok := s.endsIn(who, role, in); !ok {
		s.t.Fatalf("%s is not long enough", in)
	}
}

// endsIn grants a role on the account of this test that expires after the given time, or up to a second later. It
// returns the time of the expiration. It returns false if this time had passed before Sluice got the request.
func (s scene) endsIn(who, role string, in time.Duration) (ends time.Time, ok bool) {
	s.t.Helper()
	ends = time.Now().Add(in + time.Second).Truncate(time.Second)
	answer := s.by("olga").call(
		http.MethodPut, s.in("accounts/~a/members/~"+who), map[string]any{"roles": []string{role}, "expires_at": ends},
	)
	if answer.status != http.StatusOK && (answer.status != http.StatusBadRequest || time.Now().Before(ends)) {
		s.t.Fatalf("%s: %d %s", answer.request, answer.status, answer.body)
	}
	return ends, answer.status == http.StatusOK
}

// endsAt repeats a check until the role has expired. A check that is answered before the expiration must be allowed.
// A check that starts afterwards must be denied. endsAt returns false if no check was answered before the
// expiration.
func (s scene) endsAt(q question, ends time.Time) (inTime bool) {
	s.t.Helper()
	for asked := 0; ; asked++ {
		began := time.Now()
		allowed := s.may(q)
		switch {
		case allowed && began.After(ends):
			s.t.Fatalf("%s: allowed %s after the end", q, began.Sub(ends))
		case !allowed && time.Now().Before(ends):
			s.t.Fatalf("%s: denied %s before the end", q, time.Until(ends))
		case !allowed:
			return asked > 0
		}
		time.Sleep(10 * time.Millisecond) // do not keep the machine busy
	}
}
