package tests

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestExplanationsShowRelationsOfVisibleObjects reads explanations, with and without an actor, with an API key that
// lacks the scope inspect. Such a key cannot check relations. So without an actor, its explanations must show no
// relationships. With an actor, they may show only relationships of objects that the actor may view. No explanation
// shows internal types.
func TestExplanationsShowRelationsOfVisibleObjects(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, text := range []string{
		"include team",
		"olga PUT accounts/~a/members/~ulla {roles: [user]}",
		"olga PUT accounts/~a/members/~gina {roles: [guest]}",
		"ulla POST connections {id: ~own, account: ~a, connector: ~crm}",
		"ulla POST importers {id: ~i, account: ~a, source: ~own}",
		"olga POST accounts/~a/invitations {invitee: ~nina, roles: [guest]}",
	} {
		line{"scene", text}.play(s, "", "")
	}
	shown, asked := 0, 0
	for object, permissions := range map[string][]string{
		"connection:~own": {"view", "use", "share"}, "importer:~i": {"view", "run", "delete"}, "account:~a": {
			"view", "list_members", "delete",
		},
	} {
		for _, subject := range []string{"olga", "ulla", "gina", "nina", "sven"} {
			for _, reader := range []string{"", "olga", "gina", "nina"} {
				for _, permission := range permissions {
					asked++
					by := s.caller
					if reader != "" {
						by = s.by(reader)
					}
					got := by.withKey(checkKey).call(
						http.MethodPost, "explain", question{"user:" + s.id(subject), permission, s.in(object)},
					)
					viewer := reader
					if viewer == "" && !onlyDecision(t, got) {
						t.Errorf("without an actor, the explanation of %s %s for %s: %s", permission, object, subject, got.body)
					}
					for _, resource := range relationsIn(t, got.body) {
						shown++
						typ, _, _ := strings.Cut(resource, ":")
						if internal[typ] {
							t.Errorf("the explanation for %s shows %s: %s", viewer, resource, got.body)
						}
						may := s.withKey(checkKey).must(
							http.MethodPost, "check", question{"user:" + s.id(viewer), viewPermission(typ), resource},
						)
						if !strings.HasPrefix(string(may.body), `{"allowed":true`) {
							t.Errorf(
								"%s may not view %s, but the explanation of %s %s for %s shows it: %s",
								viewer, resource, permission,
								object, subject, got.body,
							)
						}
					}
				}
			}
		}
	}
	if asked < 100 || shown < 50 {
		t.Errorf("%d explanations showed only %d relationships", asked, shown)
	}
}

// onlyDecision reports whether an explanation has nothing but its decision.
func onlyDecision(t *testing.T, a answer) bool {
	t.Helper()
	var e map[string]any
	a.decode(t, &e)
	for _, field := range []string{"path", "suggestions", "failed", "trace", "unstored"} {
		if parts, _ := e[field].([]any); len(parts) > 0 {
			return false
		}
	}
	_, traced := e["trace"]
	_, unstored := e["unstored"]
	return a.status == http.StatusOK && e["omitted"] == true && !traced && !unstored
}

var internal = map[string]bool{
	"deletion": true, "offboarding": true, "idempotency_key": true, "invitation": true, "invitee": true, "membership": true,
	"removed_user": true, "request": true, "role": true,
}

// viewPermission returns the permission that a person needs to view an object of the type.
func viewPermission(typ string) string {
	if typ == "platform" {
		return "administer"
	}
	return "view"
}

// relationsIn returns the resources of the relationships in an explanation.
func relationsIn(t *testing.T, body []byte) (resources []string) {
	t.Helper()
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatal(err)
	}
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			resource, hasResource := v["resource"].(string)
			if _, hasRelation := v["relation"]; hasResource && hasRelation {
				resources = append(resources, resource)
			}
			for _, item := range v {
				walk(item)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(value)
	return resources
}
