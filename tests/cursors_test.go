package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestForeignCursorsAreInvalid sends the cursor of each list to every other list. The other list must reject it.
func TestForeignCursorsAreInvalid(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"backend PUT connectors/~con {capabilities: []}",
	)
	for _, a := range []string{"a", "b"} {
		s.play(
			"olga POST accounts {id: ~"+a+", subscription: ~s, role_set: team}",
			"olga PUT accounts/~"+a+"/members/~peter {roles: [user]}",
			"olga PUT subscriptions/~s/members/~"+a+" {roles: [member]}")
		for i := range 2 {
			n := fmt.Sprint(a, i)
			s.play(
				"olga POST importers {id: ~"+n+", account: ~"+a+"}",
				"olga POST connections {id: ~"+n+", account: ~"+a+", connector: ~con}",
				"olga POST accounts/~"+a+"/invitations {invitee: ~i"+n+", roles: [user]}",
				"olga POST subscriptions/~s/invitations {invitee: ~i"+n+", roles: [member]}")
		}
	}
	s.history("account="+s.id("b"), atLeast(2))
	olga := s.by("olga")
	lists := make(map[string]caller)
	for path, from := range map[string]caller{
		"accounts/~a/members": olga, "accounts/~b/members": olga, "subscriptions/~s/members": olga,
		"subscriptions/~s/members?by_account=true": olga, "subscriptions/~s/people": olga,
		"subscriptions/~s/accounts": olga, "users/~olga/accounts": olga, "users/~peter/accounts": s.by("peter"),
		"accounts/~a/invitations": olga, "accounts/~b/invitations": olga, "subscriptions/~s/invitations": olga,
		"accounts/~a/importers?actor=~olga": olga, "accounts/~a/importers?actor=~peter": olga,
		"accounts/~b/importers?actor=~olga": olga, "accounts/~a/connections?actor=~olga": olga,
		"relationships?resource=account:~a": s.caller, "relationships?resource=account:~b": s.caller,
		"audit?account=~a": s.caller, "audit?account=~b": s.caller,
	} {
		lists[s.in(path)] = from
	}
	page := func(list, cursor string) answer {
		separator := "?"
		if strings.Contains(list, "?") {
			separator = "&"
		}
		return lists[list].call(http.MethodGet, list+separator+"limit=1&cursor="+url.QueryEscape(cursor), nil)
	}
	cursors := make(map[string]string)
	for list := range lists {
		var first struct {
			NextCursor string `json:"next_cursor"`
		}
		if page(list, "").decode(t, &first); first.NextCursor == "" {
			t.Fatalf("%s has only one page", list)
		}
		cursors[list] = first.NextCursor
		if got := page(list, first.NextCursor); got.status != http.StatusOK {
			t.Errorf("the next page of %s: %d %s", list, got.status, got.body)
		}
	}
	for list := range lists {
		foreign := []string{"x", "nonsense!", "AAAA", "emVicmE", cursors[list] + "A", cursors[list][1:]}
		for other, cursor := range cursors {
			if other != list {
				foreign = append(foreign, cursor)
			}
		}
		for _, cursor := range slices.Compact(foreign) {
			if got := page(list, cursor); got.status != http.StatusBadRequest || got.problem().Code != "invalid" {
				t.Errorf("%s with the cursor %q: %d %s", list, cursor, got.status, got.body)
			}
		}
	}
	lookups := []map[string]any{
		{"subject": "user:" + s.id("olga"), "permission": "view", "resource_type": "account", "limit": 1},
		{"subject": "user:" + s.id("olga"), "permission": "view", "resource_type": "importer", "limit": 1},
	}
	for i, body := range lookups {
		var first struct {
			NextCursor string `json:"next_cursor"`
		}
		s.must(http.MethodPost, "lookup/resources", body).decode(t, &first)
		for _, cursor := range []string{first.NextCursor, cursors[s.in("accounts/~a/members")]} {
			lookups[1-i]["cursor"] = cursor
			if got := s.call(http.MethodPost, "lookup/resources", lookups[1-i]); cursor == "" ||
				got.problem().Code != "invalid" {
				t.Errorf("a look-up with the cursor %q: %d %s", cursor, got.status, got.body)
			}
			delete(lookups[1-i], "cursor")
		}
	}
}
