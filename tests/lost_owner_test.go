package tests

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// replacements lists the requests with which the backend replaces a lost owner or administrator. Each has a body, to
// which withReason adds a reason, and the relationship that it stores. In the contract, only these operations work
// both with and without an actor.
var replacements = []struct {
	operation, method, path string
	body                    map[string]any
	stored                  string
}{
	{
		"transfer_subscription", http.MethodPost, "subscriptions/~one/transfer",
		map[string]any{"to": "~ivan"},
		"subscription:~one#owner@user:~ivan",
	},
	{
		"put_subscription_member", http.MethodPut, "subscriptions/~s/members/~ivan",
		map[string]any{"roles": []string{"owner"}},
		"subscription:~s#owner@user:~ivan",
	},
	{
		"put_account_member", http.MethodPut, "accounts/~t/members/~tess",
		map[string]any{"roles": []string{"owner"}},
		"account:~t#owner@user:~tess",
	},
	{
		"put_account_member", http.MethodPut, "accounts/~o/members/~oskar",
		map[string]any{"roles": []string{"administrator"}},
		"account:~o#administrator@user:~oskar",
	},
}

// withReason returns a copy of the body that also has a reason, unless reason is nil.
func (s scene) withReason(body map[string]any, reason any) map[string]any {
	with := make(map[string]any)
	for field, value := range body {
		if text, isText := value.(string); isText {
			value = s.in(text)
		}
		with[field] = value
	}
	if reason != nil {
		with["reason"] = reason
	}
	return with
}

// lostOwners creates a subscription of each role set, and accounts, all owned by olga. The replacements replace
// olga.
func lostOwners(t *testing.T) scene {
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~one, role_set: single_owner, owner: ~olga}",
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~t, subscription: ~s, role_set: team}",
		"olga POST accounts {id: ~o, subscription: ~s, role_set: operations}",
	)
	return s
}

// TestReplacingOwnersNeedsProvisionAndReason sends each replacement with insufficient keys, actors and reasons. The
// server must reject these requests. Then it sends the replacement with a sufficient key and a reason.
func TestReplacingOwnersNeedsProvisionAndReason(t *testing.T) {
	t.Parallel()
	s := lostOwners(t)
	provisions, operates := s.withKey(provisionKey), s.withKey(operateKey)
	for _, r := range replacements {
		call := func(by caller, reason any) answer {
			return by.call(r.method, s.in(r.path), s.withReason(r.body, reason))
		}
		const reason = "the only owner is lost"
		refused := map[string]struct {
			answer func() answer
			status int
			words  string
		}{
			"no reason":              {func() answer { return call(provisions.caller, nil) }, 400, `"reason" is missing`},
			"no reason, every scope": {func() answer { return call(s.caller, nil) }, 400, `"reason" is missing`},
			"an empty reason":        {func() answer { return call(provisions.caller, "") }, 400, "must not be empty"},
			"blanks":                 {func() answer { return call(provisions.caller, "  ") }, 400, "must not be empty"},
			"a control character":    {func() answer { return call(provisions.caller, "lost\x00") }, 400, "U+0000"},
			"a second line":          {func() answer { return call(provisions.caller, "lost\nfound") }, 400, "U+000A"},
			"an invisible character": {func() answer { return call(provisions.caller, "lost\u202e") }, 400, "U+202E"},
			"a long reason": {
				func() answer { return call(provisions.caller, strings.Repeat("ü", 501)) }, 400, "at most 500 characters",
			},
			"no text":               {func() answer { return call(provisions.caller, 1) }, 400, `"reason"`},
			"an actor":              {func() answer { return call(provisions.by("olga"), nil) }, 403, "scope operate"},
			"an actor and a reason": {func() answer { return call(provisions.by("olga"), reason) }, 403, "scope operate"},
			"operate, no actor":     {func() answer { return call(operates.caller, reason) }, 400, "Sluice-Actor"},
			"operate, a reason": {
				func() answer { return call(operates.by("olga"), reason) }, 400, `"reason" must be left out`,
			},
			"every scope, both": {func() answer { return call(s.by("olga"), reason) }, 400, `"reason" must be left out`},
			"check": {
				func() answer { return call(s.withKey(checkKey).caller, reason) }, 403, "scope operate or provision",
			},
			"inspect": {
				func() answer { return call(s.withKey(inspectKey).caller, reason) }, 403, "scope operate or provision",
			},
		}
		s.writesNothing(r.path, func() {
			for name, try := range refused {
				if a := try.answer(); a.status != try.status || !strings.Contains(a.problem().Detail, try.words) {
					t.Errorf("%s with %s: %d %s, want %d %s", a.request, name, a.status, a.body, try.status, try.words)
				}
			}
			a := provisions.preview(r.method, s.in(r.path), s.withReason(r.body, reason))
			_, who, _ := strings.Cut(s.in(r.stored), "@")
			if effects, _ := a.effects(t); !slices.ContainsFunc(
				effects, func(line string) bool { return strings.HasPrefix(line, "+ "+who+" ") },
			) {
				t.Errorf("the preview of %s %s is %s", r.method, r.path, a.body)
			}
			if a := provisions.by("olga").preview(
				r.method, s.in(r.path), s.withReason(r.body, nil),
			); a.status != http.StatusForbidden {
				t.Errorf("the preview of %s %s as olga: %d %s", r.method, r.path, a.status, a.body)
			}
		})
		if a := call(provisions.caller, strings.Repeat("ü", 500)); a.status != http.StatusOK || !slices.Contains(
			s.stored(), s.in(r.stored),
		) {
			t.Errorf("%s: %d %s, stored\n%s", a.request, a.status, a.body, strings.Join(s.stored(), "\n"))
		}
	}
}

// TestReplacementsAreThoseOfTheContract checks that no other endpoint of the contract works both with and without an
// actor.
func TestReplacementsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints(t) {
		eitherWay := slices.Contains(e.scopes, "operate") && slices.Contains(e.scopes, "provision") && e.path != "/v1/preview"
		there := false
		for _, r := range replacements {
			there = there || r.method == e.method && e.matches("/v1/"+r.path)
		}
		if eitherWay != there {
			t.Errorf("%s works with and without an actor: %t, want %t", e, eitherWay, there)
		}
	}
}

// TestAuditLogKeepsReasonOfReplacedOwner checks that the audit log has the reason of every replacement.
func TestAuditLogKeepsReasonOfReplacedOwner(t *testing.T) {
	t.Parallel()
	s := lostOwners(t)
	for _, r := range replacements {
		reason := "olga is lost: " + r.path
		request := s.withKey(provisionKey).request(r.method, s.in(r.path), s.withReason(r.body, reason))
		request.Header.Set("Idempotency-Key", s.id(r.path))
		if a := s.send(request); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", a.request, a.status, a.body)
		}
		again := s.withKey(provisionKey).request(r.method, s.in(r.path), s.withReason(r.body, reason))
		again.Header.Set("Idempotency-Key", s.id(r.path))
		if a := s.send(again); a.status != http.StatusOK || !a.isReplay() {
			t.Errorf("%s again: %d %s", a.request, a.status, a.body)
		}
		object, _, _ := strings.Cut(s.in(r.stored), "#")
		ofReplacement := func(e entry) bool { return e.Operation == r.operation && e.StatedReason == reason }
		found := s.history(
			"object="+object+"&operation="+r.operation,
			func(found []entry) bool { return slices.ContainsFunc(found, ofReplacement) },
		)
		found = slices.DeleteFunc(found, func(e entry) bool { return !ofReplacement(e) })
		if len(found) != 1 || found[0].Actor != "" || found[0].Key != "provisions" || !slices.Contains(
			changes(found), s.in(r.operation+" touch "+r.stored),
		) {
			t.Errorf("%s %s has the entries %+v", r.method, r.path, found)
		}
	}
	// Operations that olga performs herself have no reason.
	s.play("olga PUT accounts/~t/members/~mia {roles: [guest]}")
	s.history("account="+s.id("t")+"&actor="+s.id("olga"), func(found []entry) bool {
		for _, e := range found {
			if e.StatedReason != "" {
				t.Errorf("%s of olga has the reason %q", e.Operation, e.StatedReason)
			}
		}
		return slices.ContainsFunc(found, func(e entry) bool { return e.Operation == "put_account_member" })
	})
}

// TestReplacedOwnerLosesInvitations replaces a lost owner who has sent invitations. The invitations must stay open
// only if the person keeps another role.
func TestReplacedOwnerLosesInvitations(t *testing.T) {
	t.Parallel()
	for held, left := range map[string]int{"owner": 0, "owner, it_admin": 1} {
		s := newScene(t, memory.get(t))
		s.play(
			"backend POST subscriptions {id: ~s, role_set: single_owner, owner: ~olga}",
			"olga PUT subscriptions/~s/members/~olga {roles: ["+held+"]}",
			"olga POST subscriptions/~s/invitations {invitee: ~mia, roles: [it_admin]}",
			"backend POST subscriptions/~s/transfer {to: ~ivan, reason: lost}",
		)
		var open struct{ Invitations []any }
		s.by("ivan").must(http.MethodGet, s.in("subscriptions/~s/invitations"), nil).decode(t, &open)
		if len(open.Invitations) != left {
			t.Errorf(
				"after the replacement of an owner with the roles %s, the open invitations are %v, want %d",
				held, open.Invitations, left,
			)
		}
	}
}

// raceOfReplacements replaces an owner in two concurrent requests, while the owner transfers the subscription. There
// must be exactly one owner at any time.
func raceOfReplacements(t *testing.T, on *backend) {
	s := newScene(t, on)
	s.play("backend POST subscriptions {id: ~s, role_set: single_owner, owner: ~p0}")
	transfer := func(by caller, to, reason string) func() answer {
		body := map[string]any{"to": s.id(to)}
		if reason != "" {
			body["reason"] = reason
		}
		return func() answer { return by.call(http.MethodPost, s.in("subscriptions/~s/transfer"), body) }
	}
	owner := "p0"
	for round := range on.rounds(rounds / 4) {
		others := slices.DeleteFunc([]string{"p0", "p1", "p2", "p3"}, func(who string) bool { return who == owner })
		answers := together(
			transfer(s.caller, others[0], "lost"), transfer(s.caller, others[1], "lost"), transfer(s.by(owner), others[2], ""),
		)
		for i, a := range answers {
			byOwner := i == 2 && (a.status == http.StatusForbidden || a.status == http.StatusNotFound)
			if a.status != http.StatusOK && a.status != http.StatusConflict && !byOwner {
				t.Fatalf("round %d: %s: %d %s", round, a.request, a.status, a.body)
			}
		}
		owners := s.holders("subscription:~s", "owner")
		if len(owners) != 1 || owners[0] == owner {
			t.Fatalf("round %d: after %s the owners are %v: %v", round, owner, owners, texts(answers))
		}
		owner = owners[0]
	}
}
