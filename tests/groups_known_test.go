package tests

import (
	"net/http"
	"strings"
	"testing"
)

// TestAnswersKnowGroups checks that permissions, effects and history include the roles that people have through
// groups.
func TestAnswersKnowGroups(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	s.play(
		"olga POST subscriptions/~s/groups {id: ~crew, title: Crew}",
		"olga PUT groups/~crew/members/~nora",
	)
	gains := func(request map[string]any, who, permission string) {
		t.Helper()
		a := s.by("olga").must(http.MethodPost, "preview", request)
		var shown struct {
			Effects []struct {
				Subject, Resource string
				Gains             []string
			}
		}
		a.decode(t, &shown)
		for _, effect := range shown.Effects {
			if effect.Subject == "user:"+s.id(who) && effect.Resource == "account:"+s.id("a") {
				for _, gained := range effect.Gains {
					if gained == permission {
						return
					}
				}
			}
		}
		t.Errorf("the preview does not show that %s gains %s: %s", who, permission, a.body)
	}
	gains(map[string]any{
		"method": "PUT", "path": "/v1/accounts/" + s.id("a") + "/groups/" + s.id("crew"), "body": roles("user"),
	}, "nora", "list_members")
	s.play("olga PUT accounts/~a/groups/~crew {roles: [user]}")
	gains(map[string]any{
		"method": "PUT", "path": "/v1/groups/" + s.id("crew") + "/members/" + s.id("ned"),
	}, "ned", "list_members")

	var explained struct{ Text string }
	s.must(http.MethodPost, "explain", map[string]any{
		"subject": "user:" + s.id("nora"), "permission": "list_members", "resource": "account:" + s.id("a"),
	}).decode(t, &explained)
	want := s.in("~nora has the permission list_members on account ~a through group ~crew, because group ~crew is a " +
		"user of account ~a; ")
	member := s.in("~nora is member of group ~crew")
	if !strings.HasPrefix(explained.Text, want) || !strings.Contains(explained.Text, member) {
		t.Errorf("the explanation is %q, want %q", explained.Text, want)
	}

	entries := s.history("object=group:"+s.id("crew"), atLeast(3))
	operations := ""
	for _, entry := range entries {
		operations += " " + entry.Operation
	}
	for _, operation := range []string{"create_group", "add_group_member", "put_account_group"} {
		if !strings.Contains(operations, operation) {
			t.Errorf("the history of the group lacks %s; it has%s", operation, operations)
		}
	}
}
