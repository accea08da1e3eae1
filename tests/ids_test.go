package tests

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestIDs runs through the API with ids of every kind: what goes in comes out, in bodies, paths, headers and lists, and
// is no other one's.
func TestIDs(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play("backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}", "olga POST accounts {id: ~a, subscription: ~s, role_set: team}")
	for _, id := range []string{
		"alice@example.com", "a b", "a/b/c", "/", "//", "..", ".", "a%2Fb", "100%", "%", "a#b", "#", "a:b", "*", "=", "==2A", "a=3Db", "ÄÖÜ ß", "日本語", "😀",
		"a\"b\\c", "a\nb", "a\tb", "\x00", "\x7f", "?a=b&c", ";", "+", "a+b", "<script>", "'; --", "-", "_", "|", "null", strings.Repeat("x", 256), strings.Repeat("日", 85),
	} {
		who, importer := id, s.prefix+id
		if len(importer) > 256 {
			importer = id
		}
		member := "accounts/" + s.id("a") + "/members/" + url.PathEscape(who)
		var put struct{ User string }
		s.by("olga").must(http.MethodPut, member, roles("user")).decode(t, &put)
		var created struct{ ID string }
		s.as(who).must(http.MethodPost, "importers", map[string]any{"id": importer, "account": s.id("a")}).decode(t, &created)
		if put.User != who || created.ID != importer {
			t.Errorf("%q comes out as %q, %q as %q", who, put.User, importer, created.ID)
		}
		var accounts struct{ Accounts []struct{ ID string } }
		s.as(who).must(http.MethodGet, "users/"+url.PathEscape(who)+"/accounts", nil).decode(t, &accounts)
		if len(accounts.Accounts) != 1 || accounts.Accounts[0].ID != s.id("a") {
			t.Errorf("%q has the accounts %v", who, accounts.Accounts)
		}
		var members struct{ Members []struct{ User string } }
		s.by("olga").must(http.MethodGet, "accounts/"+s.id("a")+"/members", nil).decode(t, &members)
		if len(members.Members) != 2 || members.Members[0].User != who && members.Members[1].User != who {
			t.Errorf("%q is not among the members %v", who, members.Members)
		}
		var decision struct{ Allowed bool }
		check := map[string]any{
			"subject": map[string]string{"type": "user", "id": who}, "permission": "copy", "resource": map[string]string{"type": "importer", "id": importer},
		}
		s.must(http.MethodPost, "check", check).decode(t, &decision)
		if !decision.Allowed {
			t.Errorf("%q may not copy %q", who, importer)
		}
		if !strings.Contains(who, "#") {
			if !s.may(question{"user:" + who, "copy", "importer:" + importer}) {
				t.Errorf("user:%s may not copy importer:%s", who, importer)
			}
		}
		check["subject"] = map[string]string{"type": "user", "id": "=" + string([]rune(who)[1:])}
		if who != "=" && who != "==2A" {
			s.must(http.MethodPost, "check", check).decode(t, &decision)
			if decision.Allowed {
				t.Errorf("another one than %q may copy %q", who, importer)
			}
		}
		s.as(who).must(http.MethodDelete, "importers/"+url.PathEscape(importer), nil)
		s.by("olga").must(http.MethodDelete, member, nil)
	}
}
