package tests

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// readable lists an object of every type that an operation creates. viewer may view the object. hidden may not: this
// person belongs to another account, or to none.
var readable = []struct{ object, viewer, hidden string }{
	{"subscription:~s", "olga", "sven"},
	{"account:~a", "ulla", "sven"},
	{"importer:~importer", "ulla", "gert"},
	{"connection:~connection", "ulla", "olga"},
	{"workspace:~workspace", "olga", "otto"},
	{"group:~group", "olga", "gert"},
	{"service_account:~robot", "ulla", "gert"},
	{"connector:~connector", "otto", "ulla"},
}

// TestObjectsAreReadBack reads an object of every type. A person who may view the object gets it. All others get the
// same answer as for an object that does not exist.
func TestObjectsAreReadBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, text := range existing {
		line{"existing", text}.play(s, "", "")
	}
	s.play(
		"olga PUT accounts/~a/members/~gert {roles: [guest]}",
		"olga PUT accounts/~o/members/~otto {roles: [operator]}",
	)
	all := slices.Clone(readable)
	for _, object := range eachSimpleType("$type:~$type", nil) {
		all = append(all, struct{ object, viewer, hidden string }{object, "olga", "sven"})
	}
	types := make([]string, 0, len(all))
	for _, r := range all {
		typ, name, _ := strings.Cut(r.object, ":~")
		typ = strings.ReplaceAll(typ, "_", "-")
		types = append(types, "/v1/"+typ+"s/{id}")
		path := typ + "s/" + s.id(name)
		got := s.by(r.viewer).call(http.MethodGet, path, nil)
		if shown := got.withoutToken(t); got.status != http.StatusOK || shown["id"] != s.id(name) || shown["token"] == "" {
			t.Errorf("%s: %d %s", got.request, got.status, got.body)
		}
		head := s.by(r.viewer).begin(http.MethodHead, "/v1/"+path)
		if head.status != http.StatusOK || len(head.body) > 0 {
			t.Errorf("HEAD %s: %d %s", path, head.status, head.body)
		}
		for _, who := range []string{r.hidden, "nobody"} {
			s.sameAnswer(t, who, name, "GET "+typ+"s/$ID", http.StatusNotFound)
		}
		// A key that has only the scope check may not read objects.
		denied := s.by(r.viewer).withKey(checkKey).call(http.MethodGet, path, nil)
		if denied.status != http.StatusForbidden {
			t.Errorf("with a key that only checks, %s: %d %s", path, denied.status, denied.body)
		}
	}
	for _, e := range endpoints(t) {
		if e.method == http.MethodDelete && strings.Count(e.path, "/") == 3 && strings.HasSuffix(e.path, "s/{id}") &&
			!slices.Contains(types, e.path) {
			t.Errorf("no object in readable has the type that %s deletes", e)
		}
	}
}

// TestListOfSubscriptions reads the list of all subscriptions page by page, while a subscription is deleted.
func TestListOfSubscriptions(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~one, role_set: multi_owner, owner: ~olga, features: [dashboards]}",
		"backend POST subscriptions {id: ~two, role_set: single_owner, owner: ~olga}",
		"backend POST subscriptions {id: ~gone, role_set: multi_owner, owner: ~olga}",
		"olga DELETE subscriptions/~gone",
	)
	found := make(map[string]map[string]any)
	for cursor, pages := "", 0; ; pages++ {
		shown := s.must(http.MethodGet, "subscriptions?limit=1&cursor="+cursor, nil).withoutToken(t)
		page, _ := shown["subscriptions"].([]any)
		for _, listed := range page {
			subscription, _ := listed.(map[string]any)
			id, _ := subscription["id"].(string)
			found[id] = subscription
		}
		if cursor = shown["next_cursor"].(string); cursor == "" {
			break
		}
		if pages == 0 {
			s.play("olga DELETE subscriptions/~two")
			other := s.in("relationships?resource=account:~a&cursor=") + cursor
			if a := s.call(http.MethodGet, other, nil); a.problem().Code != "invalid" {
				t.Errorf("another list accepts the cursor: %d %s", a.status, a.body)
			}
		}
	}
	one, two := found[s.id("one")], found[s.id("two")]
	wanted := lacks(one, map[string]any{"role_set": "multi_owner", "features": []any{"dashboards"}})
	if one == nil || wanted != "" {
		t.Errorf("listed is %v: %s", one, wanted)
	}
	if found[s.id("gone")] != nil || two != nil && two["role_set"] != "single_owner" {
		t.Errorf("a deleted subscription is listed: %v", found)
	}
	for _, key := range []string{checkKey, operateKey} {
		a := s.withKey(key).call(http.MethodGet, "subscriptions", nil)
		if a.status != http.StatusForbidden || !bytes.Contains(a.body, []byte("inspect")) {
			t.Errorf("without the scope inspect: %d %s", a.status, a.body)
		}
	}
	if a := s.as("olga").call(http.MethodGet, "subscriptions", nil); a.status != http.StatusBadRequest {
		t.Errorf("on behalf of a person: %d %s", a.status, a.body)
	}
}
