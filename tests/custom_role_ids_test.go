package tests

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// customRoleScene returns a scene in which people hold custom roles: cleo on a team account, susi on its subscription,
// and bert on the account through a group. gesa holds a built-in role through a group. On the account, owen is an
// owner, gert and gina are guests, and gwen is a guest who may view the subscription. lina may list the users of the
// subscription, but not view it.
func customRoleScene(t *testing.T) scene {
	t.Helper()
	s := newScene(t, memory.get(t))
	for _, text := range []string{
		"include team",
		"backend PUT subscriptions/~s/features {features: [custom_roles]}",
		"olga PUT accounts/~a/members/~owen {roles: [owner]}",
		"olga PUT accounts/~a/members/~gina {roles: [guest]}",
		"olga PUT accounts/~a/members/~gwen {roles: [guest]}",
		"olga PUT subscriptions/~s/members/~gwen {roles: [member]}",
		"gert POST importers {id: ~i, account: ~a}",
		"gwen POST importers {id: ~j, account: ~a}",
		"olga POST accounts/~a/roles {id: helper, title: H, grants: [importer.view, importer.run]} => 201",
		"olga POST subscriptions/~s/roles {id: agent, title: A, grants: [importer.view, importer.run]} => 201",
		"olga PUT accounts/~a/members/~cleo {roles: [helper]}",
		"olga PUT subscriptions/~s/members/~susi {roles: [agent]}",
		"olga POST subscriptions/~s/roles {id: lister, title: L, grants: [subscription.list_users]} => 201",
		"olga PUT subscriptions/~s/members/~lina {roles: [lister]}",
		"olga POST subscriptions/~s/groups {id: ~crew, title: Crew}",
		"olga PUT groups/~crew/members/~gesa",
		"olga PUT accounts/~a/groups/~crew {roles: [user]}",
		"olga POST subscriptions/~s/groups {id: ~band, title: Band}",
		"olga PUT groups/~band/members/~bert",
		"olga PUT accounts/~a/groups/~band {roles: [helper]}",
		"olga POST subscriptions/~s/service-accounts {id: ~robot, title: Robot, roles: [agent]} => 201",
		"olga PUT accounts/~a/service-accounts/~robot/roles {roles: [user, helper]}",
	} {
		line{"scene", text}.play(s, "", "")
	}
	return s
}

// TestExplainHidesCustomRolesAndGroups explains checks of people who hold built-in roles, custom roles and roles of
// groups, to readers who may not list the members. If the decision is the same, the explanation must be the same.
func TestExplainHidesCustomRolesAndGroups(t *testing.T) {
	t.Parallel()
	s := customRoleScene(t)
	people := []string{"ulla", "gina", "cleo", "susi", "gesa", "bert", "sven"}
	for reader, importer := range map[string]string{"gert": "importer:~i", "gwen": "importer:~j"} {
		for _, check := range []question{
			{Permission: "view", Resource: "account:~a"},
			{Permission: "change_settings", Resource: "account:~a"},
			{Permission: "list_members", Resource: "account:~a"},
			{Permission: "run", Resource: importer},
			{Permission: "delete", Resource: importer},
		} {
			first := make(map[bool]string)
			for _, who := range people {
				check.Subject, check.Resource = "user:"+s.id(who), s.in(check.Resource)
				a := s.by(reader).withKey(checkKey).must(http.MethodPost, "explain", check)
				text := tokens.ReplaceAllString(strings.ReplaceAll(string(a.body), s.id(who), "WHO"), "")
				allowed := strings.HasPrefix(text, `{"allowed":true`)
				if before, known := first[allowed]; !known {
					first[allowed] = text
				} else if text != before {
					t.Errorf("%s about %s:\n%s\nabout another:\n%s", reader, check, text, before)
				}
			}
		}
	}
	// A reader who may list the members and view the subscription reads which custom role allows the check.
	shown := s.by("olga").withKey(checkKey).must(http.MethodPost, "explain", question{
		"user:" + s.id("cleo"), "run", s.in("importer:~i"),
	})
	if !strings.Contains(string(shown.body), s.in(`"custom_role:~s/helper"`)) {
		t.Errorf("olga reads %s", shown.body)
	}
}

// TestAnswersHideSubscriptionInCustomRoleIDs reads, explains, previews and looks up custom roles on behalf of actors
// who may not view the subscription. No answer may have its id.
func TestAnswersHideSubscriptionInCustomRoleIDs(t *testing.T) {
	t.Parallel()
	s := customRoleScene(t)
	account := "account=" + s.id("a")
	s.history(account+"&limit=1000", func(found []entry) bool {
		return slices.ContainsFunc(found, func(e entry) bool {
			return e.Operation == "put_account_service_account_roles"
		})
	})
	hides := func(a answer) {
		t.Helper()
		if a.status != http.StatusOK && a.status != http.StatusForbidden && a.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", a.request, a.status, a.body)
		}
		if strings.Contains(string(a.body), s.id("s")+"/") || strings.Contains(string(a.body), s.id("s")+`"`) {
			t.Errorf("%s names the subscription: %s", a.request, a.body)
		}
	}
	for _, actor := range []string{"owen", "ulla", "gert", "cleo", "gesa", "susi", "lina", "service_account:robot"} {
		by := s.by(actor)
		for _, path := range []string{
			"accounts/~a", "accounts/~a/roles", "accounts/~a/roles/helper", "accounts/~a/roles/agent",
			"accounts/~a/roles/helper/holders", "accounts/~a/roles/agent/holders", "accounts/~a/service-accounts",
			"accounts/~a/service-accounts/~robot/roles", "accounts/~a/groups", "service-accounts/~robot",
			"groups/~crew", "audit?limit=1000&account=~a", "audit?limit=1000&account=~a&operation=create_custom_role",
		} {
			hides(by.call(http.MethodGet, s.in(path), nil))
		}
	}
	for _, actor := range []string{"owen", "gert", "service_account:robot"} {
		by := s.by(actor)
		for _, who := range []string{"ulla", "cleo", "susi", "bert"} {
			hides(by.call(http.MethodPost, "explain", question{"user:" + s.id(who), "view", s.in("account:~a")}))
			hides(by.call(http.MethodPost, "explain", question{"user:" + s.id(who), "run", s.in("importer:~i")}))
		}
		hides(by.preview(http.MethodDelete, s.in("accounts/~a/roles/helper?cascade=true"), nil))
		hides(by.preview(http.MethodDelete, s.in("accounts/~a/members/~ulla"), nil))
	}
	for _, actor := range []string{"owen", "cleo", "susi", "service_account:robot"} {
		typ, id := "user", s.id(actor)
		if robot, found := strings.CutPrefix(actor, "service_account:"); found {
			typ, id = "service_account", s.id(robot)
		}
		for _, permission := range []string{"view", "manage"} {
			hides(s.must(http.MethodPost, "lookup/resources", map[string]any{
				"subject": typ + ":" + id, "permission": permission, "resource_type": "custom_role",
				"consistency": "fully_consistent",
			}))
			hides(s.must(http.MethodPost, "/access/v1/search/resource", map[string]any{
				"subject":  map[string]any{"type": typ, "id": id},
				"resource": map[string]any{"type": "custom_role"}, "action": map[string]any{"name": permission},
			}))
		}
	}
	// olga may view the subscription, so she sees custom roles and their subscription.
	for path, shown := range map[string]string{
		"audit?limit=1000&account=~a&operation=create_custom_role": `"custom_role:~s/helper"`,
		"service-accounts/~robot":                                  `"subscription":"~s"`,
		"groups/~crew":                                             `"subscription":"~s"`,
	} {
		if a := s.by("olga").must(http.MethodGet, s.in(path), nil); !strings.Contains(string(a.body), s.in(shown)) {
			t.Errorf("%s does not have %s: %s", a.request, s.in(shown), a.body)
		}
	}
}
