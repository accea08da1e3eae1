package tests

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// company lists the requests that create the objects of the tests in this file: a team account, a multi_owner and a
// single_owner subscription, with a person in each role.
var company = []string{
	"backend PUT connectors/~crm {capabilities: []}",
	"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
	"olga PUT subscriptions/~s/members/~mem {roles: [member]}",
	"olga PUT subscriptions/~s/members/~mia {roles: [member]}",
	"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
	"olga PUT accounts/~a/members/~peter {roles: [user]}",
	"olga PUT accounts/~a/members/~gus {roles: [guest]}",
	"olga PUT accounts/~a/members/~gina {roles: [guest]}",
	"backend POST subscriptions {id: ~one, role_set: single_owner, owner: ~sam}",
	"sam PUT subscriptions/~one/members/~bea {roles: [business_admin]}",
	"sam PUT subscriptions/~one/members/~ida {roles: [it_admin]}",
	"sam PUT subscriptions/~one/members/~rob {roles: [read_only]}",
	"sam PUT subscriptions/~one/members/~rea {roles: [read_only]}",
	"sam POST accounts {id: ~t, subscription: ~one, role_set: team}",
	"sam PUT accounts/~t/members/~otto {roles: [owner]}",
}

// TestRefusalsDoNotDependOnHiddenRoles sends requests about people whose roles the actor may not list. For every
// person, and for a person without a role, the server must reject the request with the same answer.
func TestRefusalsDoNotDependOnHiddenRoles(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, text := range company {
		line{"company", text}.play(s, "", "")
	}
	inTeam := []string{"olga", "peter", "gina", "mia", "nobody"}
	inOne := []string{"sam", "bea", "ida", "rea", "otto", "nobody"}
	for _, c := range []struct {
		actor, request string
		people         []string
	}{
		{"gus", "PUT accounts/~a/members/$WHO {roles: [user]}", inTeam},
		{"gus", "PUT accounts/~a/members/$WHO {roles: [guest]}", inTeam},
		{"gus", "PUT accounts/~a/members/$WHO {roles: [owner]}", inTeam},
		{"gus", `PUT accounts/~a/members/$WHO {roles: [user], expires_at: "2999-01-01T00:00:00Z"}`, inTeam},
		{"gus", "PATCH accounts/~a/members {members: {$WHO: [user]}}", inTeam},
		{"gus", "PATCH accounts/~a/members {members: {$WHO: []}}", inTeam},
		{"gus", "DELETE accounts/~a/members/$WHO", inTeam},
		{"gus", "DELETE accounts/~a/members/$WHO?reassign_to=~gus", inTeam},
		{"gus", "GET accounts/~a/members/$WHO", inTeam},
		{"gus", "GET accounts/~a/members/$WHO/offboarding", inTeam},
		{"gus", "POST accounts/~a/invitations {invitee: $WHO, roles: [user]}", inTeam},
		{"gus", "POST accounts/~a/invitations {invitee: $WHO, roles: [guest]}", inTeam},
		{"gus", "PUT subscriptions/~s/members/$WHO/accounts {accounts: {~a: [user]}}", inTeam},
		{"gus", "PUT subscriptions/~s/members/$WHO {roles: [member]}", inTeam},
		{"mem", "PUT subscriptions/~s/members/$WHO {roles: [member]}", inTeam},
		{"mem", "PUT subscriptions/~s/members/$WHO {roles: [owner]}", inTeam},
		{"mem", "DELETE subscriptions/~s/members/$WHO", inTeam},
		{"mem", "GET subscriptions/~s/members/$WHO", inTeam},
		{"mem", "POST subscriptions/~s/invitations {invitee: $WHO, roles: [member]}", inTeam},
		{"mem", "POST subscriptions/~s/transfer {to: $WHO}", inTeam},
		{"rob", "PUT subscriptions/~one/members/$WHO {roles: [read_only]}", inOne},
		{"rob", "PUT subscriptions/~one/members/$WHO {roles: [it_admin]}", inOne},
		{"rob", "PUT subscriptions/~one/members/$WHO {roles: [business_admin, it_admin]}", inOne},
		{"rob", "PUT subscriptions/~one/members/$WHO {roles: [owner]}", inOne},
		{"rob", "DELETE subscriptions/~one/members/$WHO", inOne},
		{"rob", "DELETE subscriptions/~one/members/$WHO?reassign_to=~rob", inOne},
		{"rob", "GET subscriptions/~one/members/$WHO", inOne},
		{"rob", "POST subscriptions/~one/invitations {invitee: $WHO, roles: [read_only]}", inOne},
		{"rob", "POST subscriptions/~one/invitations {invitee: $WHO, roles: [it_admin]}", inOne},
		{"rob", "POST subscriptions/~one/transfer {to: $WHO}", inOne},
	} {
		var first []byte
		for i, who := range c.people {
			next, err := parseStep(s.in(c.actor + " " + strings.ReplaceAll(c.request, "$WHO", s.id(who))))
			if err != nil {
				t.Fatal(err)
			}
			r := next.(requestStep)
			requests := []func() answer{
				func() answer { return s.by(c.actor).call(r.method, r.path, r.body) },
				func() answer {
					preview := map[string]any{"method": r.method, "path": "/v1/" + r.path}
					if r.body != nil {
						preview["body"] = r.body
					}
					return s.by(c.actor).call(http.MethodPost, "preview", preview)
				},
			}
			if r.method == http.MethodGet {
				requests = requests[:1]
			}
			for _, request := range requests {
				a := request()
				shown := requestID.ReplaceAll(bytes.ReplaceAll(a.body, []byte(s.id(who)), []byte("WHO")), nil)
				if a.status/100 != 4 {
					t.Errorf("%s: %s about %s: %d %s", c.actor, c.request, who, a.status, shown)
				}
				if i == 0 && first == nil {
					first = shown
				}
				if !slices.Equal(shown, first) {
					t.Errorf("%s: %s about %s: %s\nabout %s: %s", c.actor, c.request, who, shown, c.people[0], first)
				}
			}
		}
	}
}

// TestAccountsNameOnlyVisibleSubscriptions checks answers and errors about an account. They may name the account's
// subscription only to an actor who may view the subscription.
func TestAccountsNameOnlyVisibleSubscriptions(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, text := range company {
		line{"company", text}.play(s, "", "")
	}
	for _, text := range []string{
		"olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}",
		`olga PUT accounts/~n/members/~rep {roles: [editor], expires_at: "2999-01-01T00:00:00Z"}`,
	} {
		line{"company", text}.play(s, "", "")
	}
	for _, c := range []struct {
		actor, account, subscription string
		isVisible                    bool
	}{
		{"olga", "a", "s", true},
		{"mem", "", "s", true},
		{"gus", "a", "s", false},
		{"rep", "n", "s", false},
		{"sam", "t", "one", true},
		{"otto", "t", "one", false},
	} {
		by := s.by(c.actor)
		if got := by.call(http.MethodGet, "subscriptions/"+s.id(c.subscription), nil); (got.status == 200) != c.isVisible {
			t.Fatalf("%s: GET of the subscription: %d", c.actor, got.status)
		}
		named := []byte(`"subscription":"` + s.id(c.subscription) + `"`)
		paths := []string{"users/" + s.id(c.actor) + "/accounts"}
		if c.account != "" {
			paths = append(paths, "accounts/"+s.id(c.account))
			if got := by.must(http.MethodGet, paths[0], nil); !bytes.Contains(got.body, []byte(s.id(c.account))) {
				t.Errorf("%s: the account is not listed: %s", c.actor, got.body)
			}
		}
		for _, path := range paths {
			got := by.must(http.MethodGet, path, nil)
			if want := c.isVisible && c.account != ""; bytes.Contains(got.body, named) != want {
				t.Errorf("%s: GET %s: %s", c.actor, path, got.body)
			}
		}
	}
	// The role requires a feature that the subscription lacks. The actor may not view this subscription.
	refused := s.by("rep").call(
		http.MethodPut, "accounts/"+s.id("n")+"/members/"+s.id("zoe"),
		map[string]any{"roles": []string{"viewer"}, "expires_at": "2998-01-01T00:00:00Z"},
	)
	if refused.status/100 != 4 || bytes.Contains(refused.body, []byte("subscription:"+s.id("s"))) {
		t.Errorf("the refusal: %d %s", refused.status, refused.body)
	}
}
