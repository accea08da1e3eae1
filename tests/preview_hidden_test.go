package tests

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// hiddenFacts lists facts about a person X. The actors in hiddenFromPreview may not know them. Each entry creates a
// person with one such fact. The first person has none.
var hiddenFacts = []struct{ person, fact string }{
	{"x-plain", ""},
	{"x-owner", "olga PUT subscriptions/~s/members/X {roles: [owner]}"},
	{"x-member", "olga PUT subscriptions/~s/members/X {roles: [member]}"},
	{"x-platform", "backend PUT platform/administrators/X"},
	{"x-elsewhere", "olga PUT accounts/~b/members/X {roles: [user]}"},
	{"x-editor", "olga PUT accounts/~r2/members/X {roles: [editor]}"}, // makes X a member of the subscription, too
	{"x-invited", "olga POST subscriptions/~s/invitations {invitee: X, roles: [member]}"},
	{"x-account", "olga PUT accounts/~t/members/X {roles: [editor]}"},
}

// hiddenFromPreview lists operations that concern a person X. All hiddenFacts are hidden from their actors.
var hiddenFromPreview = []struct {
	name, with, actor, method, path string
	body                            any
}{
	{"add a member", "", "uwe", http.MethodPut, "accounts/~a/members/X", roles("user")},
	{"add an editor", "", "ed", http.MethodPut, "accounts/~r/members/X", roles("editor")},
	{
		"change in a list", "olga PUT accounts/~a/members/X {roles: [user]}", "owen", http.MethodPatch,
		"accounts/~a/members",
		map[string]any{"members": map[string]any{"X": []string{}}},
	},
	{"hand over", "", "owen", http.MethodDelete, "accounts/~a/members/X?reassign_to=~uwe", nil},
	{"hand over to", "", "owen", http.MethodDelete, "accounts/~a/members/~mo?reassign_to=X", nil},
	{
		"remove an editor", "olga PUT accounts/~r/members/X {roles: [editor]}", "ed", http.MethodDelete,
		"accounts/~r/members/X", nil,
	},
	{
		"remove from the subscription", "olga PUT subscriptions/~one/members/X {roles: [read_only]}", "billa",
		http.MethodDelete, "subscriptions/~one/members/X", nil,
	},
}

// TestPreviewShowsNothingHidden previews operations on people who differ only in facts that the actor may not know.
// The previews may differ only in the id of the person.
func TestPreviewShowsNothingHidden(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"backend POST subscriptions {id: ~one, role_set: single_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga POST accounts {id: ~b, subscription: ~s, role_set: team}",
		"olga POST accounts {id: ~r, subscription: ~s, role_set: analytics}",
		"olga POST accounts {id: ~r2, subscription: ~s, role_set: analytics}",
		"olga PUT accounts/~a/members/~owen {roles: [owner]}", "olga PUT accounts/~a/members/~uwe {roles: [user]}",
		"olga PUT accounts/~a/members/~mo {roles: [user]}", "mo POST importers {id: ~i, account: ~a}",
		"olga PUT accounts/~r/members/~ed {roles: [editor]}",
		"olga POST accounts {id: ~t, subscription: ~one, role_set: analytics}",
		"olga PUT subscriptions/~one/members/~billa {roles: [business_admin]}")
	t.Cleanup(func() { s.play("backend DELETE platform/administrators/~x-platform") })
	// person replaces X with the id of a person.
	person := func(text, who string) string { return strings.ReplaceAll(text, "X", "~"+who) }
	for _, h := range hiddenFacts {
		if h.fact != "" {
			s.play(person(h.fact, h.person))
		}
	}
	for _, test := range hiddenFromPreview {
		var want string
		for i, h := range hiddenFacts {
			if test.with != "" {
				s.play(person(test.with, h.person))
			}
			got := s.previewOf(test.actor, test.method, person(test.path, h.person), test.body, h.person)
			if i == 0 {
				want = got
				continue
			}
			if got != want {
				t.Errorf("%s, %s: %s\nwant as of %s: %s", test.name, h.person, got, hiddenFacts[0].person, want)
			}
		}
		if !strings.HasPrefix(want, "200 ") || !strings.Contains(want, `"subject"`) {
			t.Errorf("%s: %s", test.name, want)
		}
	}
}

// previewOf returns the status and the body of a preview. In them, X replaces the id of the person.
func (s scene) previewOf(actor, method, path string, body any, who string) string {
	s.t.Helper()
	if list, isList := body.(map[string]any); isList && list["members"] != nil {
		named := make(map[string]any)
		members, _ := list["members"].(map[string]any)
		for _, given := range members {
			named[s.id(who)] = given
		}
		body = map[string]any{"members": named}
	}
	a := s.by(actor).preview(method, s.in(path), body)
	return fmt.Sprint(a.status, " ", strings.ReplaceAll(string(a.body), s.id(who), "X"))
}
