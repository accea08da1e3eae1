package tests

import (
	"net/http"
	"strings"
	"testing"
)

// previewsOfRelationshipsHide previews writes that concern a relationship which the actor may not read. The preview
// must be the same whether or not this relationship is stored. A failed precondition would reveal the relationship, and
// so would the effects.
func previewsOfRelationshipsHide(t *testing.T, on *backend) {
	on.parallel(t)
	s := newScene(t, on)
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga PUT accounts/~a/members/~guest {roles: [guest]}",
		"backend POST subscriptions {id: ~t, role_set: multi_owner, owner: ~stranger}",
		"stranger POST accounts {id: ~own, subscription: ~t, role_set: team}",
		`backend POST relationships {updates: [
			{operation: create, relationship: "dashboard:~here#account@account:~a"},
			{operation: create, relationship: "dashboard:~here#editor@user:~eve"},
			{operation: create, relationship: "dashboard:~here#editor@user:~stranger"},
			{operation: create, relationship: "dashboard:~bare#account@account:~a"}]}`,
		"guest may view dashboard:~here, dashboard:~bare",
		"stranger may not view dashboard:~here",
	)
	update := func(operation, relationship string) func(id string) map[string]any {
		return func(id string) map[string]any {
			return relationshipUpdates(relationshipUpdate(operation, s.in("dashboard:"+id+relationship)))
		}
	}
	requires := func(kind string, filter map[string]any) func(id string) map[string]any {
		return func(id string) map[string]any {
			body := relationshipUpdates(relationshipUpdate("touch", s.in("dashboard:~other#editor@user:~olga")))
			one := map[string]any{"resource": s.in("dashboard:" + id)}
			for key, value := range filter {
				one[key] = value
			}
			body["preconditions"] = []any{map[string]any{kind: one}}
			return body
		}
	}
	editor := map[string]any{"relation": "editor"}
	eve := map[string]any{"relation": "editor", "subject": "user:" + s.id("eve")}
	writes := map[string]func(id string) map[string]any{
		"create a relationship":                  update("create", "#editor@user:~eve"),
		"touch a relationship":                   update("touch", "#editor@user:~eve"),
		"delete a relationship":                  update("delete", "#editor@user:~eve"),
		"must_match of a person":                 requires("must_match", eve),
		"must_not_match of a person":             requires("must_not_match", eve),
		"must_match of a relation":               requires("must_match", editor),
		"must_not_match of a relation":           requires("must_not_match", editor),
		"create the place":                       update("create", "#account@account:~a"),
		"create one's own relationship":          update("create", "#editor@user:~stranger"),
		"touch a place in one's own account":     update("touch", "#account@account:~own"),
		"delete the place":                       update("delete", "#account@account:~a"),
		"must_match of an object":                requires("must_match", nil),
		"must_not_match of an object":            requires("must_not_match", nil),
		"must_match of the place of an object":   requires("must_match", map[string]any{"subject": "account:" + s.id("a")}),
		"must_not_match of a place of an object": requires("must_not_match", map[string]any{"relation": "account"}),
	}
	onlyOfObject := map[string]bool{ // the guest may read these relationships of both dashboards
		"create the place": true, "must_match of an object": true, "must_not_match of an object": true,
		"must_match of the place of an object": true, "must_not_match of a place of an object": true,
	}
	same := func(name, actor, stored, bare string, ask func(by caller, id string) answer) {
		t.Helper()
		text := func(id string) (int, string) {
			a := ask(s.by(actor), id)
			if a.status != http.StatusOK {
				return a.status, a.problem().Detail
			}
			return a.status, strings.ReplaceAll(string(a.body), s.in(id), "ID")
		}
		status, body := text(stored)
		bareStatus, bareBody := text(bare)
		if status != bareStatus || body != bareBody {
			t.Errorf("%s by %s: %d %s\nand if nothing is stored: %d %s", name, actor, status, body, bareStatus, bareBody)
		}
	}
	s.writesNothing("previews", func() {
		for name, body := range writes {
			ask := func(by caller, id string) answer { return by.preview(http.MethodPost, "relationships", body(id)) }
			same(name, "stranger", "~here", "~none", ask)
			if !onlyOfObject[name] {
				same(name, "guest", "~here", "~bare", ask)
			}
		}
		same("a deletion", "stranger", "~here", "~none", func(by caller, id string) answer {
			return by.preview(http.MethodDelete, "relationships?resource="+s.in("dashboard:"+id), nil)
		})
		same("a deletion", "guest", "~here", "~bare", func(by caller, id string) answer {
			return by.preview(http.MethodDelete, "relationships?resource="+s.in("dashboard:"+id), nil)
		})
		// For an actor who may read the relationship, the preview is the same conflict as the write.
		for _, by := range []caller{s.by("olga"), s.caller} {
			for _, name := range []string{"create a relationship", "must_not_match of a person", "must_not_match of an object"} {
				a := by.preview(http.MethodPost, "relationships", writes[name]("~here"))
				if a.status != http.StatusConflict {
					t.Errorf("%s: %d %s, want a conflict", name, a.status, a.body)
				}
			}
		}
	})
}
