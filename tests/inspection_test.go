package tests

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/schema"
)

// TestRelationsNeedInspect sends every relation in every call that accepts a permission. It does the same with every
// schema step: a permission as_… that only other permissions use. A key with only the scope check must get an error,
// and a key with every scope must get an answer.
func TestRelationsNeedInspect(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	text, err := schema.Flatten()
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := schema.Describe(text)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, definition := range definitions {
		names := make([]string, 0, len(definition.Relations))
		for _, relation := range definition.Relations {
			names = append(names, string(relation))
		}
		for _, permission := range definition.Permissions {
			if permission.Internal {
				names = append(names, string(permission.Name))
			}
		}
		for _, name := range names {
			asked++
			for path, body := range questionsOf(string(definition.Type), name) {
				got := s.withKey(checkKey).call(http.MethodPost, path, body)
				switch bulk := path == "check/bulk" || path == "/access/v1/evaluations"; {
				case !bulk && (got.status != http.StatusForbidden || !strings.Contains(got.problem().Detail, "inspect")):
					t.Errorf("%s of %s in %s: %d %s", name, definition.Type, path, got.status, got.body)
				case bulk && !strings.Contains(string(got.body), "scope inspect"):
					t.Errorf("%s of %s in %s: %d %s", name, definition.Type, path, got.status, got.body)
				}
			}
		}
	}
	if asked < 50 {
		t.Errorf("only %d names were sent", asked)
	}
	for path, body := range questionsOf("connection", "creator") {
		if path != "explain" { // the answer of explain leaves hidden relationships out instead
			got := s.by("olga").call(http.MethodPost, path, body)
			if !strings.Contains(string(got.body), "leave out the header Sluice-Actor") {
				t.Errorf("with every scope and an actor, %s: %d %s", path, got.status, got.body)
			}
		}
		if got := s.call(http.MethodPost, path, body); got.status != http.StatusOK || strings.Contains(
			string(got.body), "scope inspect",
		) {
			t.Errorf("with every scope, %s: %d %s", path, got.status, got.body)
		}
	}
}

// TestInspectionRefusesActors sends an actor to every endpoint that needs the scope inspect and whose answer does
// not depend on what an actor may view. The endpoint must reject the request.
func TestInspectionRefusesActors(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	refused := 0
	for _, e := range endpoints(t) {
		if len(e.scopes) != 1 || e.scopes[0] != "inspect" {
			continue
		}
		refused++
		got := s.by("olga").call(e.method, e.at(s.id("x")), nil)
		explained := strings.Contains(got.problem().Detail, "leave out the header Sluice-Actor")
		if e.has("Sluice-Actor") || got.status != http.StatusBadRequest || !explained {
			t.Errorf("%s with an actor: %d %s", e, got.status, got.body)
		}
	}
	if refused < 2 {
		t.Errorf("only %d endpoints need inspect", refused)
	}
}

// questionsOf returns a body for each endpoint that accepts a permission of a type, by path.
func questionsOf(typ, permission string) map[string]any {
	type object = map[string]any
	check := object{"subject": "user:olga", "permission": permission, "resource": typ + ":x"}
	evaluation := object{
		"subject": object{"type": "user", "id": "olga"}, "action": object{"name": permission},
		"resource": object{"type": typ, "id": "x"},
	}
	return map[string]any{
		"check":                  check,
		"check/bulk":             object{"checks": []any{check}},
		"explain":                check,
		"lookup/resources":       object{"subject": "user:olga", "permission": permission, "resource_type": typ},
		"lookup/subjects":        object{"resource": typ + ":x", "permission": permission, "subject_type": "user"},
		"/access/v1/evaluation":  evaluation,
		"/access/v1/evaluations": object{"evaluations": []any{evaluation}},
		"/access/v1/search/subject": object{
			"subject": object{"type": "user"}, "action": object{"name": permission}, "resource": object{"type": typ, "id": "x"},
		},
		"/access/v1/search/resource": object{
			"subject": object{"type": "user", "id": "olga"}, "action": object{"name": permission}, "resource": object{
				"type": typ,
			},
		},
	}
}

// TestInternalTypesNeedInspect sends internal types as resource and as subject. A key with only the scope check must
// get an error.
func TestInternalTypesNeedInspect(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, typ := range []string{
		"deletion", "offboarding", "idempotency_key", "invitation", "invitee", "membership", "removed_user", "request", "role",
	} {
		internal, user := map[string]any{"type": typ, "id": "x"}, map[string]any{"type": "user", "id": "olga"}
		for path, body := range map[string]any{
			"/access/v1/search/action": map[string]any{"subject": user, "resource": internal},
			"/access/v1/search/resource": map[string]any{
				"subject": user, "action": map[string]any{"name": "nothing"}, "resource": map[string]any{"type": typ},
			},
			"/access/v1/search/subject": map[string]any{
				"subject": map[string]any{"type": typ}, "action": map[string]any{"name": "nothing"}, "resource": internal,
			},

			"check":            map[string]any{"subject": typ + ":x", "permission": "view", "resource": "account:x"},
			"permissions":      map[string]any{"subject": "user:olga", "resource": typ + ":x"},
			"lookup/subjects":  map[string]any{"resource": "account:x", "permission": "view", "subject_type": typ},
			"lookup/resources": map[string]any{"subject": typ + ":x", "permission": "view", "resource_type": "account"},
		} {
			if got := s.withKey(checkKey).call(http.MethodPost, path, body); got.status != http.StatusForbidden {
				t.Errorf("%s in %s: %d %s", typ, path, got.status, got.body)
			}
		}
	}
	if got := s.withKey(checkKey).call(
		http.MethodGet, "access?resource=account:x&permission=owner&at=2026-01-01T00:00:00Z", nil,
	); got.status != http.StatusForbidden {
		t.Errorf("access history: %d %s", got.status, got.body)
	}
}
