package tests

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestHistoryFiltersRevealNothingHidden selects entries of the audit log by objects that the reader may not view.
// The answers must be equal to those for objects that do not exist, in pages and in streams.
func TestHistoryFiltersRevealNothingHidden(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend PUT connectors/~c {capabilities: []}",
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga POST accounts {id: ~b, subscription: ~s, role_set: team}",
		"olga PUT accounts/~a/members/~peter {roles: [user]}",
		"peter POST connections {id: ~hubspot, account: ~a, connector: ~c, visibility: private}",
		"peter POST connections {id: ~shared, account: ~a, connector: ~c, visibility: shared}",
		"peter POST importers {id: ~mixed, account: ~a, source: ~hubspot, destination: ~shared}",
	)
	// The reader olga may see that zoe is a guest of account a. She may not see that a private connection is shared
	// with bob.
	s.write(s.in("connection:~hubspot#shared_with@user:~bob"), s.in("account:~a#guest@user:~zoe"))
	s.write(s.in("connection:~hubspot#shared_with@user:~bill"), s.in("account:~b#guest@user:~zoe"))
	s.play("olga PUT accounts/~a/members/~bob {roles: [user]}", "olga PUT accounts/~a/members/~bob {roles: [guest]}")
	account := "account=" + s.id("a")
	s.history(account+"&limit=1000", func(found []entry) bool {
		return slices.Contains(changes(found), s.in("~olga put_account_member touch account:~a#guest@user:~bob"))
	})
	olga := s.withKey(checkKey).by("olga")
	body := func(query string) string {
		return string(olga.must(http.MethodGet, "audit?"+account+"&"+query, nil).body)
	}
	for _, more := range []string{
		"", "&limit=1", "&operation=create_importer", "&actor=" + s.id("peter"), "&since=2001-01-01T00:00:00Z",
	} {
		hidden, unknown := body("object=connection:"+s.id("hubspot")+more), body("object=connection:"+s.id("unknown")+more)
		if hidden != unknown {
			t.Errorf("a hidden connection and one that does not exist have different answers%s:\n%s\n%s", more, hidden, unknown)
		}
	}
	if all := body("limit=1000"); strings.Contains(all, s.id("hubspot")) || strings.Contains(all, "account:"+s.id("b")) ||
		!strings.Contains(all, s.id("zoe")) || regexp.MustCompile(`"(seq|part|hash|prev)":`).MatchString(all) {
		t.Errorf("the audit log shows olga\n%s", all)
	}
	for _, query := range []string{
		"&object=user:" + s.id("bob"), "&operation=put_account_member&object=user:" + s.id("bob"),
	} {
		first, next := olga.page(account + "&limit=1" + query)
		rest, end := olga.page(account + "&limit=1" + query + "&cursor=" + next)
		if len(first) != 1 || len(rest) != 1 || end != "" {
			t.Errorf("%s selects %v, then %v, and then the cursor %q", query, changes(first), changes(rest), end)
		}
		for _, e := range append(first, rest...) {
			if e.Operation != "put_account_member" {
				t.Errorf("%s selects %s, in which only hidden updates name bob", query, e.raw)
			}
		}
		position, err := base64.RawURLEncoding.DecodeString(next)
		if err != nil || regexp.MustCompile(`^[0-9]*$`).Match(position[8:]) {
			t.Errorf("the cursor %q contains the number %s, %v", next, position[8:], err)
		}
	}
	for query, want := range map[string]string{
		"": "touch account:~a#owner@user:~olga", "&object=user:" + s.id("bob"): "touch account:~a#user@user:~bob",
	} {
		next, leave := olga.follow(account+query, "0")
		e, ok := next()
		leave()
		if !ok || e.Seq != 0 || regexp.MustCompile(`^[0-9]*$`).MatchString(e.id) ||
			!slices.ContainsFunc(e.Updates, func(u update) bool { return u.String() == s.in(want) }) {
			t.Errorf("the stream%s begins with %s %v, want %s", query, e.id, e.Updates, want)
		}
	}
	answer := olga.withKey(inspectKey).call(
		http.MethodGet, "access?resource=connection:"+s.id("hubspot")+"&permission=use&at=2026-01-01T00:00:00Z", nil,
	)
	if answer.status != http.StatusBadRequest || !strings.Contains(answer.problem().Detail, "Sluice-Actor") {
		t.Errorf("%s: %d %s", answer.request, answer.status, answer.body)
	}
}
