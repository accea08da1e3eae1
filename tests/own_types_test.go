package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// relationshipUpdate returns one update in the body of POST /v1/relationships.
func relationshipUpdate(operation, relationship string) map[string]any {
	return map[string]any{"operation": operation, "relationship": relationship}
}

func relationshipUpdates(updates ...map[string]any) map[string]any {
	return map[string]any{"updates": updates}
}

// writesOfRelationships checks writes of relationships whose types are a company's own: very many relationships of
// an object, the audit log, the preview, and the API keys.
func writesOfRelationships(t *testing.T, on *backend) {
	t.Run("very many", func(t *testing.T) { deletesManyRelationships(t, on) })
	t.Run("long ids", func(t *testing.T) { deletesLongIDs(t, on) })
	t.Run("audit", func(t *testing.T) { relationshipsInAudit(t, on) })
	t.Run("preview", func(t *testing.T) { relationshipsInPreview(t, on) })
	t.Run("hidden", func(t *testing.T) { previewsOfRelationshipsHide(t, on) })
	t.Run("keys", func(t *testing.T) { keysOfRelationships(t, on) })
}

// deletesManyRelationships deletes all relationships of an object that has more of them than one write may contain.
func deletesManyRelationships(t *testing.T, on *backend) {
	on.parallel(t)
	s := newScene(t, on)
	for part := range 2 {
		updates := make([]map[string]any, 1000)
		for i := range updates {
			updates[i] = relationshipUpdate("create", s.in(fmt.Sprintf("folder:~f#viewer@user:~%d-%d", part, i)))
		}
		s.must(http.MethodPost, "relationships", relationshipUpdates(updates...))
	}
	s.play(
		`backend POST relationships {updates: [{operation: create, relationship: "folder:~g#parent@folder:~f"}]}`,
		"1-999 may view folder:~f, folder:~g",
		"backend DELETE relationships?resource=folder:~f",
		"1-999 may not view folder:~f, folder:~g",
		"stored folder:~g#parent@folder:~f", // here, the object is the subject
		"backend DELETE relationships?resource=folder:~f",
		"backend DELETE relationships?resource=folder:~g",
		"nothing left of folder:~f",
	)
	if stored := s.stored(); len(stored) > 0 {
		t.Errorf("still stored: %s", stored[:min(len(stored), 10)])
	}
}

// deletesLongIDs deletes objects that another tool stored. Their ids have the maximum length of SpiceDB. So the id of a
// record of the deletion cannot contain them.
func deletesLongIDs(t *testing.T, on *backend) {
	on.parallel(t)
	s := newScene(t, on)
	for _, fill := range []string{"x", "="} {
		id := s.prefix + strings.Repeat(fill, 1024-len(s.prefix))
		s.write(s.in("folder:"+id+"#viewer@user:~ann"), s.in("folder:"+id+"#viewer@user:~bob"))
		s.must(http.MethodDelete, "relationships?resource="+url.QueryEscape("folder:stored:"+id), nil)
		if stored := s.stored(); len(stored) > 0 {
			t.Errorf("still stored: %.200q", stored)
		}
	}
}

// relationshipsInAudit checks that the audit log has the actor of a write, and that the backend itself can write
// without an actor.
func relationshipsInAudit(t *testing.T, on *backend) {
	on.parallel(t)
	s := newScene(t, on)
	s.play(
		`bob POST relationships {updates: [{operation: create, relationship: "folder:~f#viewer@user:~ann"}]}`,
		`backend POST relationships {updates: [{operation: touch, relationship: "folder:~f#viewer@user:~eve"}]}`,
		"bob DELETE relationships?resource=folder:~f",
	)
	found := changes(s.history("object=folder:"+s.id("f"), atLeast(3)))
	slices.Sort(found)
	want := []string{
		s.in("delete_relationships delete folder:~f#viewer@user:~ann"),
		s.in("delete_relationships delete folder:~f#viewer@user:~eve"),
		s.in("write_relationships touch folder:~f#viewer@user:~ann"),
		s.in("write_relationships touch folder:~f#viewer@user:~eve"),
	}
	for i, actor := range []string{s.id("bob") + " ", s.id("bob") + " ", s.id("bob") + " ", ""} {
		want[i] = actor + want[i]
	}
	slices.Sort(want)
	if !slices.Equal(found, want) {
		t.Errorf("the history is\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(want, "\n"))
	}

	// The history of an account must not have these changes, although the relationships refer to the account.
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		`olga POST relationships {updates: [{operation: create, relationship: "dashboard:~d#account@account:~a"}]}`,
	)
	s.history("object=dashboard:"+s.id("d"), atLeast(1))
	for _, change := range changes(s.history("account="+s.id("a"), atLeast(1))) {
		if strings.Contains(change, "dashboard") {
			t.Errorf("the account's history has %q", change)
		}
	}
}

// relationshipsInPreview previews writes of relationships. The preview shows effects on permissions, so its API key
// also needs the scope check.
func relationshipsInPreview(t *testing.T, on *backend) {
	on.parallel(t)
	s := newScene(t, on)
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		`backend POST relationships {updates: [{operation: create, relationship: "dashboard:~d#account@account:~a"}]}`,
	)
	body := relationshipUpdates(relationshipUpdate("create", s.in("dashboard:~d#editor@user:~olga")))
	// effectsOf leaves out effects on people of other tests. Some of these people are platform administrators, who
	// may view every dashboard.
	effectsOf := func(a answer) []string {
		effects, _ := a.effects(t)
		return slices.DeleteFunc(effects, func(e string) bool { return !strings.Contains(e, " user:"+s.prefix) })
	}
	s.writesNothing("the preview", func() {
		effects := effectsOf(s.preview(http.MethodPost, "relationships", body))
		if want := []string{s.in("+ user:~olga edit dashboard:~d")}; !slices.Equal(effects, want) {
			t.Errorf("the effects are %s, want %s", effects, want)
		}
		effects = effectsOf(s.by("stranger").preview(http.MethodPost, "relationships", body))
		if len(effects) > 0 {
			t.Errorf("the preview shows a stranger the effects %s", effects)
		}
		effects = effectsOf(s.preview(http.MethodDelete, s.in("relationships?resource=dashboard:~d"), nil))
		if want := []string{s.in("- user:~olga view dashboard:~d")}; !slices.Equal(effects, want) {
			t.Errorf("the effects are %s, want %s", effects, want)
		}
	})
}

// keysOfRelationships checks that an API key may write only relationships of its types, and that no key may write
// those of Sluice's types. The errors must not reveal whether an object of another type exists.
func keysOfRelationships(t *testing.T, on *backend) {
	on.parallel(t)
	s := newScene(t, on)
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~there, subscription: ~s, role_set: team}",
		`backend POST relationships {updates: [{operation: create, relationship: "folder:~there#viewer@user:~ann"}]}`,
	)
	dashboards, anything := s.withKey(writeDashboardKey), s.withKey(writeKey)
	dashboards.must(http.MethodPost, "relationships", relationshipUpdates(
		relationshipUpdate("create", s.in("dashboard:~d#account@account:~there")),
	))
	s.writesNothing("rejected requests", func() {
		touch := func(typ, id string) map[string]any {
			return relationshipUpdates(relationshipUpdate("touch", typ+":"+id+map[string]string{
				"folder": "#viewer@user:" + s.id("eve"), "account": "#owner@user:" + s.id("eve"),
			}[typ]))
		}
		requires := func(typ, id string) map[string]any {
			body := relationshipUpdates(relationshipUpdate("touch", s.in("dashboard:~d#editor@user:~eve")))
			body["preconditions"] = []any{map[string]any{"must_not_match": map[string]any{"resource": typ + ":" + id}}}
			return body
		}
		for _, test := range []struct {
			name, typ, code string
			ask             func(id string) answer
		}{
			{"a type that the key may not write", "folder", "forbidden", func(id string) answer {
				return dashboards.call(http.MethodPost, "relationships", touch("folder", id))
			}},
			{"a deletion of such an object", "folder", "forbidden", func(id string) answer {
				return dashboards.call(http.MethodDelete, "relationships?resource=folder:"+id, nil)
			}},
			{"a precondition about such an object", "folder", "forbidden", func(id string) answer {
				return dashboards.call(http.MethodPost, "relationships", requires("folder", id))
			}},
			{"a precondition about the product", "account", "forbidden", func(id string) answer {
				return anything.call(http.MethodPost, "relationships", requires("account", id))
			}},
			{"a type of the product", "account", "invalid", func(id string) answer {
				return anything.call(http.MethodPost, "relationships", touch("account", id))
			}},
			{"a deletion of an object of the product", "account", "invalid", func(id string) answer {
				return anything.call(http.MethodDelete, "relationships?resource=account:"+id, nil)
			}},
		} {
			there, none := test.ask(s.id("there")).problem(), test.ask(s.id("none")).problem()
			if there.Code != test.code || there.Detail != none.Detail || none.Code != there.Code {
				t.Errorf("%s: %+v, and for an object that does not exist %+v", test.name, there, none)
			}
		}
		operates := s.withKey(operateKey).by("olga").call(http.MethodPost, "relationships", touch("folder", s.id("there")))
		if operates.problem().Code != "forbidden" || !strings.Contains(operates.problem().Detail, "the scope write") {
			t.Errorf("with the scope operate: %d %s", operates.status, operates.body)
		}
		previewed := s.withKey(writeKey).preview(http.MethodPost, "relationships", touch("folder", s.id("there")))
		if previewed.problem().Code != "forbidden" {
			t.Errorf("a preview with the scope write alone: %d %s", previewed.status, previewed.body)
		}
	})
}

// raceOfRelationships creates one relationship in several concurrent requests. In the same way, it creates several
// relationships of one object, each with the precondition that the object has none. Each time, exactly one request
// must succeed.
func raceOfRelationships(t *testing.T, on *backend) {
	s := newScene(t, on)
	for round := range on.rounds(24) {
		object := s.id(fmt.Sprint("f", round))
		same, first := make([]func() answer, 4), make([]func() answer, 4)
		for i := range same {
			body := relationshipUpdates(
				relationshipUpdate("create", "folder:"+object+"#viewer@user:"+s.id("bob")),
				relationshipUpdate("touch", "folder:"+object+"#viewer@user:"+s.id(fmt.Sprint("winner", i))),
			)
			same[i] = func() answer { return s.call(http.MethodPost, "relationships", body) }
			claim := relationshipUpdates(
				relationshipUpdate("touch", fmt.Sprintf("folder:%s-x#viewer@user:%s%d", object, s.prefix, i)),
			)
			claim["preconditions"] = []any{
				map[string]any{"must_not_match": map[string]any{"resource": "folder:" + object + "-x"}},
			}
			first[i] = func() answer { return s.call(http.MethodPost, "relationships", claim) }
		}
		oneWrites(t, together(same...), "updates[0].relationship")
		oneWrites(t, together(first...), "preconditions[0].must_not_match")
		if stored := s.stored(); len(stored) != 3*(round+1) {
			t.Fatalf("round %d: %d relationships are stored", round, len(stored))
		}
	}
}

// oneWrites fails unless exactly one request succeeded, and the others were answered with a conflict that names the
// field.
func oneWrites(t *testing.T, answers []answer, field string) {
	t.Helper()
	written := 0
	for _, a := range answers {
		switch {
		case a.status == http.StatusOK:
			written++
		case a.status != http.StatusConflict || !strings.Contains(a.problem().Detail, field):
			t.Errorf("%s: %d %s", a.request, a.status, a.body)
		}
	}
	if written != 1 {
		t.Errorf("%d of %d requests succeeded: %v", written, len(answers), texts(answers))
	}
}
