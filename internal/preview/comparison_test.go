package preview

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// manyPeople is an engine with an account that has many people and many importers. Its method Scratch returns
// errStarted.
type manyPeople struct {
	Base
	people, importers int
	creators          int // number of people who created the importers
}

func (c manyPeople) Read(
	_ context.Context, f authz.Filter, _ authz.Consistency, _ authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return func(yield func(authz.ReadItem, error) bool) {
		account := authz.Object{Type: "account", ID: "a"}
		var all []authz.Relationship
		for n := range c.importers {
			importer := authz.Object{Type: "importer", ID: authz.ID(fmt.Sprint(n))}
			creator := authz.Object{Type: person, ID: authz.ID(fmt.Sprint(n % c.creators))}
			all = append(
				all,
				authz.Relationship{Resource: importer, Relation: "account", Subject: authz.Subject{Object: account}},
				authz.Relationship{Resource: importer, Relation: "creator", Subject: authz.Subject{Object: creator}},
			)
		}
		for n := range c.people {
			all = append(all, authz.Relationship{Resource: account, Relation: "user", Subject: personOf(n)})
		}
		for _, r := range all {
			if matches(f, r) && !yield(authz.ReadItem{Relationship: r}, nil) {
				return
			}
		}
	}
}

// errStarted shows that a preview has passed its limits and starts to compare permissions.
var errStarted = errors.New("manyPeople has no temporary engine")

func (c manyPeople) Scratch(context.Context, string, []authz.Relationship) (authz.Engine, error) {
	return nil, errStarted
}

// preview previews a deletion of the roles of some people on the account. The schema has only permissions on
// importers. The parameter "changed" is the number of these people, and "permissions" the number of permissions.
func (c manyPeople) preview(t *testing.T, changed, permissions int) error {
	t.Helper()
	importer := authz.Definition{Type: "importer"}
	for n := range permissions {
		importer.Permissions = append(importer.Permissions, authz.PermissionInfo{Name: authz.Permission(fmt.Sprint("p", n))})
	}
	p := &Previewer{
		Depends:     func(authz.Type, authz.Permission, authz.Type, authz.Relation) bool { return true },
		Engine:      c,
		Definitions: func(context.Context) ([]authz.Definition, error) { return []authz.Definition{importer}, nil },
	}
	overlay := NewOverlay(c)
	for n := range changed {
		overlay.note(authz.Update{Action: authz.Delete, Relationship: authz.Relationship{
			Resource: authz.Object{Type: "account", ID: "a"}, Relation: "user", Subject: personOf(n),
		}})
	}
	_, err := p.Effects(t.Context(), "", overlay)
	return err
}

func personOf(n int) authz.Subject {
	return authz.Subject{Object: authz.Object{Type: person, ID: authz.ID(fmt.Sprint(n))}}
}

// TestPreviewIsBoundedBeforeItsWork checks that a preview which needs too many answers (see MaxAnswers) fails before
// it evaluates a permission. If the roles of only a few people change, only answers about these people count. People
// with the same relationships count once, and so do importers with the same creator.
func TestPreviewIsBoundedBeforeItsWork(t *testing.T) {
	for _, c := range []struct {
		name        string
		company     manyPeople
		changed     int // number of people whose role is deleted
		permissions int
		tooLarge    bool
	}{
		{"one person", manyPeople{people: 400, importers: 240, creators: 240}, 1, 10, false},
		{"a hundred people", manyPeople{people: 400, importers: 240, creators: 240}, 100, 10, true},
		{"a hundred people, one creator", manyPeople{people: 400, importers: 240, creators: 1}, 100, 10, false},
		{"a thousand people who are alike", manyPeople{people: 1000, importers: 1, creators: 1}, 1000, 10, false},
		{"a thousand new people", manyPeople{importers: 300, creators: 300}, 1000, 10, true},
		{"a thousand new people, one creator", manyPeople{importers: 300, creators: 1}, 1000, 10, false},
		{"everybody", manyPeople{people: 300, importers: 300, creators: 300}, 300, 1, true},
		{"everybody in a small company", manyPeople{people: 45, importers: 45, creators: 45}, 45, 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.company.preview(t, c.changed, c.permissions)
			if !c.tooLarge {
				require.ErrorIs(t, err, errStarted)
				return
			}
			require.ErrorIs(t, err, authz.CodeTooLarge)
			require.ErrorContains(t, err, "at most 45000")
			for _, count := range []string{"300", "400", "240"} { // of people and objects that may be hidden from the actor
				require.NotContains(t, err.Error(), count)
			}
		})
	}
}

// TestConcernedPeople checks the people whose permissions can change because of updates.
func TestConcernedPeople(t *testing.T) {
	definitions := []authz.Definition{
		{Type: "user"}, {Type: "record"}, {Type: "group"}, {Type: "account", Permissions: []authz.PermissionInfo{{Name: "view"}}},
	}
	depends := func(_ authz.Type, _ authz.Permission, of authz.Type, _ authz.Relation) bool { return of != "record" }
	update := func(resource authz.Type, subject authz.Subject) authz.Update {
		return authz.Update{Relationship: authz.Relationship{
			Resource: authz.Object{Type: resource, ID: "a"}, Relation: "owner", Subject: subject,
		}}
	}
	group := authz.Subject{Object: authz.Object{Type: "group", ID: "g"}}
	ann, bob := personOf(1), personOf(2)
	for _, c := range []struct {
		name        string
		updates     []authz.Update
		definitions []authz.Definition
		people      []authz.Subject // nil means everybody
	}{
		{
			"people",
			[]authz.Update{update("account", ann), update("group", bob), update("group", ann)},
			nil,
			[]authz.Subject{ann, bob},
		},
		{"a record", []authz.Update{update("account", ann), update("record", group)}, nil, []authz.Subject{ann}},
		{"records alone", []authz.Update{update("record", ann)}, nil, []authz.Subject{}},
		{"an object", []authz.Update{update("account", ann), update("account", group)}, nil, nil},
		{"a wildcard", []authz.Update{update("account", authz.Everybody("user"))}, nil, nil},
		{
			"people with permissions",
			[]authz.Update{update("account", ann)},
			[]authz.Definition{{Type: "user", Permissions: []authz.PermissionInfo{{Name: "manage"}}}},
			nil,
		},
		{
			"people with relations",
			[]authz.Update{update("account", ann)},
			[]authz.Definition{{Type: "user", Relations: []authz.Relation{"manager"}}},
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := append(slices.Clone(c.definitions), definitions...)
			require.Equal(t, c.people, (&Previewer{Depends: depends}).concerned(all, c.updates))
		})
	}
}

// TestPeopleWithSameRelationshipsAreAlike checks that people are alike only if all fields of their relationships are
// equal, except the person, before and after an operation.
func TestPeopleWithSameRelationshipsAreAlike(t *testing.T) {
	account := authz.Relationship{Resource: authz.Object{Type: "account", ID: "a"}, Relation: "user"}
	variants := []func(*authz.Relationship){
		func(*authz.Relationship) {},
		func(r *authz.Relationship) { r.Resource.ID = "b" },
		func(r *authz.Relationship) { r.Resource.Type = "importer" },
		func(r *authz.Relationship) { r.Relation = "owner" },
		func(r *authz.Relationship) { r.ExpiresAt = time.Unix(1, 0) },
		func(r *authz.Relationship) { r.ExpiresAt = time.Date(2900, 1, 1, 0, 0, 0, 0, time.UTC) },
		func(r *authz.Relationship) { r.Caveat = "at_work" },
		func(r *authz.Relationship) { r.CaveatContext = `{"hour":1}` },
	}
	var people []authz.Subject
	var before, after []authz.Relationship
	for n, change := range variants { // two people for each: n and n+100
		for _, who := range []authz.Subject{personOf(n), personOf(n + 100)} {
			r := account
			change(&r)
			r.Subject = who
			people, before = append(people, who), append(before, r)
		}
	}
	people = append(people, personOf(1000), personOf(1001)) // they have no relationships
	same := alikePeople(people, before, nil)
	for n := range variants {
		require.Equal(t, personOf(n), same[personOf(n)])
		require.Equal(t, personOf(n), same[personOf(n+100)])
	}
	require.Equal(t, personOf(1000), same[personOf(1001)])
	role := account
	role.Subject = personOf(100)
	after = append(after, role)
	same = alikePeople(people, before, after)
	require.Equal(t, personOf(100), same[personOf(100)], "this person has another role after the change")
	require.Equal(t, personOf(1), same[personOf(101)])
}

// TestEffectsOnPeopleWhoAreAlike checks that the effects on the first of several people who are alike are copied to
// the others. More than MaxEffects effects are an error.
func TestEffectsOnPeopleWhoAreAlike(t *testing.T) {
	importer := authz.Object{Type: "importer", ID: "i"}
	effect := func(n int) Effect {
		return Effect{Subject: personOf(n), Resource: importer, Gains: []authz.Permission{"view"}}
	}
	same := map[authz.Subject]authz.Subject{personOf(1): personOf(1), personOf(2): personOf(1), personOf(3): personOf(3)}
	everybody := []authz.Subject{personOf(1), personOf(2), personOf(3)}
	found := changes{effects: []Effect{effect(1)}}
	require.NoError(t, found.addAlike(everybody, same))
	require.Equal(t, []Effect{effect(1), effect(2)}, found.effects)

	found.effects = slices.Repeat([]Effect{effect(1)}, MaxEffects/2)
	require.NoError(t, found.addAlike(everybody, same))
	require.Len(t, found.effects, MaxEffects)
	found.effects = slices.Repeat([]Effect{effect(1)}, MaxEffects/2+1)
	require.ErrorIs(t, found.addAlike(everybody, same), authz.CodeTooLarge)
}

// TestObjectsWithSameRelationshipsAreAlike checks that objects are alike only if all fields of their relationships
// are equal, except the resource.
func TestObjectsWithSameRelationshipsAreAlike(t *testing.T) {
	node := func(id string) authz.Object { return authz.Object{Type: "node", ID: authz.ID(id)} }
	parent := authz.Relationship{Relation: "parent", Subject: authz.Subject{Object: node("top")}}
	variants := map[string]func(*authz.Relationship){
		"relation":         func(r *authz.Relationship) { r.Relation = "other" },
		"subject":          func(r *authz.Relationship) { r.Subject.ID = "bottom" },
		"subject relation": func(r *authz.Relationship) { r.Subject.Relation = "member" },
		"wildcard":         func(r *authz.Relationship) { r.Subject = authz.Everybody("node") },
		"expiry":           func(r *authz.Relationship) { r.ExpiresAt = time.Unix(1, 0) },
		"caveat":           func(r *authz.Relationship) { r.Caveat = "at_work" },
		"context":          func(r *authz.Relationship) { r.CaveatContext = `{"hour":1}` },
	}
	objects := []authz.Object{node("a"), node("b"), {Type: "leaf", ID: "a"}, node("alone"), node("alone2")}
	var all []authz.Relationship
	for _, object := range objects[:3] {
		one, two := parent, parent
		one.Resource, two.Resource, two.Relation = object, object, "second"
		if all = append(all, one, two); object.ID == "b" {
			all[len(all)-2], all[len(all)-1] = two, one
		}
	}
	for name, change := range variants {
		one := parent
		one.Resource = node(name)
		two := one
		two.Relation = "second"
		change(&one)
		all, objects = append(all, one, two), append(objects, node(name))
	}
	same := alike(objects, all)
	for object, first := range same {
		switch object.ID {
		case "b":
			require.Equal(t, node("a"), first)
		case "alone2":
			require.Equal(t, node("alone"), first)
		default:
			require.Equal(t, object, first)
		}
	}
	require.Len(t, same, len(objects))
	ann, bob := authz.Object{Type: person, ID: "ann"}, authz.Object{Type: person, ID: "bob"}
	require.Equal(t, bob, alike([]authz.Object{ann, bob}, nil)[bob], "people must not be alike as objects")
}
