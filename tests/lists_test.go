package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestPages reads lists page by page, while others write. Each item that exists during the whole time must be listed
// once, in order.
func TestPages(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga, features: [user_permissions]}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: analytics}",
	)
	members := map[string]any{}
	var want []string
	for i := range 23 {
		id := s.id(fmt.Sprintf("m%02d", i))
		members[id], want = []string{"editor"}, append(want, id)
	}
	s.by("olga").must(http.MethodPatch, "accounts/"+s.id("a")+"/members", map[string]any{"members": members})
	want = append(want, s.id("olga"))

	for _, path := range []string{"accounts/" + s.id("a") + "/members", "subscriptions/" + s.id("s") + "/members"} {
		var got []string
		cursor := ""
		for page := 0; page == 0 || cursor != ""; page++ {
			var list struct {
				Members    []struct{ User string }
				NextCursor string `json:"next_cursor"`
			}
			s.by("olga").must(http.MethodGet, path+"?limit=5&cursor="+url.QueryEscape(cursor), nil).decode(t, &list)
			for _, member := range list.Members {
				got = append(got, member.User)
			}
			if len(list.Members) > 5 || page > 20 {
				t.Fatalf("%s: page %d has %d members", path, page, len(list.Members))
			}
			cursor = list.NextCursor
			// This adds a person whose id is before the position of the cursor.
			s.by("olga").must(
				http.MethodPut, "accounts/"+s.id("a")+"/members/"+s.id(fmt.Sprintf("a%02d", page)), roles("editor"),
			)
		}
		got = slices.DeleteFunc(got, func(id string) bool { return !slices.Contains(want, id) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}

	for i := range 7 {
		s.by("olga").must(
			http.MethodPost, "accounts",
			map[string]any{"id": s.id(fmt.Sprintf("acc%d", i)), "subscription": s.id("s"), "role_set": "team"},
		)
	}
	for _, path := range []string{"subscriptions/" + s.id("s") + "/accounts", "users/" + s.id("olga") + "/accounts"} {
		var got []string
		cursor := ""
		for page := 0; page == 0 || cursor != ""; page++ {
			var list struct {
				Accounts   []struct{ ID string }
				NextCursor string `json:"next_cursor"`
			}
			s.by("olga").must(http.MethodGet, path+"?limit=3&cursor="+url.QueryEscape(cursor), nil).decode(t, &list)
			for _, account := range list.Accounts {
				got = append(got, account.ID)
			}
			cursor = list.NextCursor
			if page == 0 { // writes olga's role on the account at the position of the cursor again
				s.by("olga").must(http.MethodPut, "accounts/"+got[2]+"/members/"+s.id("olga"), roles("owner"))
			}
		}
		if len(got) != 8 || !slices.IsSorted(got) {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// TestCursorOfRemovedPerson reads a page of members, removes the last person on it, and reads the next page.
func TestCursorOfRemovedPerson(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	var first struct {
		Members    []struct{ User string }
		NextCursor string `json:"next_cursor"`
	}
	path := "accounts/" + s.id("a") + "/members?limit=1&cursor="
	s.by("olga").must(http.MethodGet, path, nil).decode(t, &first)
	if len(first.Members) != 1 || first.Members[0].User != s.id("gert") {
		t.Fatalf("the first page is %+v", first)
	}
	s.play("gert DELETE accounts/~a/members/~gert")
	second := first
	s.by("olga").must(http.MethodGet, path+url.QueryEscape(first.NextCursor), nil).decode(t, &second)
	if len(second.Members) != 1 || second.Members[0].User != s.id("olga") {
		t.Errorf("the second page is %+v", second)
	}
}

// TestRelationships compares the relationships that the API returns with those that zed reads.
func TestRelationships(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include analytics"}.play(s, "", "")
	read := func(query string) (all []string) {
		cursor := ""
		for page := 0; page == 0 || cursor != ""; page++ {
			var list struct {
				Relationships []struct{ Resource, Relation, Subject string }
				NextCursor    string `json:"next_cursor"`
			}
			path := "relationships?" + query + "&limit=2&cursor=" + url.QueryEscape(cursor)
			s.withKey(inspectKey).call(http.MethodGet, path, nil).decode(t, &list)
			for _, r := range list.Relationships {
				all = append(all, r.Resource+"#"+r.Relation+"@"+r.Subject)
			}
			if cursor = list.NextCursor; len(list.Relationships) > 2 || page > 20 {
				t.Fatalf("page %d has %d relationships", page, len(list.Relationships))
			}
		}
		slices.Sort(all)
		return all
	}
	want := slices.DeleteFunc(s.stored(), func(r string) bool { return !strings.HasPrefix(r, "account:"+s.id("a")+"#") })
	if got := read("resource=account:" + s.id("a")); !slices.Equal(got, want) || len(got) < 6 {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := read("resource=account:" + s.id("a") + "&relation=viewer"); !slices.Equal(
		got, []string{s.in("account:~a#viewer@user:~vera")},
	) {
		t.Errorf("viewers: %v", got)
	}
	if got := read("resource=account:" + s.id("missing")); len(got) != 0 {
		t.Errorf("relationships of a missing object: %v", got)
	}
}
